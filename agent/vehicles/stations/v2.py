"""Messages of stations that speak 2.0.1 or 2.1: provisioning, authorisation, transactions."""

from __future__ import annotations

from typing import Any, Final

from agent.ocpp import Payload, Version
from agent.ocpp.meter import read_meter_values
from agent.ocpp.timestamps import format_utc
from agent.vehicles.stations.device_model import reporting_request, wanted_request
from agent.vehicles.stations.dialect import (
    Answer,
    AskUpstream,
    Context,
    Handler,
    SignRequest,
    accept,
    acknowledge,
    made_by,
)
from agent.vehicles.stations.evse import Evse
from agent.vehicles.stations.smart_charging import SMART_CHARGING


def boot(context: Context, payload: Payload) -> Payload:
    """BootNotification (B01): accept, then have the station report as the control needs it."""
    made = payload["chargingStation"]
    made_by(
        context,
        made["vendorName"],
        made["model"],
        made.get("serialNumber", ""),
        made.get("firmwareVersion", ""),
    )
    station = context.station
    if station.model.meter_interval:
        station.follow_up("SetVariables", reporting_request(context.policy.meter_interval_s))
    station.follow_up("GetVariables", wanted_request(station.version))
    local_list = context.policy.authorizer.local_list
    if local_list:
        station.follow_up("SendLocalList", _local_list(context, local_list.items()))
    return {
        "currentTime": format_utc(context.at.utc_s),
        "interval": context.policy.heartbeat_s,
        "status": "Accepted",
    }


def _local_list(context: Context, entries: Any) -> Payload:
    return {
        "versionNumber": context.policy.authorizer.version,
        "updateType": "Full",
        "localAuthorizationList": [
            {"idToken": {"idToken": token, "type": "Central"}, "idTokenInfo": {"status": status}}
            for token, status in entries
        ],
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
    evse = _transaction_evse(context, payload)
    if evse is not None:
        _follow_transaction(context, evse, payload)
    token = payload.get("idToken")
    if token is None:
        return {}
    if evse is not None:
        evse.ev_id = token["idToken"][:64]
    return {"idTokenInfo": {"status": context.policy.authorizer.decide(token["idToken"])}}


def _follow_transaction(context: Context, evse: Evse, payload: Payload) -> None:
    station, info = context.station, payload["transactionInfo"]
    station.changed.add(evse.number)
    reading = read_meter_values(payload.get("meterValue", ()))
    if payload["eventType"] == "Ended":
        evse.measure(reading, context.at)
        evse.end()
        station.revision += 1
        return
    if evse.begin(info["transactionId"]):
        evse.plugged = True
        station.revision += 1
    _charging_state(evse, info.get("chargingState"))
    evse.measure(reading, context.at)


def _transaction_evse(context: Context, payload: Payload) -> Evse | None:
    number = payload.get("evse", {}).get("id")
    if number is not None:
        return context.station.evse(number)
    return context.station.by_transaction(payload["transactionInfo"]["transactionId"])


def _charging_state(evse: Evse, state: str | None) -> None:
    if state is not None:
        evse.plugged = state != "Idle"
        evse.charging = state in {"Charging", "SuspendedEVSE"}


def meter_values(context: Context, payload: Payload) -> Payload:
    """MeterValues (J01): outside transactions; evseId 0 is the station's main meter."""
    if payload["evseId"] != 0:
        evse = context.station.touch(payload["evseId"])
        evse.measure(read_meter_values(payload["meterValue"]), context.at)
    return {}


def authorize(context: Context, payload: Payload) -> Answer:
    """Authorize (C01): decided here, or by the CSMS."""
    authorizer, token = context.policy.authorizer, payload["idToken"]["idToken"]

    def local() -> Payload:
        answer: Payload = {"idTokenInfo": {"status": authorizer.decide(token)}}
        if context.station.version is Version.V21 and "certificate" not in payload:
            answer["allowedEnergyTransfer"] = ["AC_BPT", "DC_BPT", "AC_three_phase", "DC"]
        return answer

    def adopt(answer: Payload) -> None:
        authorizer.learn(token, str(answer["idTokenInfo"]["status"]))

    return AskUpstream(local, adopt) if authorizer.asks_upstream else local()


def sign_certificate(context: Context, payload: Payload) -> Answer:
    """SignCertificate (A02, A03): the CSR goes to the site's CA."""
    if not context.policy.signs_certificates:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NoCA"}}
    return SignRequest(
        {"status": "Accepted"},
        payload["csr"],
        payload.get("certificateType", ""),
        payload.get("requestId"),
    )


def data_transfer(_context: Context, _payload: Payload) -> Payload:
    """DataTransfer (P02): no vendor's extension is known here."""
    return {"status": "UnknownVendorId"}


HANDLERS: Final[dict[str, Handler]] = {
    "Authorize": authorize,
    "BootNotification": boot,
    "ClosePeriodicEventStream": acknowledge,
    "DataTransfer": data_transfer,
    "FirmwareStatusNotification": acknowledge,
    "Heartbeat": heartbeat,
    "LogStatusNotification": acknowledge,
    "MeterValues": meter_values,
    "NotifyCustomerInformation": acknowledge,
    "NotifyDisplayMessages": acknowledge,
    "NotifyEvent": acknowledge,
    "NotifyMonitoringReport": acknowledge,
    "NotifyReport": acknowledge,
    "OpenPeriodicEventStream": accept,
    "PublishFirmwareStatusNotification": acknowledge,
    "ReservationStatusUpdate": acknowledge,
    "SecurityEventNotification": acknowledge,
    "SignCertificate": sign_certificate,
    "StatusNotification": status_notification,
    "TransactionEvent": transaction_event,
    **SMART_CHARGING,
}
