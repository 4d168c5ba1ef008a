"""One power order as each version can say it.

2.1 says it exactly: a dynamic profile in operation mode CentralSetpoint with a signed setpoint
(block Q) whose `duration` ends it when nothing follows. 2.0.1 and 1.6, and a 2.1 station whose
vehicle only charges, know an upper limit of charging, which can never mean discharge.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from agent.errors import RefusedError
from agent.ocpp.frames import Payload
from agent.ocpp.timestamps import format_utc
from agent.ocpp.v2x import OperationMode, V2xPeriod, schedule_update
from agent.ocpp.version import Version

PROFILE_ID: Final = 61_850
"""Our profile's id at every EVSE is this plus the EVSE's number: a new order replaces the old."""
STACK_LEVEL: Final = 8


class Order(msgspec.Struct, frozen=True, gc=False):
    """Power for one EVSE.

    Attributes:
        p_w: Positive exports.
        duration_s: Seconds after which the station must forget the order.
        transaction_id: The transaction it belongs to (a number in 1.6).
        v2x: The vehicle takes setpoints; else the order is a charging limit.
        q_var: Reactive power, positive injects (capacitive); only a V2X order can say it.
        unit: `W` or `A`; amperes for stations that know nothing else.
        volts, phases: To turn watts into amperes.
        stack_level: Of the profile.
    """

    evse: int
    p_w: float
    duration_s: int
    transaction_id: str
    v2x: bool = False
    q_var: float = 0.0
    unit: str = "W"
    volts: float = 230.0
    phases: int = 3
    stack_level: int = STACK_LEVEL

    @property
    def profile_id(self) -> int:
        """Id of the charging profile that carries it."""
        return PROFILE_ID + self.evse


def order_request(version: Version, order: Order, now_utc_s: float) -> Payload:
    """Return the SetChargingProfile payload that carries `order`.

    Raises:
        RefusedError: The power is not finite, or means discharge where that cannot be said.
    """
    if not (math.isfinite(order.p_w) and math.isfinite(order.q_var)):
        raise RefusedError("a setpoint that is not a finite number")
    if order.v2x and version is Version.V21:
        return _central_setpoint(order)
    if order.p_w > 0.0:
        raise RefusedError(f"{version.label} cannot order this vehicle to discharge")
    return _limit_16(order, now_utc_s) if version is Version.V16 else _limit_2x(order, now_utc_s)


def update_request(order: Order) -> Payload:
    """Return the UpdateDynamicSchedule payload that moves a CentralSetpoint profile (K28)."""
    period = V2xPeriod(OperationMode.CENTRAL_SETPOINT, setpoint_w=order.p_w)
    return {"chargingProfileId": order.profile_id, "scheduleUpdate": schedule_update(period)}


def _central_setpoint(order: Order) -> Payload:
    """What `v2x.mode_request` makes of a CentralSetpoint, without its general checks.

    An order that is already inside the vehicle's envelope leaves none of them to do, and a burst
    has thousands.
    """
    period: Payload = {
        "startPeriod": 0,
        "operationMode": OperationMode.CENTRAL_SETPOINT.value,
        "setpoint": round(-order.p_w, 1) + 0.0,
    }
    if order.q_var:
        period["setpointReactive"] = round(-order.q_var, 1) + 0.0
    schedule = {
        "id": 1,
        "chargingRateUnit": "W",
        "duration": order.duration_s,
        "chargingSchedulePeriod": [period],
    }
    return _tx_profile(order, "Dynamic", schedule)


def _limit_2x(order: Order, now_utc_s: float) -> Payload:
    schedule = {
        "id": 1,
        "startSchedule": format_utc(now_utc_s),
        "chargingRateUnit": order.unit,
        "duration": order.duration_s,
        "chargingSchedulePeriod": [_limit_period(order)],
    }
    return _tx_profile(order, "Absolute", schedule)


def _tx_profile(order: Order, kind: str, schedule: Payload) -> Payload:
    profile = {
        "id": PROFILE_ID + order.evse,
        "stackLevel": order.stack_level,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": kind,
        "transactionId": order.transaction_id,
        "chargingSchedule": [schedule],
    }
    return {"evseId": order.evse, "chargingProfile": profile}


def _limit_16(order: Order, now_utc_s: float) -> Payload:
    profile: dict[str, Any] = {
        "chargingProfileId": order.profile_id,
        "transactionId": int(order.transaction_id),
        "stackLevel": order.stack_level,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": format_utc(now_utc_s),
            "duration": order.duration_s,
            "chargingRateUnit": order.unit,
            "chargingSchedulePeriod": [_limit_period(order)],
        },
    }
    return {"connectorId": order.evse, "csChargingProfiles": profile}


def _limit_period(order: Order) -> Payload:
    """One period; the limit has one decimal at most (1.6: `multipleOf` 0.1)."""
    limit = -order.p_w
    if order.unit == "A":
        limit /= order.volts * order.phases
    period: Payload = {"startPeriod": 0, "limit": round(limit, 1) + 0.0}
    if order.unit == "A" and order.phases != 3:
        period["numberPhases"] = order.phases
    return period
