"""What all profiles of a station mean together, now and over a time (GetCompositeSchedule).

2.0.1 part 2, K01.FR.05 and 3.4: a TxProfile goes before the TxDefaultProfile, of each purpose the
highest stack level rules, and ChargingStationMaxProfile bounds the station as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from agent.ocpp.frames import Payload
from agent.ocpp.schedules import Curve, Period, Profile, Purpose
from agent.ocpp.timestamps import format_utc
from agent.ocpp.v2x import OperationMode
from agent.ocpp.version import Version

MAX_PERIODS: Final = 1024
STATION: Final = 0
"""The EVSE number that means the station as a whole."""


@dataclass(frozen=True, slots=True)
class Running:
    """The transaction at an EVSE."""

    transaction_id: str
    start_utc_s: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What the CSMS wants of one EVSE, or of the station; None where it wants nothing.

    Attributes:
        power_w: Setpoint, positive exports. `reactive_var`: positive injects.
        charge_w, discharge_w: Limits, magnitudes.
        freq_watt: The curve of LocalFrequency.
        profile: Which says so.
    """

    power_w: float | None = None
    reactive_var: float | None = None
    charge_w: float | None = None
    discharge_w: float | None = None
    freq_watt: Curve = ()
    mode: OperationMode | None = None
    profile: Profile | None = None


NOTHING: Final = Wish()


def wish_at(
    profiles: Iterable[Profile],
    evse: int,
    running: Running | None,
    t_utc_s: float,
    signal: int | None = None,
) -> tuple[Wish, float]:
    """Return what is wanted of an EVSE (0: the station) and until when that cannot change.

    Args:
        profiles: All that are installed.
        evse: Number of the EVSE.
        running: Its transaction; without one only the station's own limits matter.
        t_utc_s: The instant.
        signal: The last AFRRSignal, for modes that use it.
    """
    start_s = running.start_utc_s if running else math.nan
    until_s = math.inf
    best: tuple[tuple[int, int, int], Period, Profile] | None = None
    for profile in profiles:
        rank = _rank(profile, evse, running)
        if rank is None:
            continue
        period, changes_s = profile.at(t_utc_s, start_s)
        until_s = min(until_s, changes_s)
        if period is not None and (best is None or rank > best[0]):
            best = (rank, period, profile)
    if best is None:
        return NOTHING, until_s
    return _wish(best[1], best[2], signal), until_s


def composite(
    profiles: Iterable[Profile],
    evse: int,
    running: Running | None,
    start_utc_s: float,
    duration_s: float,
    signal: int | None = None,
) -> list[tuple[float, Wish]]:
    """Return (seconds from the start, wish) for each change within the duration."""
    profiles = list(profiles)
    found: list[tuple[float, Wish]] = []
    t_s, end_s = start_utc_s, start_utc_s + duration_s
    while t_s < end_s and len(found) < MAX_PERIODS:
        wish, until_s = wish_at(profiles, evse, running, t_s, signal)
        if not found or found[-1][1] != wish:
            found.append((t_s - start_utc_s, wish))
        t_s = max(until_s, t_s + 0.001)
    return found


def composite_payload(
    version: Version,
    evse: int,
    parts: list[tuple[float, Wish]],
    start_utc_s: float,
    duration_s: int,
    unit: str,
    watts_per_unit: float,
    idle_w: float,
) -> Payload:
    """Return the answer to GetCompositeSchedule.

    Args:
        version: Of the connection.
        evse: Whose schedule it is.
        parts: Of `composite`.
        start_utc_s: Where it starts.
        duration_s: Its length, as it was asked for.
        unit: `W` or `A`.
        watts_per_unit: 1 for W.
        idle_w: Limit where no profile gives one: what the equipment can charge.
    """
    periods = [_period(version, round(at_s), wish, watts_per_unit, idle_w) for at_s, wish in parts]
    start = format_utc(start_utc_s)
    if version is Version.V16:
        schedule = {
            "duration": duration_s,
            "startSchedule": start,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }
        head = {"status": "Accepted", "connectorId": evse, "scheduleStart": start}
        return {**head, "chargingSchedule": schedule}
    return {
        "status": "Accepted",
        "schedule": {
            "evseId": evse,
            "duration": duration_s,
            "scheduleStart": start,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


def on_curve(curve: Curve, x: float) -> float:
    """Return the power on a curve: straight lines between its points, flat outside."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x <= x0:
            return y0
        if x < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[-1][1]


def _rank(profile: Profile, evse: int, running: Running | None) -> tuple[int, int, int] | None:
    """Order of precedence; None where the profile says nothing about this EVSE."""
    station = profile.purpose is Purpose.STATION_MAX
    if evse == STATION:
        return (0, profile.stack_level, 0) if station else None
    if station or running is None or profile.evse not in (STATION, evse):
        return None
    if profile.purpose is Purpose.TX:
        named = profile.transaction_id
        return (1, profile.stack_level, 1) if named in ("", running.transaction_id) else None
    return (0, profile.stack_level, int(profile.evse == evse))


def _wish(period: Period, profile: Profile, signal: int | None) -> Wish:
    power_w, charge_w, discharge_w = period.setpoint_w, period.charge_w, period.discharge_w
    match period.mode:
        case OperationMode.IDLE:
            charge_w = discharge_w = 0.0
        case OperationMode.CHARGING_ONLY:
            discharge_w = 0.0
        case OperationMode.LOCAL_FREQUENCY if period.signal_watt and signal is not None:
            power_w = period.baseline_w + on_curve(period.signal_watt, float(signal))
        case OperationMode.LOCAL_FREQUENCY:
            power_w = period.baseline_w or None
    return Wish(
        power_w=power_w,
        reactive_var=period.setpoint_var,
        charge_w=charge_w,
        discharge_w=discharge_w,
        freq_watt=period.freq_watt,
        mode=period.mode,
        profile=profile,
    )


def _period(
    version: Version, start_s: int, wish: Wish, watts_per_unit: float, idle_w: float
) -> Payload:
    def unit_of(value_w: float) -> float:
        return round(value_w / watts_per_unit, 1) + 0.0

    charge_w = idle_w if wish.charge_w is None else min(wish.charge_w, idle_w)
    if version is not Version.V21 and wish.power_w is not None:
        charge_w = min(charge_w, max(0.0, -wish.power_w))  # the older words have limits only
    payload: Payload = {"startPeriod": start_s, "limit": unit_of(charge_w)}
    if version is not Version.V21 or wish.mode is None:
        return payload
    payload["operationMode"] = wish.mode.value
    if wish.power_w is not None:
        payload["setpoint"] = unit_of(-wish.power_w)
    if wish.discharge_w is not None:
        payload["dischargeLimit"] = unit_of(-wish.discharge_w)
    return payload
