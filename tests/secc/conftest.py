"""Fixtures of the SECC's tests; all of them need the iso15118 package (requirements-secc.lock)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.vehicles.pki import make_demo_pki
from agent.vehicles.simulated.veth import cable

collect_ignore_glob: list[str] = []
if importlib.util.find_spec("iso15118"):
    importlib.import_module("agent.vehicles.secc")  # the fence, before a test meets the package
else:
    collect_ignore_glob.append("test_*.py")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    make_demo_pki(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_codec(tmp_path_factory: pytest.TempPathFactory) -> None:
    from agent.vehicles.secc import codec

    codec.install(tmp_path_factory.mktemp("exi"))


@pytest.fixture
def cables() -> Iterator[Callable[[], tuple[str, str]]]:
    """Makes veth pairs: (station's end, vehicle's end)."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make veth interfaces")
    # Scenarios make cables while their event loop runs; netlink wants a thread without one.
    with ThreadPoolExecutor(1) as outside, contextlib.ExitStack() as stack:

        def make() -> tuple[str, str]:
            number = next(_numbers)
            ends = f"vs{os.getpid()}x{number}", f"ve{os.getpid()}x{number}"
            outside.submit(stack.enter_context, cable(*ends)).result()
            return ends

        yield make
