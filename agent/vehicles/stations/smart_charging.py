"""Messages of 2.x that concern power: the vehicle's needs, other limits, DER controls."""

from __future__ import annotations

from typing import Any, Final

from agent.errors import AlarmCode
from agent.messages import Alarm
from agent.ocpp import CallError, ErrorCode, Payload, Version
from agent.ocpp.der import DerType
from agent.ocpp.der_register import StartStop
from agent.ocpp.meter import MAX_MAGNITUDE
from agent.ocpp.profiles import PROFILE_ID
from agent.ocpp.timestamps import parse_utc
from agent.ocpp.v2x import OperationMode, V2xPeriod, schedule_update
from agent.vehicles.stations.dialect import Context, Handler, accept, acknowledge
from agent.vehicles.stations.evse import EvLimits

_ADVICE: Final = "See the station's log; it returns to service when the grid is within its limits."


def charging_needs(context: Context, payload: Payload) -> Payload:
    """NotifyEVChargingNeeds (K15, Q01): what the vehicle can do and wants."""
    station = context.station
    evse = station.touch(payload["evseId"])
    needs = payload["chargingNeeds"]
    evse.need(read_needs(station.version, needs))
    station.revision += 1
    if not evse.ev.bidirectional and _offers_bpt(needs) and evse.transaction_id:
        # Q02: the vehicle can discharge and did not ask to; let it renegotiate.
        allowed = [mode for mode in needs["availableEnergyTransfer"] if "BPT" in mode]
        station.follow_up(
            "NotifyAllowedEnergyTransfer",
            {"transactionId": evse.transaction_id, "allowedEnergyTransfer": allowed},
        )
    return {"status": "Accepted"}


def _offers_bpt(needs: dict[str, Any]) -> bool:
    return any("BPT" in mode for mode in needs.get("availableEnergyTransfer", ()))


def read_needs(version: Version, needs: dict[str, Any]) -> EvLimits:
    """Return the vehicle's limits; 2.1's maxima are positive magnitudes, but some send signs."""
    v2x = needs.get("v2xChargingParameters", {})
    direct = needs.get("dcChargingParameters", {})
    alternating = needs.get("acChargingParameters", {})
    charge_max_w = _phase_sum(v2x, "maxChargePower")
    if charge_max_w is None:
        charge_max_w = _plausible(direct.get("evMaxPower"))
    if charge_max_w is None and alternating:
        charge_max_w = _plausible(alternating["evMaxCurrent"] * alternating["evMaxVoltage"])
    energy_wh = direct.get("energyAmount", alternating.get("energyAmount"))
    return EvLimits(
        charge_max_w=charge_max_w,
        charge_min_w=_phase_sum(v2x, "minChargePower") or 0.0,
        discharge_max_w=_phase_sum(v2x, "maxDischargePower"),
        discharge_min_w=_phase_sum(v2x, "minDischargePower") or 0.0,
        bidirectional=version is Version.V21 and "BPT" in needs["requestedEnergyTransfer"],
        capacity_wh=_plausible(direct.get("evEnergyCapacity")),
        energy_needed_wh=_plausible(v2x.get("evTargetEnergyRequest", energy_wh)),
        departure_utc_s=parse_utc(needs.get("departureTime")),
    )


def _phase_sum(parameters: dict[str, Any], name: str) -> float | None:
    values = [parameters[key] for key in (name, f"{name}_L2", f"{name}_L3") if key in parameters]
    return _plausible(sum(abs(value) for value in values)) if values else None


def _plausible(value: float | None) -> float | None:
    """A power or energy that a vehicle can have; anything else was not said."""
    return value if value is not None and 0.0 <= value <= MAX_MAGNITUDE else None


def charging_limit(context: Context, payload: Payload) -> Payload:
    """NotifyChargingLimit (K12): somebody else limits an EVSE, or all where none is named."""
    limits = [
        period["limit"]
        for schedule in payload.get("chargingSchedule", ())
        if schedule["chargingRateUnit"] == "W"
        for period in schedule["chargingSchedulePeriod"][:1]
        if "limit" in period
    ]
    if limits:
        _limit(context, payload.get("evseId"), max(0.0, min(limits)))
    return {}


def cleared_limit(context: Context, payload: Payload) -> Payload:
    """ClearedChargingLimit (K13)."""
    _limit(context, payload.get("evseId"), None)
    return {}


def _limit(context: Context, number: int | None, limit_w: float | None) -> None:
    station = context.station
    for evse in [station.evse(number)] if number else tuple(station.evses.values()):
        evse.limit(limit_w)
        station.changed.add(evse.number)


def pull_update(context: Context, payload: Payload) -> Payload:
    """PullDynamicScheduleUpdate (K28): the present setpoint of our dynamic profile."""
    evse = context.station.evses.get(payload["chargingProfileId"] - PROFILE_ID)
    if evse is None or evse.setpoint_w is None or evse.mode != OperationMode.CENTRAL_SETPOINT:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NoProfile"}}
    worded_w = evse.setpoint_w * context.station.model.setpoint_sign
    period = V2xPeriod(OperationMode.CENTRAL_SETPOINT, setpoint_w=worded_w)
    return {"status": "Accepted", "scheduleUpdate": schedule_update(period)}


def der_alarm(context: Context, payload: Payload) -> Payload:
    """NotifyDERAlarm (R08): becomes an alarm of the gateway, one for each control type."""
    station, ended = context.station, payload.get("alarmEnded", False)
    control_type = DerType(payload["controlType"])
    fault = payload.get("gridEventFault")
    station.der.alarm(control_type, fault, ended)
    context.policy.alarm(
        Alarm(
            AlarmCode.RIDE_THROUGH,
            active=not ended,
            source=f"{station.identity} {control_type}",
            text=f"{station.identity}: {control_type}: {fault or 'grid event'}"
            + (f" ({payload['extraInfo']})" if "extraInfo" in payload else ""),
            advice=_ADVICE,
            since_utc_s=parse_utc(payload["timestamp"]) or context.at.utc_s,
        )
    )
    return {}


def der_start_stop(context: Context, payload: Payload) -> Payload:
    """NotifyDERStartStop (R07): a scheduled control began or ended."""
    superseded = tuple(payload.get("supersededIds", ()))
    context.station.der.announced(StartStop(payload["controlId"], payload["started"], superseded))
    return {}


def der_report(context: Context, payload: Payload) -> Payload:
    """ReportDERControl (R06): the station's own view replaces ours."""
    try:
        context.station.der.load(payload)
    except CallError as error:
        raise CallError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, error.description) from error
    return {}


SMART_CHARGING: Final[dict[str, Handler]] = {
    "ClearedChargingLimit": cleared_limit,
    "NotifyChargingLimit": charging_limit,
    "NotifyDERAlarm": der_alarm,
    "NotifyDERStartStop": der_start_stop,
    "NotifyEVChargingNeeds": charging_needs,
    "NotifyEVChargingSchedule": accept,
    "NotifyPriorityCharging": acknowledge,
    "PullDynamicScheduleUpdate": pull_update,
    "ReportChargingProfiles": acknowledge,
    "ReportDERControl": der_report,
}
