"""The commands of the project and their argument parsers, for man pages and completion."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent


class _CapturedError(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each command of pyproject.toml with its parser."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name, target in document["project"]["scripts"].items():
        module, function = target.split(":")
        if importlib.util.find_spec(module) is None:
            print(f"{name}: {module} is not there, left out", file=sys.stderr)
            continue
        yield name, parser_of(name, getattr(importlib.import_module(module), function))


def parser_of(name: str, main: Callable[[], None]) -> argparse.ArgumentParser:
    """Return the parser that a command's entry point would parse with."""

    def capture(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _CapturedError(self)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", capture),
        mock.patch.object(sys, "argv", [name]),
    ):
        try:
            main()
        except _CapturedError as caught:
            return caught.parser
    raise RuntimeError(f"{name} parsed no arguments")


def verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the sub-commands of a parser by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options and arguments of a parser, without its sub-commands."""
    return [
        action
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction) and action.help != argparse.SUPPRESS
    ]
