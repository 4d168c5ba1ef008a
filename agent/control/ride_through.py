"""Trip, ride-through and return to service (IEEE 1547-2018, 6.4, 6.5 and 4.10; EN 50549-1, 4.5).

Each trip element has one timer: it starts when the value passes the threshold, stops when the
value is back by the hysteresis, and trips the fleet at the clearing time. Beyond the cessation
voltages the fleet ceases at once and is back as soon as the voltage is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from agent.control.attack import random_delay_s
from agent.control.parameters import Parameters
from agent.messages import DigitalInput, Measurement, Validity

HYSTERESIS_PU: Final = 0.01
HYSTERESIS_HZ: Final = 0.02
PHASES: Final = "abc"


class Mode(StrEnum):
    """What the grid at the point of connection permits."""

    RUN = "run"
    CEASED = "ceased"
    TRIPPED = "tripped"
    INTERLOCKED = "interlocked"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class RideThrough:
    """State of the trip elements and of the return.

    Attributes:
        mode, reason: What is permitted, and why.
        since_s: Begin of the mode; in `RETURNING` the begin of the ramp.
        entered_s: Monotonic instant at which each element was entered; absent while it is not.
        healthy_s: Since when voltage and frequency allow the return; NaN while they do not.
        ramp_s: Length of the ramp of this return.
        returns: Number of returns so far.
        inputs: Last state of each two-state input.
    """

    mode: Mode = Mode.RUN
    reason: str = ""
    since_s: float = -math.inf
    entered_s: dict[str, float] = field(default_factory=dict)
    healthy_s: float = math.nan
    ramp_s: float = 0.0
    returns: int = 0
    inputs: dict[str, DigitalInput] = field(default_factory=dict)

    @property
    def permitted(self) -> bool:
        """Power may flow for the grid."""
        return self.mode in (Mode.RUN, Mode.RETURNING)

    def cap(self, now_s: float) -> float:
        """Return the share of its power that the fleet may use now, 0 to 1."""
        if self.mode is not Mode.RETURNING:
            return 1.0 if self.mode is Mode.RUN else 0.0
        return min(max((now_s - self.since_s) / max(self.ramp_s, 1e-9), 0.0), 1.0)


def advance(
    state: RideThrough,
    report: Measurement | None,
    inputs: tuple[DigitalInput, ...],
    now_s: float,
    p: Parameters,
) -> RideThrough:
    """Return the state after a new report of voltage and frequency, or after none (None)."""
    if inputs:
        latest = {item.name: item for item in inputs}
        state = replace(state, inputs=state.inputs | latest)
    phases = () if report is None else phases_pu(report, p)
    if report is not None:
        state = _timed(state, phases, report.f_hz, now_s, p)
    blocked = _blocking(state.inputs)
    if blocked is not None:
        return _enter(state, *blocked, now_s)
    tripped = _expired(state, now_s, p)
    if tripped:
        return _enter(state, Mode.TRIPPED, tripped, now_s)
    if state.mode is not Mode.TRIPPED and report is not None:
        ceased = _cease_reason(phases, p)
        if ceased:
            return _enter(state, Mode.CEASED, ceased, now_s)
        if state.mode is Mode.CEASED:
            return replace(state, mode=Mode.RUN, reason="", since_s=now_s)
    return _returned(state, phases, report, now_s, p)


def phases_pu(report: Measurement, p: Parameters) -> tuple[float, ...]:
    """Return the voltages in pu: of each phase, or the positive sequence; empty if unknown."""
    volts = report.v_phase_v or (report.v1_v,)
    known = tuple(volt / p.nominal_v for volt in volts if math.isfinite(volt) and volt >= 0.0)
    return known if any(known) or report.v_phase_v else ()


def _timed(
    state: RideThrough, phases: tuple[float, ...], f_hz: float, now_s: float, p: Parameters
) -> RideThrough:
    """Start and stop the timers: one for each element and phase, and each frequency element."""
    entered_s = dict(state.entered_s)
    checks = [
        (f"{name} phase {phase}", name, value, limit, HYSTERESIS_PU)
        for name, limit, _ in p.ride_through.voltage
        for phase, value in zip(PHASES, phases, strict=False)
    ]
    checks += [
        (name, name, f_hz, limit, HYSTERESIS_HZ) for name, limit, _ in p.ride_through.frequency
    ]
    for key, name, value, limit, hysteresis in checks:
        beyond = value - limit if name.startswith("O") else limit - value
        if beyond > 0.0:
            entered_s.setdefault(key, now_s)
        elif beyond <= -hysteresis:
            entered_s.pop(key, None)
    return replace(state, entered_s=entered_s)


def _expired(state: RideThrough, now_s: float, p: Parameters) -> str:
    elements = (*p.ride_through.voltage, *p.ride_through.frequency)
    clearing_s = {name: time_s for name, _, time_s in elements}
    over = (
        f"{key}: longer than {clearing_s[key.split()[0]]:g} s"
        for key, since_s in state.entered_s.items()
        if now_s - since_s >= clearing_s[key.split()[0]]
    )
    return next(over, "")


def _cease_reason(phases: tuple[float, ...], p: Parameters) -> str:
    low, high = p.ride_through.cease_v
    if phases and min(phases) < low:
        return f"voltage {min(phases):.2f} pu below the ride-through threshold {low:g} pu"
    if phases and max(phases) > high:
        return f"voltage {max(phases):.2f} pu above {high:g} pu"
    return ""


def _blocking(inputs: dict[str, DigitalInput]) -> tuple[Mode, str] | None:
    """Return what a two-state input forbids.

    One that cannot be trusted interlocks while that lasts: safe, but no trip, after which a grid
    code would keep the fleet away for minutes because of a message that was late.
    """
    for name, dangerous, mode in (
        ("interlock", True, Mode.INTERLOCKED),
        ("islanded", True, Mode.TRIPPED),
        ("breaker_closed", False, Mode.TRIPPED),
    ):
        item = inputs.get(name)
        if item is None:
            continue
        if item.quality is not Validity.GOOD:
            return Mode.INTERLOCKED, f"{name}: quality {item.quality}"
        if item.value is dangerous:
            return mode, f"{name}: {'set' if dangerous else 'open'}"
    return None


def _enter(state: RideThrough, mode: Mode, reason: str, now_s: float) -> RideThrough:
    if state.mode is mode:
        return replace(state, healthy_s=math.nan)
    return replace(state, mode=mode, reason=reason, since_s=now_s, healthy_s=math.nan)


def _returned(
    state: RideThrough,
    phases: tuple[float, ...],
    report: Measurement | None,
    now_s: float,
    p: Parameters,
) -> RideThrough:
    code = p.ride_through
    if state.mode is Mode.INTERLOCKED:
        begin_s = now_s + random_delay_s(p, state.returns)
        return _returning(state, begin_s, 1.0 / p.ramp_share_per_s)
    if state.mode is Mode.TRIPPED and report is not None:
        low_hz, high_hz = code.return_f_hz
        within = all(code.return_v[0] <= v <= code.return_v[1] for v in phases)
        if not (within and low_hz <= report.f_hz <= high_hz):
            return replace(state, healthy_s=math.nan)
        if math.isnan(state.healthy_s):
            return replace(state, healthy_s=now_s)
    if state.mode is Mode.TRIPPED and not math.isnan(state.healthy_s):
        delay_s = code.return_delay_s + random_delay_s(p, state.returns)
        if now_s - state.healthy_s >= delay_s:
            return _returning(state, now_s, code.return_ramp_s)
    if state.mode is Mode.RETURNING and state.cap(now_s) >= 1.0:
        return replace(state, mode=Mode.RUN, reason="", since_s=now_s)
    return state


def _returning(state: RideThrough, begin_s: float, ramp_s: float) -> RideThrough:
    return replace(
        state,
        mode=Mode.RETURNING,
        reason=f"return to service after {state.reason}",
        since_s=begin_s,
        ramp_s=ramp_s,
        returns=state.returns + 1,
    )
