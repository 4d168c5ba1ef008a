"""`v2g-ctl`: what an operator asks and orders."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from agent.cli import (
    audit,
    check,
    device,
    events,
    firewall,
    fleet,
    history,
    orders,
    pki,
    support,
    user,
    verify,
)
from agent.cli.arguments import duration_s, power_w, run_command
from agent.cli.discharge import run_test
from agent.cli.gateway import GatewayClient, add_gateway_options
from agent.cli.view import plain, status_json, status_view
from agent.messages import SITE, RequestKind


def _status(arguments: argparse.Namespace) -> int:
    client = GatewayClient(arguments)
    snapshot = client.snapshot()
    client.close()
    if arguments.json:
        print(json.dumps(status_json(snapshot)))
    else:
        Console().print(status_view(snapshot, height=200))
    return 0


def _alarms(arguments: argparse.Namespace) -> int:
    client = GatewayClient(arguments)
    alarms = client.snapshot().alarms
    client.close()
    if arguments.json:
        print(json.dumps(plain(alarms)))
    else:
        for alarm in alarms:
            seen = " (acknowledged)" if alarm.acknowledged else ""
            print(f"{alarm.code} {alarm.source}: {alarm.text}{seen}\n     {alarm.advice}")
        if not alarms:
            print("no alarms")
    return 0


def _command(arguments: argparse.Namespace) -> int:
    """The classic spelling: `--command DISCHARGE --duration 60s --power 5kW`."""
    sign = 1.0 if arguments.command == "DISCHARGE" else -1.0
    if arguments.command in ("DISCHARGE", "CHARGE"):
        return run_test(arguments, sign)
    return orders.order(RequestKind.STOP)(arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `v2g-ctl`."""
    parser = argparse.ArgumentParser(
        prog="v2g-ctl",
        description="Ask and order a running V2G gateway.",
        epilog="A bounded discharge test: v2g-ctl --command DISCHARGE --duration 60s --power 5kW",
    )
    _add_common(parser)
    parser.add_argument("--command", choices=("DISCHARGE", "CHARGE", "STOP"), type=str.upper)
    parser.add_argument("--duration", type=_bounded_duration, default=60.0, metavar="60s")
    parser.add_argument("--power", type=_positive_power, default=5000.0, metavar="5kW")
    commands = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, text, run in _VERBS:
        verb = commands.add_parser(name, help=text, description=text)
        _add_common(verb)
        verb.set_defaults(run=run)
    _add_own_arguments(commands.choices)
    tools = (check, audit, support, firewall, events, history, user, pki, device, verify, fleet)
    for tool in tools:
        tool.add_parser(commands)
    _inherit(commands, {action.dest for action in parser._actions})
    return parser


def _inherit(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], names: set[str]
) -> None:
    """A verb's default must not overwrite what stood before the verb: `v2g-ctl --json check`."""
    for verb in commands.choices.values():
        for action in verb._actions:
            if isinstance(action, argparse._SubParsersAction):
                _inherit(action, names)
            elif action.dest in names and action.option_strings and action.dest != "help":
                action.default = argparse.SUPPRESS


def _add_own_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    verbs["mode"].add_argument("mode", nargs="?", choices=orders.MODES, help="none: show it")
    verb = verbs["acknowledge"]
    verb.add_argument("code", nargs="?", type=orders.alarm_code, help="as 0x14; none: every alarm")
    verb.add_argument("source", nargs="?", default="", help="of this source only")
    verbs["reload"].add_argument(
        "--workers",
        action="store_true",
        help="start every worker anew: after a change of SCL, mapping or certificate files",
    )


_VERBS: tuple[tuple[str, str, Callable[[argparse.Namespace], int]], ...] = (
    ("status", "the situation: frequency, power, EVSEs, workers, alarms", _status),
    ("alarms", "active alarms and what to do about each", _alarms),
    ("acknowledge", "mark alarms as seen; they stay until their cause ends", orders.acknowledge),
    ("mode", "show or set the operating mode: on, blocked, drain", orders.mode),
    ("reload", "read the configuration again; nothing changes when it has errors", orders.reload),
    ("stop", "everything to zero until `resume`", orders.order(RequestKind.STOP)),
    (
        "resume",
        "end `stop` and every other order of this operator",
        orders.order(RequestKind.WITHDRAW),
    ),
    ("drain", "finish what runs, take no new order", orders.order(RequestKind.MODE, "drain")),
    ("block", "measure and report, move nothing", orders.order(RequestKind.MODE, "blocked")),
    ("unblock", "back to normal operation", orders.order(RequestKind.MODE, "on")),
)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_gateway_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--evse", default=SITE, metavar="ID", help="one EVSE; default the site")


def _positive_power(text: str) -> float:
    value = power_w(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("the power is a positive magnitude")
    return value


def _bounded_duration(text: str) -> float:
    value = duration_s(text)
    if not 0 < value <= 3600 or math.isnan(value):
        raise argparse.ArgumentTypeError("a test lasts more than 0 s and at most 1 h")
    return value


def _run(argv: Sequence[str]) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command:
        return _command(arguments)
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return 2
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


def main() -> None:
    """Entry point."""
    sys.exit(run_command(_run))


if __name__ == "__main__":
    main()
