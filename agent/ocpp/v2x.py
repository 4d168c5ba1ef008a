"""Operation modes of OCPP 2.1 block Q: what each may say, as a charging profile.

The table of permitted fields is "Limits and setpoints per operation mode" of OCPP 2.1 part 2,
block Q; the table of purposes is table 95. Powers here are exports (discharge) when positive; on
the wire a setpoint is negative for discharge, a discharge limit is negative, a charge limit
positive, and a curve's power negative for discharge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from agent.errors import RefusedError
from agent.ocpp.frames import Payload
from agent.ocpp.timestamps import format_utc

MAX_CURVE_POINTS: Final = 20
Phases = tuple[float, float, float]


class OperationMode(StrEnum):
    """OperationModeEnumType."""

    IDLE = "Idle"
    CHARGING_ONLY = "ChargingOnly"
    CENTRAL_SETPOINT = "CentralSetpoint"
    EXTERNAL_SETPOINT = "ExternalSetpoint"
    EXTERNAL_LIMITS = "ExternalLimits"
    CENTRAL_FREQUENCY = "CentralFrequency"
    LOCAL_FREQUENCY = "LocalFrequency"
    LOCAL_LOAD_BALANCING = "LocalLoadBalancing"


@dataclass(frozen=True, slots=True)
class _Fields:
    required: frozenset[str]
    optional: frozenset[str] = frozenset()


_LIMITS: Final = frozenset({"limit", "discharge_limit"})
_FIELDS: Final[dict[OperationMode, _Fields]] = {
    OperationMode.IDLE: _Fields(frozenset()),
    OperationMode.CHARGING_ONLY: _Fields(frozenset({"limit"})),
    OperationMode.CENTRAL_SETPOINT: _Fields(frozenset({"setpoint"}), _LIMITS | {"reactive"}),
    OperationMode.EXTERNAL_SETPOINT: _Fields(frozenset(), _LIMITS),
    OperationMode.EXTERNAL_LIMITS: _Fields(frozenset()),
    OperationMode.CENTRAL_FREQUENCY: _Fields(frozenset({"setpoint"}), _LIMITS),
    OperationMode.LOCAL_FREQUENCY: _Fields(
        frozenset({"freq_watt"}), frozenset({"signal_watt", "baseline"})
    ),
    OperationMode.LOCAL_LOAD_BALANCING: _Fields(frozenset()),
}


@dataclass(frozen=True, slots=True)
class V2xPeriod:
    """One period of a V2X schedule; None or empty where the mode does not use it.

    Attributes:
        setpoint_w: All phases together, or one value a phase; positive exports.
        limit_w, discharge_limit_w: Magnitudes.
        reactive_var: Positive injects (capacitive).
        freq_watt: (Hz, W of export) points, rising in frequency.
        signal_watt: (signal, W of export) points, rising in signal.
    """

    mode: OperationMode
    setpoint_w: float | Phases | None = None
    limit_w: float | Phases | None = None
    discharge_limit_w: float | Phases | None = None
    reactive_var: float | Phases | None = None
    baseline_w: float | None = None
    freq_watt: tuple[tuple[float, float], ...] = ()
    signal_watt: tuple[tuple[int, float], ...] = ()


def period_payload(period: V2xPeriod) -> Payload:
    """Return a ChargingSchedulePeriod that starts at once.

    Raises:
        RefusedError: A value is not finite, a limit is negative, a curve is not a function, or
            the mode does not permit or lacks a field.
    """
    given = {
        "setpoint": period.setpoint_w,
        "limit": period.limit_w,
        "discharge_limit": period.discharge_limit_w,
        "reactive": period.reactive_var,
        "baseline": period.baseline_w,
        "freq_watt": period.freq_watt or None,
        "signal_watt": period.signal_watt or None,
    }
    _check_fields(period.mode, {name for name, value in given.items() if value is not None})
    payload: Payload = {"startPeriod": 0, "operationMode": period.mode.value}
    payload |= _phased("setpoint", period.setpoint_w, -1.0)
    payload |= _phased("limit", _magnitude(period.limit_w), 1.0)
    payload |= _phased("dischargeLimit", _magnitude(period.discharge_limit_w), -1.0)
    payload |= _phased("setpointReactive", period.reactive_var, -1.0)
    payload |= _phased("v2xBaseline", period.baseline_w, -1.0)
    if period.freq_watt:
        payload["v2xFreqWattCurve"] = [
            {"frequency": _finite(f_hz), "power": _wire(p_w, -1.0)}
            for f_hz, p_w in _rising(period.freq_watt)
        ]
    if period.signal_watt:
        payload["v2xSignalWattCurve"] = [
            {"signal": signal, "power": _wire(p_w, -1.0)}
            for signal, p_w in _rising(period.signal_watt)
        ]
    return payload


def schedule_update(period: V2xPeriod) -> Payload:
    """Return the ChargingScheduleUpdate of a dynamic profile in this period's mode (K28)."""
    payload = period_payload(period)
    return {key: value for key, value in payload.items() if _is_update_field(key)}


