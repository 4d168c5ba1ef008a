"""`v2g-client`: this gateway towards others, an IEC 61850 server among them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from agent.cli import dispatch, mms
from agent.cli.arguments import run_command


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `v2g-client`."""
    parser = argparse.ArgumentParser(prog="v2g-client", description=__doc__)
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    mms.add_parser(commands)
    dispatch.add_parser(commands)
    return parser


def _run(argv: Sequence[str]) -> int:
    arguments = build_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


def main() -> None:
    """Entry point."""
    sys.exit(run_command(_run))


if __name__ == "__main__":
    main()
