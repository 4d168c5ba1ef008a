"""What we say to a CSMS in 1.6J; pure."""

from __future__ import annotations

from agent.messages import EvseStatus
from agent.ocpp import Payload
from agent.ocpp.timestamps import format_utc
from agent.utility.csms.records import Meter, Record
from agent.utility.csms.wording2 import MODEL, VENDOR

NOBODY = "V2G"
"""idTag of a transaction that nobody was asked to authorise."""


def boot(identity: str, release: str) -> Payload:
    """Return BootNotification."""
    return {
        "chargePointVendor": VENDOR[:20],
        "chargePointModel": MODEL[:20],
        "chargePointSerialNumber": identity[:25],
        "firmwareVersion": release[:50],
    }


def status(evse: int, state: EvseStatus, utc_s: float) -> Payload:
    """Return StatusNotification of one connector."""
    return {
        "connectorId": evse,
        "errorCode": "OtherError" if state.fault else "NoError",
        "status": _status(state),
        "timestamp": format_utc(utc_s),
        **({"info": state.fault[:50]} if state.fault else {}),
    }


def start(record: Record) -> Payload:
    """Return StartTransaction."""
    return {
        "connectorId": record.evse,
        "idTag": (record.token or NOBODY)[:20],
        "meterStart": round(record.meter.import_wh or 0.0),
        "timestamp": format_utc(record.meter.t_utc_s),
    }


def stop(record: Record, remote_id: int) -> Payload:
    """Return StopTransaction."""
    payload: Payload = {
        "transactionId": remote_id,
        "meterStop": round(record.meter.import_wh or 0.0),
        "timestamp": format_utc(record.meter.t_utc_s),
        "reason": record.stopped_reason or "Other",
    }
    if record.token:
        payload["idTag"] = record.token[:20]
    return payload


def meter_values(evse: int, meter: Meter, remote_id: int | None = None) -> Payload:
    """Return MeterValues; connector 0 is the meter of the charge point."""
    value = {"timestamp": format_utc(meter.t_utc_s), "sampledValue": _samples(meter)}
    payload: Payload = {"connectorId": evse, "meterValue": [value]}
    if remote_id is not None:
        payload["transactionId"] = remote_id
    return payload


def _samples(meter: Meter) -> list[Payload]:
    """1.6 writes numbers as text; its energy registers default to import."""
    found: list[tuple[str, float, str | None]] = []
    if meter.p_w is not None:
        found.append(("Power.Active.Export", max(0.0, meter.p_w), "W"))
        found.append(("Power.Active.Import", max(0.0, -meter.p_w), "W"))
    if meter.import_wh is not None:
        found.append(("Energy.Active.Import.Register", meter.import_wh, "Wh"))
    if meter.export_wh is not None:
        found.append(("Energy.Active.Export.Register", meter.export_wh, "Wh"))
    if meter.soc_pct is not None:
        found.append(("SoC", meter.soc_pct, "Percent"))
    if meter.f_hz is not None:
        found.append(("Frequency", meter.f_hz, None))  # the schema's units have no hertz
    return [
        {
            "value": f"{value + 0.0:.3f}",
            "measurand": measurand,
            "context": "Sample.Periodic",
            **({"unit": unit} if unit else {}),
        }
        for measurand, value, unit in found
    ]


def _status(state: EvseStatus) -> str:
    if state.fault:
        return "Faulted"
    if not state.online:
        return "Unavailable"
    if not state.plugged:
        return "Available"
    return "Charging" if abs(state.p_w or 0.0) >= 50.0 else "SuspendedEVSE"
