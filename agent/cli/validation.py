"""What `v2g-ctl check` checks: from the settings on to everything that they name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent.cli.preflight import files, machine
from agent.config import Settings, read_settings
from agent.daemon import control_parameters
from agent.errors import EX_CONFIG, ConfigurationError, Finding
from agent.ied.model import bind_model, load_model
from agent.scl import Severity, read_scl
from agent.scl.check import check as check_scl
from agent.vehicles.field.worker import description_of
from agent.vehicles.stations.capability import load_models, models_folder

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class CheckReport:
    """What stops a start (`errors`) and what an operator should know (`warnings`)."""

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or what the daemon would exit with."""
        return EX_CONFIG if self.errors else 0


def check_file(path: Path, *, with_machine: bool = True) -> CheckReport:
    """Check a configuration file and everything that it names.

    Args:
        path: The file.
        with_machine: Look at this machine too; it yields warnings only.
    """
    settings, findings = read_settings(path)
    report = CheckReport(errors=list(findings))
    broken = {
        finding.where.removeprefix(f"{settings.path}: ").split(".")[0] for finding in findings
    }
    if not broken & {"control", "grid"}:
        _collect(report, lambda: control_parameters(settings))
    unread = str(settings.path) in broken
    if not unread and "scl" not in broken:
        _check_station(settings, report, with_mapping="gateway" not in broken)
    if not unread and "gateway" not in broken:
        _collect(report, lambda: load_models(models_folder(settings)))
        for device in settings.field.device:
            _collect(report, partial(description_of, device, settings))
    report.errors += files(settings)
    if with_machine:
        report.warnings += machine(settings)
    return report


def _collect(report: CheckReport, step: Callable[[], ResultT]) -> ResultT | None:
    """Run a step; its findings go into the report and the others go on."""
    try:
        return step()
    except ConfigurationError as error:
        report.errors += [each for each in error.findings if each not in report.errors]
        return None


def _check_station(settings: Settings, report: CheckReport, *, with_mapping: bool) -> None:
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
    if model is not None and with_mapping:
        _collect(report, lambda: bind_model(settings, model))
