"""Which processes a configuration asks for; units ask too, before they start one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config.loader import read_settings
from agent.config.settings import Settings
from agent.messages import Role


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One worker to run: `python -m module --config … --name name *arguments`."""

    name: str
    role: Role
    module: str
    arguments: tuple[str, ...] = ()


def plan_workers(settings: Settings) -> list[WorkerSpec]:
    """Return the workers that the settings ask for."""
    plan = [WorkerSpec("processbus", Role.PROCESS_BUS, "agent.processbus.worker")]
    plan += [
        WorkerSpec(name, Role.STATIONS, "agent.vehicles.stations.worker")
        for name in settings.stations.worker_names
    ]
    if settings.ied.enabled:
        plan.append(WorkerSpec("ied", Role.IED, "agent.ied.worker"))
    plan += [
        WorkerSpec(f"secc@{evse.interface}", Role.SECC, "agent.vehicles.secc.worker")
        for evse in settings.secc.evse
    ]
    if settings.field.device:
        plan.append(WorkerSpec("field", Role.FIELD, "agent.vehicles.field.worker"))
    if settings.utility.enabled:
        plan.append(WorkerSpec("utility", Role.UTILITY, "agent.utility.worker"))
    if settings.bus.enabled or settings.fleet.enabled:
        plan.append(WorkerSpec("bus", Role.BUS, "agent.utility.bus.worker"))
    if settings.hmi.enabled or settings.history.enabled or settings.metrics.enabled:
        plan.append(WorkerSpec("hmi", Role.HMI, "agent.hmi.worker"))
    return plan


def is_planned(path: Path, worker: str) -> bool:
    """Tell whether the configuration file at `path` is usable and asks for a worker."""
    settings, findings = read_settings(path)
    return not findings and worker in {spec.name for spec in plan_workers(settings)}
