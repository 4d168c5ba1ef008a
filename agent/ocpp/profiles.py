"""Charging profiles: one power order as each version can say it, and read back.

2.1 says it exactly: a dynamic profile in operation mode CentralSetpoint with a signed setpoint
(negative discharges; block Q, use case Q03) whose `duration` ends it when nothing follows.
2.0.1 and 1.6 know only an upper limit of charging, which can never mean discharge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from agent.errors import RefusedError
from agent.ocpp.frames import Payload
from agent.ocpp.timestamps import format_utc
from agent.ocpp.version import Version

PROFILE_ID: Final = 61_850
"""Our profile's id at every EVSE is this plus the EVSE's number: a new order replaces the old."""
STACK_LEVEL: Final = 8


@dataclass(frozen=True, slots=True)
class Order:
    """Power for one EVSE.

    Attributes:
        p_w: Positive exports.
        duration_s: Seconds after which the station must forget the order.
        transaction_id: The transaction it belongs to (a number in 1.6).
        q_var: Reactive power, positive injects (capacitive); only 2.1 can say it.
        unit: `W` or `A`; amperes for stations that know nothing else.
        volts, phases: To turn watts into amperes.
        stack_level: Of the profile.
    """

    evse: int
    p_w: float
    duration_s: int
    transaction_id: str
    q_var: float = 0.0
    unit: str = "W"
    volts: float = 230.0
    phases: int = 3
    stack_level: int = STACK_LEVEL


def order_request(version: Version, order: Order, now_utc_s: float) -> Payload:
    """Return the SetChargingProfile payload that carries `order`.

    Raises:
        RefusedError: The power is not finite, or means discharge where the version cannot say it.
    """
    if not (math.isfinite(order.p_w) and math.isfinite(order.q_var)):
        raise RefusedError("a setpoint that is not a finite number")
    if version is Version.V21:
        return _v2x_setpoint(order)
    if order.p_w > 0.0:
        raise RefusedError(f"{version.label} cannot order discharge")
    return _limit_16(order, now_utc_s) if version is Version.V16 else _limit_201(order, now_utc_s)


def _v2x_setpoint(order: Order) -> Payload:
    period: Payload = {
        "startPeriod": 0,
        "operationMode": "CentralSetpoint",
        "setpoint": _rounded(-order.p_w, 1),
    }
    if order.q_var:
        period["setpointReactive"] = _rounded(-order.q_var, 1)
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "duration": order.duration_s,
        "chargingSchedulePeriod": [period],
    }
    return {"evseId": order.evse, "chargingProfile": _profile_2x(order, "Dynamic", schedule)}


def _limit_201(order: Order, now_utc_s: float) -> Payload:
    schedule = {
        "id": 1,
        "startSchedule": format_utc(now_utc_s),
        "chargingRateUnit": order.unit,
        "duration": order.duration_s,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": _limit(order)}],
    }
    return {"evseId": order.evse, "chargingProfile": _profile_2x(order, "Absolute", schedule)}


def _profile_2x(order: Order, kind: str, schedule: Payload) -> Payload:
    return {
        "id": PROFILE_ID + order.evse,
        "stackLevel": order.stack_level,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": kind,
        "transactionId": order.transaction_id,
        "chargingSchedule": [schedule],
    }


def _limit_16(order: Order, now_utc_s: float) -> Payload:
    profile: dict[str, Any] = {
        "chargingProfileId": PROFILE_ID + order.evse,
        "transactionId": int(order.transaction_id),
        "stackLevel": order.stack_level,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": format_utc(now_utc_s),
            "duration": order.duration_s,
            "chargingRateUnit": order.unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": _limit(order)}],
        },
    }
    return {"connectorId": order.evse, "csChargingProfiles": profile}


def _limit(order: Order) -> float:
    """Charging limit in the order's unit, one decimal (1.6: `multipleOf` 0.1)."""
    watts = -order.p_w
    return _rounded(watts / (order.volts * order.phases) if order.unit == "A" else watts, 1)


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never "-0.0" on the wire
