"""A study file: TOML → checked values; every mistake is named with its key, all at once."""

from __future__ import annotations

import hashlib
import math
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from agent.control.parameters import Parameters, parameters_from
from agent.errors import ConfigurationError, Finding
from agent.study.distributions import Quantity, Spread, resolved
from agent.study.systems import System, find_system

Dispatch = Literal["each", "central"]
QUANTITIES = (
    "discharge_w", "charge_w", "capacity_wh", "soc_pct", "delay_s", "period_s", "ramp_s",
)  # fmt: skip


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: a key that it does not know is a mistake."""


class StudySection(_Table, frozen=True, kw_only=True):
    """`[study]`.

    Attributes:
        seed: Of every random number. `hour`: of the day, for the availability.
        duration_s: Simulated time. `dt_s`: step; the agent's tick of 20 ms by default.
        chunk: Cases computed together; a part of the work that is saved when it is done.
    """

    name: str
    description: str = ""
    seed: int = 1
    duration_s: float = 60.0
    dt_s: float = 0.02
    hour: float = 18.0
    chunk: int = 250


class GridSection(_Table, frozen=True, kw_only=True):
    """`[grid]`: a named system; what is given besides replaces its figures."""

    system: str
    inertia_s: float | None = None
    damping_pu: float | None = None
    base_mw: float | None = None


class ContingencySection(_Table, frozen=True, kw_only=True):
    """`[contingency]`: a loss of generation (negative: of load), or the trip of a unit."""

    loss_mw: float | None = None
    loss_pu: float | None = None
    trip: str = ""
    at_s: float = 1.0


class FleetSpec(_Table, frozen=True, kw_only=True):
    """`[[fleet]]`: vehicles of one kind.

    Attributes:
        count: Vehicles simulated. `share`: power that they can add, by the system's base: then
            each stands for many. Without it each stands for one.
        preset and the five below: The droop, as in `[control]` of agent.toml.
        dispatch: `each`: every vehicle is told its share at its own period (its own gateway, or
            the droop's curve in the station). `central`: one gateway per fleet shares the target
            out among them.
        stability_limit: The agent's limit on the gain is in force.
        available: Share plugged in: one number, 24 for the hours, or the name of a profile.
        charging_share: Of those, how many are charging.
        delay_s: From order to power. `measurement_delay_s`: before it, as in agent.toml.
        min_soc_pct and what follows: As in power-profile.conf.
    """

    name: str
    count: int
    share: float | None = None
    preset: str = ""
    db_uf_hz: float | None = None
    db_of_hz: float | None = None
    k_uf: float | None = None
    k_of: float | None = None
    olrt_s: float | None = None
    dispatch: Dispatch = "each"
    stability_limit: bool = True
    stability_factor: float = 2.0
    available: float | tuple[float, ...] | str = 1.0
    charging_share: float = 0.0
    discharge_w: Quantity = 11_000.0
    charge_w: Quantity = 11_000.0
    capacity_wh: Quantity = 60_000.0
    soc_pct: Quantity = 60.0
    delay_s: Quantity = 0.3
    period_s: Quantity = 1.0
    ramp_s: Quantity = 0.2
    step_w: float = 0.0
    measurement_delay_s: float = 0.06
    min_interval_s: float = 0.25
    min_soc_pct: float = 20.0
    max_soc_pct: float = 95.0
    max_depth_of_discharge_pct: float = 100.0
    max_cycles_per_day: float = 2.0
    max_discharge_w: float = 1e6
    max_charge_w: float = 1e6
    efficiency: float = 0.9

    def plugged(self, hour: float) -> float:
        """Return the share of vehicles that are plugged in at an hour."""
        available = self.available
        if isinstance(available, str):
            available = availability_profiles()[available].hours
        return float(available[int(hour) % 24] if isinstance(available, tuple) else available)

    def parameters(self, nominal_hz: float) -> Parameters:
        """Return the agent's parameters; the study never narrows the gain by itself."""
        values = msgspec.structs.asdict(self)
        return parameters_from(nominal_hz=nominal_hz, **values)


class SweepSection(_Table, frozen=True, kw_only=True):
    """`[sweep]`: every combination. `delay_s`: mean delay, the distribution is stretched to it."""

    share: tuple[float, ...] = ()
    delay_s: tuple[float, ...] = ()
    inertia_s: tuple[float, ...] = ()


class MonteCarloSection(_Table, frozen=True, kw_only=True):
    """`[monte_carlo]`: random contingencies; what is not named stays as it is."""

    samples: int
    confidence: float = 0.95
    loss_pu: Quantity | None = None
    inertia_s: Quantity | None = None
    damping_pu: Quantity | None = None
    share: Quantity | None = None
    delay_s: Quantity | None = None
    hour: Quantity | None = None


class LimitSection(_Table, frozen=True, kw_only=True):
    """`[limit]`: what must hold. `search_*`: bounds of the searches for share and latency."""

    nadir_hz: float | None = None
    zenith_hz: float | None = None
    rocof_hz_s: float | None = None
    search_share: tuple[float, float] | None = None
    search_delay_s: tuple[float, float] | None = None


class Study(_Table, frozen=True, kw_only=True):
    """A whole file."""

    study: StudySection
    grid: GridSection
    contingency: ContingencySection = ContingencySection()
    fleet: tuple[FleetSpec, ...]
    sweep: SweepSection | None = None
    monte_carlo: MonteCarloSection | None = None
    limit: LimitSection = LimitSection()

    @property
    def system(self) -> System:
        """The system with the file's replacements, after the trip."""
        changes = {
            name: value
            for name in ("inertia_s", "damping_pu", "base_mw")
            if (value := getattr(self.grid, name)) is not None
        }
        system = msgspec.structs.replace(find_system(self.grid.system), **changes)
        trip = self.contingency.trip
        return system.without(trip) if trip else system

    @property
    def loss_pu(self) -> float:
        """The power lost, pu of the system's base."""
        given, system = self.contingency, self.system
        if given.loss_pu is not None:
            return given.loss_pu
        return (system.loss_mw if given.loss_mw is None else given.loss_mw) / system.base_mw

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the answers, measured values included."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Profile(_Table, frozen=True, kw_only=True):
    """Share of vehicles plugged in by hour, with its source."""

    source: str
    verified: Literal["source", "secondary", "unverified"]
    hours: tuple[float, ...]


@cache
def availability_profiles() -> dict[str, Profile]:
    """Return the shipped availability profiles."""
    data = resources.files("agent.study").joinpath("data", "availability.toml")
    return msgspec.convert(tomllib.loads(data.read_text("utf-8")), dict[str, Profile])


def load_study(path: Path) -> Study:
    """Return the study of a file, with the files that it names read.

    Raises:
        ConfigurationError: Every mistake with file and key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError((Finding(str(path), str(error.strerror)),)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), str(error)),)) from error
    return study_from(table, path.parent, path.name)


def study_from(table: dict[str, Any], folder: Path, name: str) -> Study:
    """Return the study of a parsed file; see `load_study`."""
    try:
        study = msgspec.convert(table, Study, strict=False)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at ")
        where = at.strip("`").removeprefix("$.") or "the file"
        raise ConfigurationError((Finding(f"{name}: {where}", what),)) from error
    findings = [*_checked(study)]
    fleets = []
    for number, fleet in enumerate(study.fleet):
        changes: dict[str, Quantity] = {}
        for quantity in QUANTITIES:
            try:
                where = f"fleet[{number}].{quantity}"
                changes[quantity] = resolved(getattr(fleet, quantity), folder, where)
            except ConfigurationError as error:
                findings += error.findings
        fleets.append(msgspec.structs.replace(fleet, **changes))
    if findings:
        raise ConfigurationError(tuple(_in_file(name, finding) for finding in findings))
    return msgspec.structs.replace(study, fleet=tuple(fleets))


def _in_file(name: str, finding: Finding) -> Finding:
    return Finding(f"{name}: {finding.where}", finding.what, finding.hint)


def _checked(study: Study) -> list[Finding]:
    findings = []
    bounds = (
        ("study.duration_s", study.study.duration_s, 1.0, 86_400.0),
        ("study.dt_s", study.study.dt_s, 1e-4, 0.1),
        ("study.chunk", study.study.chunk, 1, 100_000),
        ("contingency.at_s", study.contingency.at_s, 0.0, study.study.duration_s - 0.5),
    )
    for where, value, low, high in bounds:
        if not low <= value <= high:
            findings.append(Finding(where, f"{value:g} is outside {low:g} to {high:g}"))
    if not study.fleet:
        findings.append(Finding("fleet", "a study needs at least one [[fleet]]"))
    try:
        nominal_hz = study.system.nominal_hz
    except ConfigurationError as error:
        return [*findings, *error.findings]
    if not study.system.inertia_s > 0.0:
        findings.append(Finding("grid.inertia_s", "must be above 0"))
    for at, fleet in enumerate(study.fleet):
        findings += _fleet_checked(fleet, f"fleet[{at}]", nominal_hz)
    searched = study.limit.search_share or study.limit.search_delay_s
    if searched and study.limit.nadir_hz is None and study.limit.rocof_hz_s is None:
        findings.append(Finding("limit", "a search needs nadir_hz or rocof_hz_s"))
    if study.sweep is not None and study.sweep.share and any(f.share is None for f in study.fleet):
        findings.append(Finding("sweep.share", "needs the share of every fleet"))
    return findings


def _fleet_checked(fleet: FleetSpec, where: str, nominal_hz: float) -> list[Finding]:
    findings = []
    if not 1 <= fleet.count <= 10_000_000:
        findings.append(Finding(f"{where}.count", f"{fleet.count} is outside 1 to 10000000"))
    if isinstance(fleet.available, str) and fleet.available not in availability_profiles():
        known = ", ".join(sorted(availability_profiles()))
        findings.append(
            Finding(f"{where}.available", f"unknown {fleet.available!r}", f"known: {known}")
        )
    if isinstance(fleet.available, tuple) and len(fleet.available) != 24:
        findings.append(Finding(f"{where}.available", "one number, or 24 of them"))
    if fleet.share is not None and not 0.0 <= fleet.share <= 100.0:
        findings.append(Finding(f"{where}.share", f"{fleet.share:g} is outside 0 to 100"))
    for name in QUANTITIES:
        quantity = getattr(fleet, name)
        if not isinstance(quantity, Spread) and not (math.isfinite(quantity) and quantity >= 0.0):
            findings.append(Finding(f"{where}.{name}", f"{quantity:g} is below 0 or no number"))
    try:
        fleet.parameters(nominal_hz)
    except ConfigurationError as error:
        findings += [Finding(f"{where}.preset", f.what, f.hint) for f in error.findings]
    return findings
