"""`v2g-client`: this gateway towards others: a CSMS (`--connect`), an IEC 61850 server (`mms`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from agent.cli import connect, dispatch, mms
from agent.cli.arguments import run_command


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `v2g-client`."""
    parser = argparse.ArgumentParser(prog="v2g-client", description=__doc__)
    connect.add_options(parser)
    commands = parser.add_subparsers(dest="verb", metavar="VERB")
    mms.add_parser(commands)
    dispatch.add_parser(commands)
    return parser


def _run(argv: Sequence[str]) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.verb is None and not arguments.connect:
        parser.error("say --connect, or a VERB")
    if arguments.verb is not None and arguments.connect:
        parser.error("--connect goes with no VERB")
    run: Callable[[argparse.Namespace], int] = getattr(arguments, "run", connect.run)
    return run(arguments)


def main() -> None:
    """Entry point."""
    sys.exit(run_command(_run))


if __name__ == "__main__":
    main()
