"""`v2g-ctl events`: the recorded frequency and voltage events."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.cli.gateway import add_gateway_options
from agent.cli.view import plain
from agent.config import load_settings

if TYPE_CHECKING:
    from agent.processbus.events.store import EventSummary


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "recorded frequency and voltage events (COMTRADE 2013), newest first"
    parser = subparsers.add_parser("events", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List what the process bus recorded; needs no running daemon."""
    # Here, so that the other verbs do not wait for numpy.
    from agent.hmi.records import event_folder
    from agent.processbus.events.store import list_events

    folder = event_folder(load_settings(arguments.config).gateway.state_dir)
    events = list_events(folder)
    if arguments.json:
        print(json.dumps({"folder": str(folder), "events": plain(events)}))
        return 0
    for event in events:
        print(_line(event))
    print(f"{len(events)} events in {folder}")
    return 0


def _line(event: EventSummary) -> str:
    began = datetime.fromtimestamp(event.t_utc_s, UTC).isoformat(timespec="milliseconds")
    return (
        f"{began}  {event.name}  {event.stream}  {event.cause}  {event.duration_s:.1f} s  "
        f"{event.f_min_hz:.3f} to {event.f_max_hz:.3f} Hz  "
        f"{event.v_min_v:,.0f} to {event.v_max_v:,.0f} V"
    )