def droop_curve(
    nominal_hz: float, deadband_hz: float, droop_pu: float, p_max_w: float
) -> tuple[tuple[float, float], ...]:
    """Return the freq-watt points of a droop with full power `p_max_w` in both directions.

    Args:
        nominal_hz: Frequency of no power.
        deadband_hz: Half width of the flat part.
        droop_pu: Deviation beyond the deadband, per unit of `nominal_hz`, for full power.
        p_max_w: Magnitude; export at low frequency.
    """
    full_hz = deadband_hz + droop_pu * nominal_hz
    return (
        (nominal_hz - full_hz, p_max_w),
        (nominal_hz - deadband_hz, 0.0),
        (nominal_hz + deadband_hz, 0.0),
        (nominal_hz + full_hz, -p_max_w),
    )


def mode_request(
    evse: int,
    profile_id: int,
    stack_level: int,
    transaction_id: str,
    period: V2xPeriod,
    duration_s: int,
    now_utc_s: float | None = None,
) -> Payload:
    """Return the SetChargingProfile payload that puts an EVSE into a mode for `duration_s`.

    Modes whose values come later from us are dynamic profiles and start on arrival; the others
    are absolute and start at `now_utc_s`. Both end by themselves: `duration` is the dead-man.

    Raises:
        RefusedError: As `period_payload`.
    """
    schedule: Payload = {
        "id": 1,
        "chargingRateUnit": "W",
        "duration": duration_s,
        "chargingSchedulePeriod": [period_payload(period)],
    }
    if now_utc_s is not None:
        schedule["startSchedule"] = format_utc(now_utc_s)
    return {
        "evseId": evse,
        "chargingProfile": {
            "id": profile_id,
            "stackLevel": stack_level,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Dynamic" if now_utc_s is None else "Absolute",
            "transactionId": transaction_id,
            "chargingSchedule": [schedule],
        },
    }


def _check_fields(mode: OperationMode, given: set[str]) -> None:
    fields = _FIELDS[mode]
    if missing := fields.required - given:
        raise RefusedError(f"{mode} needs {', '.join(sorted(missing))}")
    if surplus := given - fields.required - fields.optional:
        raise RefusedError(f"{mode} does not permit {', '.join(sorted(surplus))}")


def _phased(name: str, value: float | Phases | None, sign: float) -> Payload:
    if value is None:
        return {}
    if isinstance(value, tuple):
        names = (name, f"{name}_L2", f"{name}_L3")
        return {key: _wire(each, sign) for key, each in zip(names, value, strict=True)}
    return {name: _wire(value, sign)}


def _magnitude(value: float | Phases | None) -> float | Phases | None:
    values = value if isinstance(value, tuple) else (value,)
    if any(each is not None and each < 0.0 for each in values):
        raise RefusedError("a limit is a magnitude and cannot be negative")
    return value


def _rising(points: tuple[tuple[float, float], ...]) -> Iterable[tuple[float, float]]:
    if not 2 <= len(points) <= MAX_CURVE_POINTS:
        raise RefusedError(f"a curve has 2 to {MAX_CURVE_POINTS} points")
    if any(right[0] <= left[0] for left, right in pairwise(points)):
        raise RefusedError("a curve's points must rise")
    return points


def _wire(value: float, sign: float) -> float:
    return round(_finite(value) * sign, 1) + 0.0  # never "-0.0" on the wire


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise RefusedError("a value that is not a finite number")
    return value


def _is_update_field(key: str) -> bool:
    return key.split("_", 1)[0] in {"limit", "dischargeLimit", "setpoint", "setpointReactive"}
