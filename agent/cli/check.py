"""`v2g-ctl check`: configuration, SCL and mappings together, every error at once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from agent.cli.gateway import GatewayClient, add_gateway_options
from agent.cli.preflight import files, machine
from agent.config import Settings, read_settings
from agent.daemon import control_parameters, plan_workers
from agent.errors import EX_CONFIG, EX_UNAVAILABLE, ConfigurationError, Finding, UnavailableError
from agent.ied.model import bind_model, load_model
from agent.scl import Severity, read_scl
from agent.scl.check import check as check_scl

ResultT = TypeVar("ResultT")
EXIT_NOT_PLANNED = 1


@dataclass(slots=True)
class CheckReport:
    """What stops a start (`errors`) and what an operator should know (`warnings`)."""

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or what the daemon would exit with."""
        return EX_CONFIG if self.errors else 0


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
        settings, findings = read_settings(arguments.config)
        planned = {spec.name for spec in plan_workers(settings)}
        return 0 if arguments.worker in planned and not findings else EXIT_NOT_PLANNED
    report = check_configuration(*read_settings(arguments.config))
    code = report.exit_code
    if arguments.running and not code:
        code = _ask_daemon(arguments, report)
    _print(report, arguments)
    return code


def check_configuration(settings: Settings, findings: list[Finding]) -> CheckReport:
    """Go on from what reading the settings found to everything that they name."""
    report = CheckReport(errors=list(findings))
    broken = {
        finding.where.removeprefix(f"{settings.path}: ").split(".")[0] for finding in findings
    }
    if not broken & {"control", "grid"}:
        _collect(report, lambda: control_parameters(settings))
    if not broken & {"scl", "gateway", str(settings.path)}:
        _check_station(settings, report)
    report.errors += files(settings)
    report.warnings += machine(settings)
    return report


def _collect(report: CheckReport, step: Callable[[], ResultT]) -> ResultT | None:
    """Run a step; its findings go into the report and the others go on."""
    try:
        return step()
    except ConfigurationError as error:
        report.errors += [each for each in error.findings if each not in report.errors]
        return None


def _check_station(settings: Settings, report: CheckReport) -> None:
    """The SCL by every rule, then our IED's model, then the mapping on it."""
    scl = _collect(report, lambda: read_scl(settings.scl.file))
    if scl is None:
        return
    for finding in check_scl(scl, ied_name=settings.scl.ied):
        if finding.severity is Severity.ERROR:
            report.errors.append(finding.as_error())
        elif finding.severity is Severity.WARNING:
            report.warnings.append(finding.as_error())
    model = _collect(report, lambda: load_model(settings))
    if model is not None:
        _collect(report, lambda: bind_model(settings, model))


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
