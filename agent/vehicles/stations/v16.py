"""Messages of stations that speak 1.6J; a connector is an EVSE here."""

from __future__ import annotations

from typing import Final

from agent.ocpp import Payload
from agent.ocpp.meter import read_meter_values
from agent.ocpp.timestamps import format_utc
from agent.vehicles.stations.dialect import Context, Handler, acknowledge

MEASURANDS: Final = "Power.Active.Import,Energy.Active.Import.Register,SoC,Voltage"
_WITH_VEHICLE: Final = frozenset({"Preparing", "Charging", "SuspendedEV", "SuspendedEVSE"})


def boot(context: Context, payload: Payload) -> Payload:
    """BootNotification (4.2): accept, then have the station report as the control needs it."""
    station = context.station
    station.booted = True
    station.vendor = payload["chargePointVendor"]
    station.model_name = payload["chargePointModel"]
    station.serial_number = payload.get("chargePointSerialNumber", "")
    station.firmware_version = payload.get("firmwareVersion", "")
    settings = {
        "MeterValueSampleInterval": str(context.policy.meter_interval_s),
        "MeterValuesSampledData": MEASURANDS,
    }
    for key, value in settings.items():
        station.follow_up("ChangeConfiguration", {"key": key, "value": value}, "reporting")
    station.changed.update(station.evses)
    return {
        "currentTime": format_utc(context.at.utc_s),
        "interval": context.policy.heartbeat_s,
        "status": "Accepted",
    }


def heartbeat(context: Context, _payload: Payload) -> Payload:
    """Heartbeat (4.6)."""
    return {"currentTime": format_utc(context.at.utc_s)}


def status_notification(context: Context, payload: Payload) -> Payload:
    """StatusNotification (4.9): connector 0 is the whole station."""
    if payload["connectorId"] == 0:
        return {}
    evse = context.station.touch(payload["connectorId"])
    status = payload["status"]
    evse.faulted = payload["errorCode"] if status == "Faulted" else ""
    evse.available = status not in {"Unavailable", "Faulted"}
    evse.plugged = status in _WITH_VEHICLE
    evse.charging = status in {"Charging", "SuspendedEVSE"}
    return {}


def start_transaction(context: Context, payload: Payload) -> Payload:
    """StartTransaction (4.8): the number it gets is ours to choose."""
    evse = context.station.touch(payload["connectorId"])
    transaction_id = context.policy.next_transaction_id(context.at)
    evse.begin(str(transaction_id))
    evse.plugged = True
    return {"transactionId": transaction_id, "idTagInfo": {"status": "Accepted"}}


def stop_transaction(context: Context, payload: Payload) -> Payload:
    """StopTransaction (4.10)."""
    evse = context.station.by_transaction(str(payload["transactionId"]))
    if evse is not None:
        context.station.changed.add(evse.number)
        evse.end()
    return {"idTagInfo": {"status": "Accepted"}} if "idTag" in payload else {}


def meter_values(context: Context, payload: Payload) -> Payload:
    """MeterValues (4.7): connector 0 is the station's main meter."""
    if payload["connectorId"] != 0:
        evse = context.station.touch(payload["connectorId"])
        evse.measure(read_meter_values(payload["meterValue"]), context.at)
    return {}


def authorize(_context: Context, _payload: Payload) -> Payload:
    """Authorize (4.1)."""
    return {"idTagInfo": {"status": "Accepted"}}


def data_transfer(_context: Context, _payload: Payload) -> Payload:
    """DataTransfer (4.3): no vendor's extension is known here."""
    return {"status": "UnknownVendorId"}


HANDLERS: Final[dict[str, Handler]] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "DataTransfer": data_transfer,
    "DiagnosticsStatusNotification": acknowledge,
    "FirmwareStatusNotification": acknowledge,
    "Heartbeat": heartbeat,
    "LogStatusNotification": acknowledge,
    "MeterValues": meter_values,
    "SecurityEventNotification": acknowledge,
    "SignedFirmwareStatusNotification": acknowledge,
    "StartTransaction": start_transaction,
    "StatusNotification": status_notification,
    "StopTransaction": stop_transaction,
}
