"""From a `Setpoint` of the control to an order that one station can carry out."""

from __future__ import annotations

import math

from agent.errors import RefusedError
from agent.messages import Setpoint
from agent.ocpp.profiles import Order
from agent.vehicles.stations.evse import Evse
from agent.vehicles.stations.station import Station


def plan(station: Station, evse: Evse, setpoint: Setpoint, now_s: float) -> Order:
    """Return the order, inside the limits of station and vehicle.

    Discharge is never faked: where it cannot be said or done, the order is to charge nothing.
    The duration is what is left of the lease, in whole seconds, so that the station forgets the
    order when the control would want it to.

    Raises:
        RefusedError: Not finite, expired, or there is no vehicle to order.
    """
    if not (math.isfinite(setpoint.p_w) and math.isfinite(setpoint.q_var)):
        raise RefusedError("a setpoint that is not a finite number")
    left_s = setpoint.issued_s + setpoint.lease_s - now_s
    if not 0.0 < left_s < math.inf:
        raise RefusedError("its lease has ended")
    if evse.faulted:
        raise RefusedError(f"the EVSE is out of order: {evse.faulted}")
    if not evse.transaction_id:
        raise RefusedError("no vehicle is connected")
    model = station.model
    return Order(
        evse=evse.number,
        p_w=_within(evse, setpoint.p_w),
        duration_s=max(1, int(left_s)),
        transaction_id=evse.transaction_id,
        q_var=setpoint.q_var,
        unit=model.unit,
        volts=model.volts,
        phases=model.phases,
        stack_level=model.stack_level,
    )


def _within(evse: Evse, p_w: float) -> float:
    p_w = min(max(p_w, -evse.charge_limit_w), evse.discharge_limit_w)
    if evse.step_w > 0.0:
        p_w = math.trunc(p_w / evse.step_w) * evse.step_w
    return 0.0 if _below_minimum(evse, p_w) else p_w


def _below_minimum(evse: Evse, p_w: float) -> bool:
    if p_w < 0.0:
        return -p_w < max(evse.charge_min_w, evse.ev.charge_min_w)
    return p_w < max(evse.discharge_min_w, evse.ev.discharge_min_w)
