"""Which conditions hold that someone must know of, with what to do about each."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from agent.control.fleet import Fleet
from agent.control.oscillation import Oscillation
from agent.control.parameters import Parameters
from agent.control.ride_through import Mode, RideThrough
from agent.control.sources import Frequency
from agent.control.stability import Limit
from agent.errors import AlarmCode
from agent.messages import Alarm

SOURCE = "control"
SHORT_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong now, and what to do about it."""

    code: AlarmCode
    source: str
    text: str
    advice: str


def update(
    active: tuple[Alarm, ...], conditions: list[Condition], utc_s: float
) -> tuple[tuple[Alarm, ...], tuple[Alarm, ...]]:
    """Return the alarms active now, and those that ended; a lasting one keeps its first time."""
    if not active and not conditions:
        return (), ()
    known = {(alarm.code, alarm.source): alarm for alarm in active}
    now = {(item.code, item.source): item for item in conditions}
    fresh = tuple(
        known.get(key) or Alarm(item.code, True, item.source, item.text, item.advice, utc_s)
        for key, item in now.items()
    )
    ended = tuple(
        msgspec.structs.replace(alarm, active=False)
        for key, alarm in known.items()
        if key not in now
    )
    return fresh, ended


def of_frequency(frequency: Frequency, now_s: float, p: Parameters) -> list[Condition]:
    """Frequency lost (0x15), out of bounds (0x14), sources that disagree (0x16)."""
    found: list[Condition] = []
    if frequency.disagreed(now_s, p):
        every = tuple(report.measurement.source for report in frequency.reports)
        names = ", ".join(frequency.set_aside(now_s, p) or every)
        found.append(
            Condition(
                AlarmCode.FREQUENCY_SOURCES_DISAGREE,
                SOURCE,
                f"frequency sources differ by more than {p.disagree_hz * 1000:g} mHz: {names}",
                "compare the sources with a reference; remove the wrong one",
            )
        )
    report = frequency.measurement
    if frequency.lost:
        found.append(
            Condition(
                AlarmCode.FREQUENCY_LOST,
                SOURCE,
                f"no usable frequency for more than {p.hold_s:g} s",
                "check the merging unit, its network and the process bus worker",
            )
        )
    elif report is not None and abs(report.f_hz - p.nominal_hz) > p.alarm_band_hz:
        low_hz, high_hz = p.nominal_hz - p.alarm_band_hz, p.nominal_hz + p.alarm_band_hz
        found.append(
            Condition(
                AlarmCode.FREQUENCY_OUT_OF_BOUNDS,
                SOURCE,
                f"frequency outside {low_hz:.1f} to {high_hz:.1f} Hz",
                "check the sense-line isolation; look for local inductive loads",
            )
        )
    return found


def of_loop(ride: RideThrough, limit: Limit, swing: Oscillation) -> list[Condition]:
    """Ride-through (0x41), gain limited (0x42), oscillation (0x44)."""
    found: list[Condition] = []
    if ride.mode is not Mode.RUN:
        found.append(
            Condition(
                AlarmCode.RIDE_THROUGH,
                SOURCE,
                f"{ride.mode}: {ride.reason}",
                "the fleet returns by itself when the grid allows it",
            )
        )
    if limit.reason:
        found.append(
            Condition(
                AlarmCode.GAIN_LIMITED,
                SOURCE,
                limit.reason,
                "find the slow stations; check the inertia that is configured",
            )
        )
    if swing.gain < 1.0:
        found.append(
            Condition(
                AlarmCode.OSCILLATION,
                SOURCE,
                f"the frequency swings steadily; gain reduced to {swing.gain:.0%}",
                "compare the configured inertia and delays with the area's",
            )
        )
    return found


def of_delivery(short_s: float, vetoed: int, fleet: Fleet, now_s: float) -> list[Condition]:
    """Shortfall (0x43), guard (0x40), vehicles disconnected by their BMS (0x51)."""
    found: list[Condition] = []
    if now_s - short_s > SHORT_FOR_S:
        found.append(
            Condition(
                AlarmCode.SHORTFALL,
                SOURCE,
                "the fleet cannot give what is asked of it",
                "more vehicles are needed, or a smaller contract",
            )
        )
    if vetoed:
        found.append(
            Condition(
                AlarmCode.GUARD_VETO,
                SOURCE,
                f"the guard changed {vetoed} orders that left the envelope",
                "report this with the audit log; the orders sent were safe",
            )
        )
    resting = np.flatnonzero((fleet.own.faults > 0) & (fleet.own.rest_until_s > now_s))
    found += [
        Condition(
            AlarmCode.BMS_DISCONNECT,
            fleet.ids[row],
            f"the vehicle disconnected under power ({fleet.own.faults[row]:.0f} times)",
            "if it happens again, exclude this vehicle or lower its discharge limit",
        )
        for row in resting.tolist()
    ]
    return found
