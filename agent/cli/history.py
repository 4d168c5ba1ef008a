"""`v2g-ctl history`: telemetry of this gateway as CSV or Parquet."""

from __future__ import annotations

import argparse
import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.arguments import duration_s
from agent.cli.gateway import add_gateway_options
from agent.config import load_settings

if TYPE_CHECKING:
    from agent.hmi.history import Table

WHAT = ("measurements", "evses", "events")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "recorded telemetry (frequency, power, EVSEs, events) as CSV or Parquet"
    parser = subparsers.add_parser("history", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("--what", choices=WHAT, default=WHAT[0], help=f"default {WHAT[0]}")
    parser.add_argument(
        "--from",
        dest="from_utc_s",
        type=_instant,
        metavar="2026-01-31T12:00Z",
        help="first instant",
    )
    parser.add_argument(
        "--to", dest="to_utc_s", type=_instant, metavar="2026-01-31T13:00Z", help="last instant"
    )
    parser.add_argument("--last", type=duration_s, metavar="10m", help="the time up to now")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", metavar="FILE", default="-", help="- for standard output")
    form.add_argument("--parquet", type=Path, metavar="FILE", help="columns with types")
    form.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write what was recorded; needs no running daemon."""
    # Here, so that the other verbs do not wait for it.
    from agent.hmi.history import Table, history_file, read, write_csv, write_json, write_parquet

    table = Table(arguments.what)
    path = history_file(load_settings(arguments.config).gateway.state_dir)
    chunks = read(path, table, *_range(arguments))
    if arguments.parquet is not None:
        count = write_parquet(table, chunks, arguments.parquet)
        _tell(count, table, arguments.parquet)
    elif arguments.json:
        write_json(table, chunks, sys.stdout)
    elif arguments.csv == "-":
        write_csv(table, chunks, sys.stdout)
    else:
        with Path(arguments.csv).open("w", encoding="utf-8", newline="") as file:
            count = write_csv(table, chunks, file)
        _tell(count, table, arguments.csv)
    return 0


def _tell(count: int, table: Table, path: object) -> None:
    print(f"{count} rows of {table} in {path}", file=sys.stderr)


def _range(arguments: argparse.Namespace) -> tuple[float, float]:
    to_s = math.inf if arguments.to_utc_s is None else arguments.to_utc_s
    if arguments.from_utc_s is not None:
        return arguments.from_utc_s, to_s
    if arguments.last is not None:
        return min(to_s, time.time()) - arguments.last, to_s
    return 0.0, to_s


def _instant(text: str) -> float:
    """Seconds since 1970, or ISO 8601; without a zone it is UTC."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither ISO 8601 nor seconds") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
