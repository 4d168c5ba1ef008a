"""Messages of stations that speak 2.0.1 or 2.1."""

from __future__ import annotations

from typing import Any, Final

from agent.ocpp import Payload, Version
from agent.ocpp.meter import read_meter_values
from agent.ocpp.timestamps import format_utc, parse_utc
from agent.vehicles.stations.dialect import Context, Handler, acknowledge
from agent.vehicles.stations.evse import EvLimits, Evse

MEASURANDS: Final = (
    "Power.Active.Import,Power.Active.Export,Energy.Active.Import.Register,"
    "Energy.Active.Export.Register,SoC,Voltage"
)


def boot(context: Context, payload: Payload) -> Payload:
    """BootNotification (B01): accept, then have the station report as the control needs it."""
    station, made = context.station, payload["chargingStation"]
    station.booted = True
    station.vendor = made["vendorName"]
    station.model_name = made["model"]
    station.serial_number = made.get("serialNumber", "")
    station.firmware_version = made.get("firmwareVersion", "")
    station.follow_up("SetVariables", _reporting(context), "reporting")
    station.changed.update(station.evses)
    return {
        "currentTime": format_utc(context.at.utc_s),
        "interval": context.policy.heartbeat_s,
        "status": "Accepted",
    }


def _reporting(context: Context) -> Payload:
    variables = {
        "TxUpdatedInterval": str(context.policy.meter_interval_s),
        "TxUpdatedMeasurands": MEASURANDS,
    }
    return {
        "setVariableData": [
            {
                "attributeValue": value,
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": name},
            }
            for name, value in variables.items()
        ]
    }


def heartbeat(context: Context, _payload: Payload) -> Payload:
    """Heartbeat (G02)."""
    return {"currentTime": format_utc(context.at.utc_s)}


def status_notification(context: Context, payload: Payload) -> Payload:
    """StatusNotification (G01): of a connector; evseId 0 is the whole station."""
    if payload["evseId"] == 0:
        return {}
    evse = context.station.touch(payload["evseId"])
    status = payload["connectorStatus"]
    evse.faulted = "Faulted" if status == "Faulted" else ""
    evse.available = status not in {"Unavailable", "Faulted"}
    if status == "Available" and not evse.transaction_id:
        evse.plugged = False
    elif status == "Occupied":
        evse.plugged = True
    return {}


def transaction_event(context: Context, payload: Payload) -> Payload:
    """TransactionEvent (E01 to E15): the transaction's life and its measurements."""
    info = payload["transactionInfo"]
    evse = _transaction_evse(context, payload)
    if evse is not None:
        context.station.changed.add(evse.number)
        if payload["eventType"] == "Ended":
            evse.measure(read_meter_values(payload.get("meterValue", ())), context.at)
            evse.end()
        else:
            evse.begin(info["transactionId"])
            _charging_state(evse, info.get("chargingState"))
            evse.measure(read_meter_values(payload.get("meterValue", ())), context.at)
    return {"idTokenInfo": {"status": "Accepted"}} if "idToken" in payload else {}


def _transaction_evse(context: Context, payload: Payload) -> Evse | None:
    number = payload.get("evse", {}).get("id")
    if number is not None:
        return context.station.evse(number)
    return context.station.by_transaction(payload["transactionInfo"]["transactionId"])


def _charging_state(evse: Evse, state: str | None) -> None:
    if state is None:
        return
    evse.plugged = state != "Idle"
    evse.charging = state in {"Charging", "SuspendedEVSE"}


def meter_values(context: Context, payload: Payload) -> Payload:
    """MeterValues (J01): outside transactions; evseId 0 is the station's main meter."""
    if payload["evseId"] != 0:
        evse = context.station.touch(payload["evseId"])
        evse.measure(read_meter_values(payload["meterValue"]), context.at)
    return {}


def authorize(_context: Context, _payload: Payload) -> Payload:
    """Authorize (C01)."""
    return {"idTokenInfo": {"status": "Accepted"}}


def charging_needs(context: Context, payload: Payload) -> Payload:
    """NotifyEVChargingNeeds (K15, Q01): what the vehicle can do and wants."""
    evse = context.station.touch(payload["evseId"])
    evse.ev = read_needs(context.station.version, payload["chargingNeeds"])
    return {"status": "Accepted"}


def read_needs(version: Version, needs: dict[str, Any]) -> EvLimits:
    """Return the vehicle's limits; 2.1's maxima are positive magnitudes."""
    v2x = needs.get("v2xChargingParameters", {})
    direct = needs.get("dcChargingParameters", {})
    alternating = needs.get("acChargingParameters", {})
    charge_max_w = v2x.get("maxChargePower", direct.get("evMaxPower"))
    if charge_max_w is None and alternating:
        charge_max_w = alternating["evMaxCurrent"] * alternating["evMaxVoltage"]
    return EvLimits(
        charge_max_w=charge_max_w,
        charge_min_w=v2x.get("minChargePower", 0.0),
        discharge_max_w=v2x.get("maxDischargePower"),
        discharge_min_w=v2x.get("minDischargePower", 0.0),
        bidirectional=version is Version.V21 and "BPT" in needs["requestedEnergyTransfer"],
        capacity_wh=direct.get("evEnergyCapacity"),
        energy_needed_wh=v2x.get("evTargetEnergyRequest", direct.get("energyAmount")),
        target_soc_pct=v2x.get("targetSoC"),
        departure_utc_s=parse_utc(needs.get("departureTime")),
    )


def data_transfer(_context: Context, _payload: Payload) -> Payload:
    """DataTransfer (P02): no vendor's extension is known here."""
    return {"status": "UnknownVendorId"}


HANDLERS: Final[dict[str, Handler]] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "DataTransfer": data_transfer,
    "FirmwareStatusNotification": acknowledge,
    "Heartbeat": heartbeat,
    "LogStatusNotification": acknowledge,
    "MeterValues": meter_values,
    "NotifyEVChargingNeeds": charging_needs,
    "NotifyEvent": acknowledge,
    "NotifyReport": acknowledge,
    "SecurityEventNotification": acknowledge,
    "StatusNotification": status_notification,
    "TransactionEvent": transaction_event,
}
