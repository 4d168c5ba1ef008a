"""Simulated station that speaks 2.0.1, or 2.1 with a V2X vehicle."""

from __future__ import annotations

import time
from typing import Any, Final

from agent.ocpp import Answered, CallReceived, Payload, Version
from agent.ocpp.timestamps import format_utc
from agent.vehicles.simulated.battery import Battery
from agent.vehicles.simulated.behaviour import VEHICLE, VOLTAGE_V, Vehicle, plain_answer
from agent.vehicles.simulated.profile import ProfileOrder, read_profile


class Station2(Vehicle):
    """2.0.1, or 2.1 with a V2X vehicle."""

    def __init__(self, identity: str, version: Version) -> None:
        v2x = version is Version.V21
        battery = Battery(discharge_max_w=11_000.0 if v2x else 0.0)
        super().__init__(battery, idle_w=0.0 if v2x else -battery.charge_max_w)
        self._version = version
        self._transaction_id = f"{identity}-{int(time.time())}"[:36]
        self._seq_no = 0
        self._running = False

    def answered(self, event: Answered, now_s: float) -> None:
        """After an accepted boot the connector and the transaction are announced."""
        if event.request.action == self._last_announcement:
            self._announced = True
        if event.request.action != "BootNotification" or event.payload["status"] != "Accepted":
            return
        self._say_status()
        event_type = "Updated" if self._running else "Started"
        self._transaction(event_type, "CablePluggedIn", idToken=_TOKEN_2)
        if not self._running:
            self._running = True
            self._begin(now_s)
        if self._version is Version.V21:
            self._calls.append(("NotifyEVChargingNeeds", self._needs()))
        self._report_at_s = now_s + self.meter_interval_s

    def called(self, call: CallReceived, now_s: float) -> tuple[Payload, ProfileOrder | None]:
        """Carry out what the gateway asks."""
        match call.action:
            case "SetChargingProfile":
                order = read_profile(call.payload, VOLTAGE_V)
                self._obey(order, now_s)
                return {"status": "Accepted"}, order
            case "TriggerMessage":
                return self._triggered(call.payload["requestedMessage"]), None
            case "SetVariables":
                return {"setVariableResult": self._set(call.payload["setVariableData"])}, None
            case _:
                return plain_answer(call.action), None

    @property
    def _last_announcement(self) -> str:
        return "NotifyEVChargingNeeds" if self._version is Version.V21 else "TransactionEvent"

    def _boot(self) -> None:
        model = "V2X-11" if self._version is Version.V21 else "AC-11"
        station = {"model": model, "vendorName": "Simulated", "firmwareVersion": "1"}
        reason = "Triggered" if self._announced else "PowerUp"
        self._calls.append(("BootNotification", {"reason": reason, "chargingStation": station}))

    def _say_status(self) -> None:
        status = {
            "timestamp": format_utc(time.time()),
            "connectorStatus": "Occupied",
            "evseId": 1,
            "connectorId": 1,
        }
        self._calls.append(("StatusNotification", status))

    def _set(self, wishes: list[dict[str, Any]]) -> list[Payload]:
        results = []
        for wish in wishes:
            if wish["variable"]["name"] == "TxUpdatedInterval":
                self.meter_interval_s = float(wish["attributeValue"])
            target = {name: wish[name] for name in ("component", "variable")}
            results.append({"attributeStatus": "Accepted", **target})
        return results

    def _needs(self) -> Payload:
        battery = self.battery
        return {
            "evseId": 1,
            "chargingNeeds": {
                "requestedEnergyTransfer": "AC_BPT",
                "controlMode": "DynamicControl",
                "v2xChargingParameters": {
                    "maxChargePower": battery.charge_max_w,
                    "maxDischargePower": battery.discharge_max_w,
                    "minChargePower": 0,
                    "minDischargePower": 0,
                },
            },
        }

    def _report(self, reason: str) -> None:
        self._transaction("Updated", reason)

    def _transaction(self, event_type: str, reason: str, **extra: Any) -> None:
        self._seq_no += 1
        info = {"transactionId": self._transaction_id, "chargingState": "Charging"}
        self._calls.append(
            (
                "TransactionEvent",
                {
                    "eventType": event_type,
                    "timestamp": format_utc(time.time()),
                    "triggerReason": reason,
                    "seqNo": self._seq_no,
                    "transactionInfo": info,
                    "evse": {"id": 1, "connectorId": 1},
                    "meterValue": [_meter_value_2(self.battery)],
                    **extra,
                },
            )
        )


_TOKEN_2: Final = {"idToken": VEHICLE, "type": "Central"}


def _meter_value_2(battery: Battery) -> Payload:
    values = (
        ("Power.Active.Import", max(0.0, -battery.p_w), "W"),
        ("Power.Active.Export", max(0.0, battery.p_w), "W"),
        ("Energy.Active.Import.Register", battery.import_wh, "Wh"),
        ("Energy.Active.Export.Register", battery.export_wh, "Wh"),
        ("SoC", battery.soc_pct, "Percent"),
        ("Voltage", VOLTAGE_V, "V"),
    )
    samples = [
        {"value": round(value, 2), "measurand": measurand, "unitOfMeasure": {"unit": unit}}
        for measurand, value, unit in values
    ]
    return {"timestamp": format_utc(time.time()), "sampledValue": samples}
