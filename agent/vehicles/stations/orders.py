"""From a `Setpoint` or `ModeOrder` of the control to an order that one station can carry out."""

from __future__ import annotations

import math

from agent.errors import RefusedError
from agent.messages import ModeOrder, Setpoint
from agent.ocpp import Payload, Version
from agent.ocpp.profiles import PROFILE_ID, Order
from agent.ocpp.v2x import OperationMode, V2xPeriod, mode_request
from agent.vehicles.stations.evse import Envelope, Evse
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.station import Station

_DYNAMIC = frozenset({OperationMode.CENTRAL_SETPOINT, OperationMode.CENTRAL_FREQUENCY})


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
    duration_s = _ready(evse, setpoint.issued_s + setpoint.lease_s - now_s)
    model, v2x = station.model, evse.can_discharge
    return Order(
        evse=evse.number,
        p_w=_within(evse.envelope, setpoint.p_w, model.step_w),
        duration_s=duration_s,
        transaction_id=evse.transaction_id,
        v2x=v2x,
        q_var=setpoint.q_var if v2x and model.reactive else 0.0,
        unit=model.unit,
        volts=model.volts,
        phases=model.phases,
        stack_level=model.stack_level,
    )


def plan_mode(station: Station, evse: Evse, order: ModeOrder, at: Instant) -> Payload:
    """Return the SetChargingProfile payload of an operation mode.

    Raises:
        RefusedError: The station does not speak 2.1, the vehicle cannot discharge and the mode
            needs it, a value is not finite, or there is no vehicle.
    """
    if station.version is not Version.V21:
        raise RefusedError(f"{station.version.label} has no operation modes")
    try:
        mode = OperationMode(order.mode)
    except ValueError as error:
        raise RefusedError(f"{order.mode!r} is no operation mode") from error
    if mode not in {OperationMode.IDLE, OperationMode.CHARGING_ONLY} and not evse.can_discharge:
        raise RefusedError(f"{mode} needs a vehicle that can discharge")
    duration_s = _ready(evse, order.issued_s + order.lease_s - at.mono_s)
    return mode_request(
        evse.number,
        PROFILE_ID + evse.number,
        station.model.stack_level,
        evse.transaction_id,
        _period(mode, order, evse.envelope, station.model.setpoint_sign),
        duration_s,
        None if mode in _DYNAMIC else at.utc_s,
    )


def _period(mode: OperationMode, order: ModeOrder, envelope: Envelope, sign: int) -> V2xPeriod:
    charge_w = _least(order.charge_limit_w, envelope.charge_max_w)
    discharge_w = _least(order.discharge_limit_w, envelope.discharge_max_w)
    match mode:
        case OperationMode.CHARGING_ONLY:
            return V2xPeriod(mode, limit_w=charge_w)
        case OperationMode.CENTRAL_SETPOINT | OperationMode.CENTRAL_FREQUENCY:
            return V2xPeriod(
                mode,
                setpoint_w=sign * _within(envelope, order.p_w, 0.0),
                limit_w=charge_w,
                discharge_limit_w=discharge_w,
            )
        case OperationMode.EXTERNAL_SETPOINT:
            return V2xPeriod(mode, limit_w=charge_w, discharge_limit_w=discharge_w)
        case OperationMode.LOCAL_FREQUENCY:
            return V2xPeriod(
                mode,
                baseline_w=sign * _within(envelope, order.baseline_w, 0.0),
                freq_watt=tuple((f, sign * _within(envelope, p, 0.0)) for f, p in order.freq_watt),
                signal_watt=tuple(
                    (signal, sign * _within(envelope, p, 0.0)) for signal, p in order.signal_watt
                ),
            )
        case _:
            return V2xPeriod(mode)


def _ready(evse: Evse, left_s: float) -> int:
    """Check that there is someone to order; return the duration in whole seconds."""
    if not 0.0 < left_s < math.inf:
        raise RefusedError("its lease has ended")
    if evse.faulted:
        raise RefusedError(f"the EVSE is out of order: {evse.faulted}")
    if not evse.transaction_id:
        raise RefusedError("no vehicle is connected")
    if not evse.model.orders:
        raise RefusedError(f"stations of model {evse.model.name} take no orders")
    return max(1, int(left_s))


def _within(envelope: Envelope, p_w: float, step_w: float) -> float:
    if not math.isfinite(p_w):
        raise RefusedError("a value that is not a finite number")
    p_w = min(max(p_w, -envelope.charge_max_w), envelope.discharge_max_w)
    if step_w > 0.0:
        p_w = math.trunc(p_w / step_w) * step_w
    least_w = envelope.charge_min_w if p_w < 0.0 else envelope.discharge_min_w
    return 0.0 if abs(p_w) < least_w else p_w


def _least(wish_w: float | None, most_w: float) -> float:
    if wish_w is None:
        return most_w
    if not math.isfinite(wish_w):
        raise RefusedError("a value that is not a finite number")
    return min(max(0.0, wish_w), most_w)
