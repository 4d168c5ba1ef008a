"""Messages of stations that speak 1.6J; a connector is an EVSE here."""

from __future__ import annotations

from typing import Final

from agent.ocpp import Payload
from agent.ocpp.meter import read_meter_values
from agent.ocpp.timestamps import format_utc
from agent.vehicles.stations.device_model import KEYS_16, reporting_settings
from agent.vehicles.stations.dialect import (
    Answer,
    AskUpstream,
    Context,
    Handler,
    SignRequest,
    acknowledge,
    made_by,
)

_WITH_VEHICLE: Final = frozenset({"Preparing", "Charging", "SuspendedEV", "SuspendedEVSE"})
MAX_ID_TAG: Final = 20


def boot(context: Context, payload: Payload) -> Payload:
    """BootNotification (4.2): accept, then have the station report as the control needs it."""
    made_by(
        context,
        payload["chargePointVendor"],
        payload["chargePointModel"],
        payload.get("chargePointSerialNumber", ""),
        payload.get("firmwareVersion", ""),
    )
    station, policy = context.station, context.policy
    if station.model.meter_interval:
        for key, value in reporting_settings(policy.meter_interval_s).items():
            station.follow_up("ChangeConfiguration", {"key": key, "value": value})
    station.follow_up("GetConfiguration", {"key": list(KEYS_16)})
    tags = {
        tag: status
        for tag, status in policy.authorizer.local_list.items()
        if len(tag) <= MAX_ID_TAG
    }
    if tags:
        station.follow_up("SendLocalList", _local_list(policy.authorizer.version, tags))
    return {
        "currentTime": format_utc(context.at.utc_s),
        "interval": policy.heartbeat_s,
        "status": "Accepted",
    }


def _local_list(version: int, tags: dict[str, str]) -> Payload:
    return {
        "listVersion": version,
        "updateType": "Full",
        "localAuthorizationList": [
            {"idTag": tag, "idTagInfo": {"status": status}} for tag, status in tags.items()
        ],
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
    station = context.station
    evse = station.touch(payload["connectorId"])
    transaction_id = context.policy.next_transaction_id(context.at)
    status = context.policy.authorizer.decide(payload["idTag"])
    if status == "Accepted":
        evse.begin(str(transaction_id))
        evse.plugged = True
        evse.ev_id = payload["idTag"]
        station.revision += 1
    return {"transactionId": transaction_id, "idTagInfo": {"status": status}}


def stop_transaction(context: Context, payload: Payload) -> Payload:
    """StopTransaction (4.10)."""
    station = context.station
    evse = station.by_transaction(str(payload["transactionId"]))
    if evse is not None:
        station.changed.add(evse.number)
        evse.end()
        station.revision += 1
    if "idTag" not in payload:
        return {}
    return {"idTagInfo": {"status": context.policy.authorizer.decide(payload["idTag"])}}


def meter_values(context: Context, payload: Payload) -> Payload:
    """MeterValues (4.7): connector 0 is the station's main meter.

    A transaction that began before this process is learned from here.
    """
    if payload["connectorId"] != 0:
        evse = context.station.touch(payload["connectorId"])
        if "transactionId" in payload and not evse.transaction_id:
            evse.begin(str(payload["transactionId"]))
            evse.plugged = evse.charging = True
            context.station.revision += 1
        evse.measure(read_meter_values(payload["meterValue"]), context.at)
    return {}


def authorize(context: Context, payload: Payload) -> Answer:
    """Authorize (4.1): decided here, or by the CSMS."""
    authorizer, tag = context.policy.authorizer, payload["idTag"]

    def local() -> Payload:
        return {"idTagInfo": {"status": authorizer.decide(tag)}}

    def adopt(answer: Payload) -> None:
        authorizer.learn(tag, str(answer["idTagInfo"]["status"]))

    return AskUpstream(local, adopt) if authorizer.asks_upstream else local()


def sign_certificate(context: Context, payload: Payload) -> Answer:
    """SignCertificate (security whitepaper 4.6): the CSR goes to the site's CA."""
    if not context.policy.signs_certificates:
        return {"status": "Rejected"}
    return SignRequest({"status": "Accepted"}, payload["csr"])


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
    "SignCertificate": sign_certificate,
    "SignedFirmwareStatusNotification": acknowledge,
    "StartTransaction": start_transaction,
    "StatusNotification": status_notification,
    "StopTransaction": stop_transaction,
}
