"""What we say to a CSMS in 2.0.1 and 2.1; pure."""

from __future__ import annotations

from agent.messages import EvseStatus
from agent.ocpp import Payload, Version
from agent.ocpp.timestamps import format_utc
from agent.utility.csms.records import Happening, Meter, Record

VENDOR = "v2g-agent"
MODEL = "V2G gateway"
_CONTEXTS = {
    Happening.STARTED: "Transaction.Begin",
    Happening.UPDATED: "Sample.Periodic",
    Happening.ENDED: "Transaction.End",
}


def boot(identity: str, release: str, reason: str) -> Payload:
    """Return BootNotification."""
    station = {
        "model": MODEL,
        "vendorName": VENDOR,
        "serialNumber": identity[:25],
        "firmwareVersion": release[:50],
    }
    return {"reason": reason, "chargingStation": station}


def status(evse: int, state: EvseStatus, utc_s: float) -> Payload:
    """Return StatusNotification of one EVSE."""
    return {
        "timestamp": format_utc(utc_s),
        "connectorStatus": connector_status(state),
        "evseId": evse,
        "connectorId": 1,
    }


def connector_status(state: EvseStatus) -> str:
    """Return ConnectorStatusEnumType."""
    if state.fault:
        return "Faulted"
    if not state.online:
        return "Unavailable"
    return "Occupied" if state.plugged else "Available"


def transaction(version: Version, record: Record) -> Payload:
    """Return TransactionEvent."""
    info: Payload = {
        "transactionId": record.transaction_id,
        "chargingState": record.charging_state,
    }
    if record.stopped_reason:
        info["stoppedReason"] = record.stopped_reason
    samples = sampled_values(version, record.meter, _CONTEXTS[record.happening])
    payload: Payload = {
        "eventType": record.happening.value,
        "timestamp": format_utc(record.meter.t_utc_s),
        "triggerReason": record.trigger,
        "seqNo": record.seq_no,
        "offline": record.offline,
        "transactionInfo": info,
        "evse": {"id": record.evse, "connectorId": 1},
    }
    if samples:
        moment = format_utc(record.meter.t_utc_s)
        payload["meterValue"] = [{"timestamp": moment, "sampledValue": samples}]
    if record.happening is Happening.STARTED:
        payload["idToken"] = _token(record.token)
    return payload


def meter_values(version: Version, evse: int, meter: Meter) -> Payload:
    """Return MeterValues; EVSE 0 is the meter of the station as a whole."""
    samples = sampled_values(version, meter, "Sample.Periodic")
    moment = format_utc(meter.t_utc_s)
    return {"evseId": evse, "meterValue": [{"timestamp": moment, "sampledValue": samples}]}


def charging_needs(evse: int, state: EvseStatus) -> Payload:
    """Return NotifyEVChargingNeeds: what vehicle and station can do together (2.1)."""
    discharge_w = 0.0 if "discharge" in state.cannot else state.discharge_max_w
    needs: Payload = {
        "requestedEnergyTransfer": "AC_BPT" if discharge_w > 0.0 else "AC_three_phase",
        "controlMode": "DynamicControl",
        "v2xChargingParameters": {
            "minChargePower": state.charge_min_w,
            "maxChargePower": state.charge_max_w,
            "minDischargePower": state.discharge_min_w,
            "maxDischargePower": discharge_w,
        },
    }
    if state.departure_utc_s is not None:
        needs["departureTime"] = format_utc(state.departure_utc_s)
    return {"evseId": evse, "chargingNeeds": needs}


def sampled_values(version: Version, meter: Meter, context: str) -> list[Payload]:
    """Return SampledValueType of everything the meter knows."""
    found: list[tuple[str, float, str]] = []
    if meter.p_w is not None:
        found.append(("Power.Active.Export", max(0.0, meter.p_w), "W"))
        found.append(("Power.Active.Import", max(0.0, -meter.p_w), "W"))
    if meter.export_wh is not None:
        found.append(("Energy.Active.Export.Register", meter.export_wh, "Wh"))
    if meter.import_wh is not None:
        found.append(("Energy.Active.Import.Register", meter.import_wh, "Wh"))
    if meter.q_var is not None:
        found.append(("Power.Reactive.Export", max(0.0, meter.q_var), "var"))
        found.append(("Power.Reactive.Import", max(0.0, -meter.q_var), "var"))
    if meter.soc_pct is not None:
        found.append(("SoC", meter.soc_pct, "Percent"))
    if meter.f_hz is not None:
        found.append(("Frequency", meter.f_hz, "Hz"))
    if version is Version.V21 and meter.ordered_w is not None:
        found.append(("Power.Active.Setpoint", -meter.ordered_w, "W"))
    return [
        {
            "value": round(value, 3) + 0.0,
            "measurand": measurand,
            "context": context,
            "unitOfMeasure": {"unit": unit},
        }
        for measurand, value, unit in found
    ]


def _token(token: str) -> Payload:
    if not token:
        return {"idToken": "", "type": "NoAuthorization"}
    return {"idToken": token[:36], "type": "Central"}
