"""`v2g-ctl check`: configuration, SCL and mappings together, every error at once."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from agent.cli.gateway import GatewayClient, add_gateway_options
from agent.config.workers import is_planned
from agent.errors import EX_UNAVAILABLE, Finding, UnavailableError

if TYPE_CHECKING:
    from agent.cli.validation import CheckReport

EXIT_NOT_PLANNED = 1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "check configuration, SCL and mappings; every error at once"
    parser = subparsers.add_parser("check", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--quiet", action="store_true", help="say nothing when all is well")
    parser.add_argument("--running", action="store_true", help="the daemon must answer too")
    parser.add_argument(
        "--worker",
        metavar="NAME",
        help="only tell whether the configuration asks for this worker (exit 0) or not (1)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print, return 0, 69 (no daemon) or 78 (errors)."""
    if arguments.worker:
        return 0 if is_planned(arguments.config, arguments.worker) else EXIT_NOT_PLANNED
    # Imported here: units' conditions and other verbs need not wait for SCL and numpy.
    from agent.cli.validation import check_file

    report = check_file(arguments.config, with_machine=not arguments.quiet)
    code = report.exit_code
    if arguments.running and not code:
        code = _ask_daemon(arguments, report)
    _print(report, arguments)
    return code


def _ask_daemon(arguments: argparse.Namespace, report: CheckReport) -> int:
    try:
        client = GatewayClient(arguments)
        client.snapshot()
        client.close()
    except UnavailableError as error:
        report.errors.append(Finding("v2g-daemon", str(error), "journalctl -u v2g-control"))
        return EX_UNAVAILABLE
    return 0


def _print(report: CheckReport, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(
            json.dumps(
                {
                    name: [asdict(f) for f in found]
                    for name, found in (("errors", report.errors), ("warnings", report.warnings))
                }
            )
        )
        return
    for finding in report.warnings if not arguments.quiet else ():
        print(f"warning: {finding}")
    for finding in report.errors:
        print(f"error: {finding}")
    if not arguments.quiet or report.errors:
        print(f"{arguments.config}: {len(report.errors)} errors, {len(report.warnings)} warnings")
