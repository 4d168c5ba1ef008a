"""What an EVSE offers before energy flows: services, parameter sets, schedules, limits."""

from __future__ import annotations

from typing import Final

from iso15118.shared.messages.enums import ServiceV20
from iso15118.shared.messages.iso15118_20.ac import (
    ACChargeParameterDiscoveryResParams,
    BPTACChargeParameterDiscoveryResParams,
)
from iso15118.shared.messages.iso15118_20.common_messages import (
    ChargingSchedule,
    DischargingSchedule,
    Parameter,
    ParameterSet,
    PowerSchedule,
    PowerScheduleEntry,
    PowerScheduleEntryList,
    PriceLevelSchedule,
    PriceLevelScheduleEntry,
    PriceLevelScheduleEntryList,
    ScheduledScheduleExchangeResParams,
    ScheduleTuple,
    Service,
    ServiceList,
    ServiceParameterList,
)
from iso15118.shared.messages.iso15118_20.dc import (
    BPTDCChargeParameterDiscoveryResParams,
    DCChargeParameterDiscoveryResParams,
)

from agent.vehicles.secc.options import Rating, SeccOptions
from agent.vehicles.secc.values import rational

DAY_S: Final = 86_400
_SCHEDULED, _DYNAMIC = 1, 2
_THREE_PHASE, _SINGLE_PHASE = 3, 1
_DC_EXTENDED: Final = 2
_BPT_SERVICES: Final = (ServiceV20.AC_BPT.id, ServiceV20.DC_BPT.id)


def energy_services(options: SeccOptions) -> ServiceList:
    """Return the energy services: bidirectional first where the hardware can."""
    rating = options.rating
    both = (
        (ServiceV20.AC_BPT, ServiceV20.AC)
        if rating.kind == "ac"
        else (ServiceV20.DC_BPT, ServiceV20.DC)
    )
    offered = both if rating.discharge_max_w > 0 else both[1:]
    return ServiceList(
        services=[Service(service_id=service.id, free_service=False) for service in offered]
    )


def parameter_sets(options: SeccOptions, service_id: int) -> ServiceParameterList:
    """Return the parameter sets of a service (ISO 15118-20 clause 8.4.3.2).

    The configured control mode comes first, because many vehicles take the first set; the other
    is offered too ([V2G20-2663] permits MobilityNeedsMode 2 only with Dynamic).
    """
    modes = (_DYNAMIC, _SCHEDULED) if options.control_mode == "dynamic" else (_SCHEDULED, _DYNAMIC)
    sets = [
        ParameterSet(id=number, parameters=_parameters(options.rating, service_id, mode))
        for number, mode in enumerate(modes, start=1)
    ]
    return ServiceParameterList(parameter_sets=sets)


def _parameters(rating: Rating, service_id: int, mode: int) -> list[Parameter]:
    connector = _DC_EXTENDED
    if rating.kind == "ac":
        connector = _THREE_PHASE if rating.phases == 3 else _SINGLE_PHASE
    values = {
        "Connector": connector,
        "ControlMode": mode,
        "EVSENominalVoltage": int(rating.nominal_v),
        "MobilityNeedsMode": 1,
        "Pricing": 0,
    }
    if service_id in _BPT_SERVICES:
        values |= {"BPTChannel": 1, "GeneratorMode": 1}  # unified channel, grid following
        if rating.kind == "ac":
            values["GridCodeIslandingDetectionMethod"] = 1  # passive
    return [Parameter(name=name, int_value=value) for name, value in values.items()]


def ac_parameters(
    rating: Rating, service: ServiceV20
) -> ACChargeParameterDiscoveryResParams | BPTACChargeParameterDiscoveryResParams:
    """Return AC_ChargeParameterDiscoveryRes: power a phase, in every phase that there is."""
    charge = rational(rating.charge_max_w / rating.phases)
    discharge = rational(rating.discharge_max_w / rating.phases)
    zero = rational(0)
    more = range(2, rating.phases + 1)
    values = {
        "evse_max_charge_power": charge,
        "evse_min_charge_power": zero,
        "evse_nominal_frequency": rational(rating.nominal_hz),
        **{f"evse_max_charge_power_l{phase}": charge for phase in more},
        **{f"evse_min_charge_power_l{phase}": zero for phase in more},
    }
    if service is not ServiceV20.AC_BPT:
        return ACChargeParameterDiscoveryResParams(**values)
    return BPTACChargeParameterDiscoveryResParams(
        **values,
        evse_max_discharge_power=discharge,
        evse_min_discharge_power=zero,
        **{f"evse_max_discharge_power_l{phase}": discharge for phase in more},
        **{f"evse_min_discharge_power_l{phase}": zero for phase in more},
    )


def dc_parameters(
    options: SeccOptions, service: ServiceV20
) -> DCChargeParameterDiscoveryResParams | BPTDCChargeParameterDiscoveryResParams:
    """Return DC_ChargeParameterDiscoveryRes."""
    rating = options.rating
    sign = -1.0 if options.discharge_limit_sign == "negative" else 1.0
    values = {
        "evse_max_charge_power": rational(rating.charge_max_w),
        "evse_min_charge_power": rational(0),
        "evse_max_charge_current": rational(rating.current_max_a),
        "evse_min_charge_current": rational(0),
        "evse_max_voltage": rational(rating.voltage_max_v),
        "evse_min_voltage": rational(rating.voltage_min_v),
    }
    if service is not ServiceV20.DC_BPT:
        return DCChargeParameterDiscoveryResParams(**values)
    return BPTDCChargeParameterDiscoveryResParams(
        **values,
        evse_max_discharge_power=rational(sign * rating.discharge_max_w),
        evse_min_discharge_power=rational(0),
        evse_max_discharge_current=rational(sign * rating.current_max_a),
        evse_min_discharge_current=rational(0),
    )


def schedules(rating: Rating, time_anchor_s: int) -> ScheduledScheduleExchangeResParams:
    """Return one schedule of a day at full power; the loop's limits do the control."""
    price = PriceLevelSchedule(
        id="id1",
        time_anchor=time_anchor_s,
        schedule_id=1,
        num_price_levels=1,
        schedule_entries=PriceLevelScheduleEntryList(
            entries=[PriceLevelScheduleEntry(duration=DAY_S, price_level=1)]
        ),
    )
    charging = ChargingSchedule(
        power_schedule=_power_schedule(rating.charge_max_w, time_anchor_s),
        price_level_schedule=price,
    )
    discharging = None
    if rating.discharge_max_w > 0:
        discharging = DischargingSchedule(
            power_schedule=_power_schedule(rating.discharge_max_w, time_anchor_s),
            price_level_schedule=price,
        )
    return ScheduledScheduleExchangeResParams(
        schedule_tuples=[
            ScheduleTuple(
                schedule_tuple_id=1, charging_schedule=charging, discharging_schedule=discharging
            )
        ]
    )


def _power_schedule(power_w: float, time_anchor_s: int) -> PowerSchedule:
    entry = PowerScheduleEntry(duration=DAY_S, power=rational(power_w))
    return PowerSchedule(
        time_anchor=time_anchor_s, schedule_entry_list=PowerScheduleEntryList(entries=[entry])
    )
