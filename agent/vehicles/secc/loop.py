"""The charge loop's answers: the order of the moment in the terms of each service and mode."""

from __future__ import annotations

from typing import Any

from iso15118.shared.messages.enums import ControlMode, ServiceV20
from iso15118.shared.messages.iso15118_20.ac import (
    BPTDynamicACChargeLoopResParams,
    BPTScheduledACChargeLoopResParams,
    DynamicACChargeLoopResParams,
    ScheduledACChargeLoopResParams,
)
from iso15118.shared.messages.iso15118_20.dc import (
    BPTDynamicDCChargeLoopRes,
    BPTScheduledDCChargeLoopResParams,
    DynamicDCChargeLoopRes,
    ScheduledDCChargeLoopResParams,
)

from agent.vehicles.secc.evse import Evse
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.values import rational


def ac_answer(
    evse: Evse, mode: ControlMode, service: ServiceV20, phases: int, now_s: float
) -> (
    DynamicACChargeLoopResParams
    | ScheduledACChargeLoopResParams
    | BPTDynamicACChargeLoopResParams
    | BPTScheduledACChargeLoopResParams
):
    """Return the target power of AC_ChargeLoopRes (ISO 15118-20 clause 8.3.5.4).

    EVSETargetActivePower is positive when the vehicle charges: the sign of ours, turned. A
    vehicle that named limits of its phases gets one third of the order in each of them.

    `phases` is the number of phases in which the vehicle named limits.
    """
    bidirectional = service is ServiceV20.AC_BPT
    p_w = evse.target_w(now_s) if bidirectional else min(0.0, evse.target_w(now_s))
    q_var = evse.target_var(now_s)
    reading = evse.stage.read()
    values: dict[str, Any] = {
        "evse_target_active_power": rational(-p_w / phases),
        "evse_target_reactive_power": rational(-q_var / phases),
        "evse_present_active_power": rational(-reading.p_w / phases),
    }
    for phase in range(2, phases + 1):
        for name in tuple(values)[:3]:
            values[f"{name}_l{phase}"] = values[name]
    if mode is ControlMode.DYNAMIC:
        dynamic = BPTDynamicACChargeLoopResParams if bidirectional else DynamicACChargeLoopResParams
        return dynamic(**values)
    scheduled = (
        BPTScheduledACChargeLoopResParams if bidirectional else ScheduledACChargeLoopResParams
    )
    return scheduled(**values)


def dc_answer(
    evse: Evse, options: SeccOptions, mode: ControlMode, service: ServiceV20, now_s: float
) -> (
    DynamicDCChargeLoopRes
    | ScheduledDCChargeLoopResParams
    | BPTDynamicDCChargeLoopRes
    | BPTScheduledDCChargeLoopResParams
):
    """Return the limits of DC_ChargeLoopRes: DC has no target, the order is what is left open.

    An order to discharge closes the charging side and the other way round, so that a vehicle that
    follows the limits cannot do the opposite of the order.
    """
    values = _dc_charge_limits(evse, now_s)
    if service is ServiceV20.DC:
        plain = (
            DynamicDCChargeLoopRes
            if mode is ControlMode.DYNAMIC
            else ScheduledDCChargeLoopResParams
        )
        return plain(**values)
    values |= _dc_discharge_limits(evse, options, now_s)
    bidirectional = (
        BPTDynamicDCChargeLoopRes
        if mode is ControlMode.DYNAMIC
        else BPTScheduledDCChargeLoopResParams
    )
    return bidirectional(**values)


def _dc_charge_limits(evse: Evse, now_s: float) -> dict[str, Any]:
    return {
        "evse_maximum_charge_power": rational(max(0.0, -evse.target_w(now_s))),
        "evse_minimum_charge_power": rational(0),
        "evse_maximum_charge_current": rational(evse.rating.current_max_a),
        "evse_maximum_voltage": rational(evse.rating.voltage_max_v),
    }


def _dc_discharge_limits(evse: Evse, options: SeccOptions, now_s: float) -> dict[str, Any]:
    sign = -1.0 if options.discharge_limit_sign == "negative" else 1.0
    return {
        "evse_max_discharge_power": rational(sign * max(0.0, evse.target_w(now_s))),
        "evse_min_discharge_power": rational(0),
        "evse_max_discharge_current": rational(sign * evse.rating.current_max_a),
        "evse_min_voltage": rational(evse.rating.voltage_min_v),
    }


def scheduled_dc_power_w(
    evse: Evse, target_voltage_v: float, target_current_a: float, now_s: float
) -> float:
    """Return the power of a vehicle's own target, kept within the order (Scheduled control).

    The vehicle's current is positive when it charges.
    """
    wanted = -target_voltage_v * target_current_a
    ordered = evse.target_w(now_s)
    return min(max(wanted, min(0.0, ordered)), max(0.0, ordered))
