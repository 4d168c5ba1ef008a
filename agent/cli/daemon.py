"""`v2g-daemon`: the control process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.cli.arguments import run_command
from agent.config import DEFAULT_PATH, load_settings
from agent.daemon import run_daemon
from agent.logs import set_up_logging


def _run(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="v2g-daemon", description="The control process of the V2G gateway."
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="agent.toml")
    parser.add_argument(
        "--external-workers", action="store_true", help="systemd starts the workers"
    )
    arguments = parser.parse_args(argv)
    set_up_logging("v2g-daemon")
    return run_daemon(load_settings(arguments.config), external_workers=arguments.external_workers)


def main() -> None:
    """Entry point."""
    sys.exit(run_command(_run))


if __name__ == "__main__":
    main()
