"""Imports the `iso15118` package without what its import does to a process.

It pins pydantic 1.10 and cryptography 44, replaces the root logger's handlers, and reads a `.env`
of the working directory for its settings. Here it gets pydantic's v1 namespace under the name it
asks for, only while it is imported; its loggers go to ours; its settings are given by us.
"""

from __future__ import annotations

import importlib
import logging
import logging.config
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from loguru import logger

from agent.errors import ConfigurationError, Finding

VERSION: Final = "0.31.2"
"""The version whose faults are fenced; another one stops the start."""
_MODULES: Final = (
    "iso15118.secc",
    "iso15118.secc.states.sap_states",
    "iso15118.secc.states.din_spec_states",
    "iso15118.secc.states.iso15118_2_states",
    "iso15118.secc.states.iso15118_20_states",
)


def import_package() -> None:
    """Import the package's SECC half.

    Raises:
        ConfigurationError: It is not installed, or not the version that was fenced.
    """
    import_modules(_MODULES)
    version = sys.modules["iso15118"].__version__
    if version != VERSION:
        raise ConfigurationError(
            (Finding("iso15118", f"is version {version}", f"install {VERSION}"),)
        )


def import_modules(names: tuple[str, ...]) -> None:
    """Import modules of the package behind the fence.

    Raises:
        ConfigurationError: The package or pydantic is not installed.
    """
    if all(name in sys.modules for name in names):
        return
    try:
        with _pydantic_1(), _own_logging(), _no_dot_env():
            for name in names:
                importlib.import_module(name)
    except ModuleNotFoundError as error:
        hint = "pip install --no-deps -r requirements-secc.lock"
        raise ConfigurationError((Finding(str(error.name), "is not installed", hint),)) from error
    _settings(Path("/nonexistent"))
    _redirect_logs()


def use_pki(folder: Path) -> None:
    """Tell the package where certificates and keys are (`<folder>/iso15118_2/certs/…`)."""
    _settings(folder)


@contextmanager
def _pydantic_1() -> Iterator[None]:
    """Let `import pydantic` mean pydantic's v1 namespace."""
    first = importlib.import_module("pydantic.v1")
    before = {name: module for name, module in sys.modules.items() if _is_pydantic(name)}
    alias: dict[str, ModuleType] = {"pydantic": first}
    for name, module in before.items():
        if name.startswith("pydantic.v1."):
            alias["pydantic." + name.removeprefix("pydantic.v1.")] = module
    sys.modules.update(alias)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_pydantic(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_pydantic(name: str) -> bool:
    return name == "pydantic" or name.startswith("pydantic.")


@contextmanager
def _own_logging() -> Iterator[None]:
    """Keep `logging.config.fileConfig` from replacing the root logger's handlers."""
    configure = logging.config.fileConfig
    level = logging.getLogger().level

    def ignore(*_args: Any, **_kwargs: Any) -> None:
        return None

    logging.config.fileConfig = ignore
    try:
        yield
    finally:
        logging.config.fileConfig = configure
        logging.getLogger().setLevel(level)


@contextmanager
def _no_dot_env() -> Iterator[None]:
    """Keep the package from reading a `.env` file of whoever started us."""
    environs = importlib.import_module("environs")
    read = environs.Env.read_env

    def ignore(*_args: Any, **_kwargs: Any) -> bool:
        return False

    environs.Env.read_env = ignore
    try:
        yield
    finally:
        environs.Env.read_env = read


def _settings(pki: Path) -> None:
    settings = importlib.import_module("iso15118.shared.settings")
    settings.shared_settings.update(
        {
            "PKI_PATH": f"{pki}/",
            "MESSAGE_LOG_JSON": False,
            "MESSAGE_LOG_EXI": False,
            "ENABLE_TLS_1_3": True,
        }
    )


class _Forward(logging.Handler):
    """Hands the package's lines to our log: one line each, without its tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().splitlines() or [""]
        level = "WARNING" if record.levelno >= logging.ERROR else "DEBUG"
        logger.log(level, "iso15118: {}", text[0][:300])


def _redirect_logs() -> None:
    package = logging.getLogger("iso15118")
    package.handlers = [_Forward()]
    package.propagate = False
    package.setLevel(logging.WARNING)
