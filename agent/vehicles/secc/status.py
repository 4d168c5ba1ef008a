"""What the control hears of one EVSE: limits of both sides, needs, state, measured power."""

from __future__ import annotations

import time

from agent.messages import EvseStatus, Validity
from agent.vehicles.secc.evse import Evse
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.session import Session


def evse_status(
    options: SeccOptions, evse: Evse, session: Session | None, fault: str, latency_s: float
) -> EvseStatus:
    """Return the status of this moment.

    Args:
        options: Setup of the SECC; its interface is the EVSE's name northbound.
        evse: The EVSE.
        session: The vehicle's session; None while there is none.
        fault: Why no energy may flow, where that is so.
        latency_s: From order to delivery, last measured; NaN before the first.
    """
    now_s = time.monotonic()
    reading = evse.stage.read()
    charge_w, discharge_w = evse.limits_w(now_s)
    in_loop = session is not None and session.controller.in_loop
    order = evse.order_in_force(now_s)
    vehicle = session.controller.ev_data_context if session else None
    needs = vehicle if in_loop else None
    return EvseStatus(
        evse_id=options.interface,
        protocol=session.protocol.name if session else "ISO15118",
        online=True,
        plugged=in_loop,
        t_utc_s=time.time(),
        published_s=now_s,
        quality=Validity.GOOD,
        p_w=reading.p_w,
        q_var=reading.q_var,
        charge_max_w=charge_w if in_loop else 0.0,
        discharge_max_w=discharge_w if in_loop else 0.0,
        charge_min_w=evse.ev.charge_min_w,
        discharge_min_w=evse.ev.discharge_min_w,
        base_w=evse.default_w if in_loop else 0.0,
        setpoint_w=order.p_w if order else None,
        soc_pct=_number(needs, "present_soc"),
        soc_min_pct=_number(needs, "min_soc"),
        soc_max_pct=_number(needs, "max_soc"),
        capacity_wh=_number(needs, "total_battery_capacity"),
        departure_utc_s=_departure(needs),
        energy_needed_wh=_number(needs, "target_energy_request"),
        latency_s=latency_s,
        voltage_v=(reading.voltage_v,),
        current_a=(reading.current_a,),
        energy_export_wh=evse.energy_export_wh,
        energy_import_wh=evse.energy_import_wh,
        ev_id=_vehicle_id(session),
        fault=fault,
    )


def _number(vehicle: object, name: str) -> float | None:
    value = getattr(vehicle, name, None)
    return None if value is None else float(value)


def _departure(vehicle: object) -> float | None:
    """DepartureTime is in seconds from the message that carried it."""
    seconds = _number(vehicle, "departure_time")
    return None if seconds is None else time.time() + seconds


def _vehicle_id(session: Session | None) -> str:
    """EVCCID, or the contract's eMAID where Plug & Charge named it."""
    if session is None:
        return ""
    if session.emaid:
        return str(session.emaid)
    evcc_id = session.evcc_id
    if isinstance(evcc_id, bytes):
        return evcc_id.hex()
    return str(evcc_id or "")
