"""Simulated station that speaks 1.6J."""

from __future__ import annotations

import time

from agent.ocpp import Answered, CallReceived, Payload
from agent.ocpp.timestamps import format_utc
from agent.vehicles.simulated.battery import Battery
from agent.vehicles.simulated.behaviour import VEHICLE, VOLTAGE_V, Vehicle, plain_answer
from agent.vehicles.simulated.profile import ProfileOrder, read_profile


class Station16(Vehicle):
    """1.6J: charges as fast as it may."""

    def __init__(self, identity: str) -> None:
        battery = Battery(discharge_max_w=0.0, soc_pct=40.0)
        super().__init__(battery, idle_w=-battery.charge_max_w)
        self._serial = identity[:25]
        self._transaction_id: int | None = None

    def answered(self, event: Answered, now_s: float) -> None:
        """After an accepted boot a transaction starts, unless one runs from before."""
        match event.request.action:
            case "BootNotification" if event.payload["status"] == "Accepted":
                self._status("Preparing")
                self._calls.append(("Authorize", {"idTag": VEHICLE}))
                self._calls.append(("StartTransaction", self._start()))
            case "StartTransaction":
                self._transaction_id = event.payload["transactionId"]
                self._announced = True
                self._say_status()
                self._begin(now_s)
                self._report_at_s = now_s

    def called(self, call: CallReceived, now_s: float) -> tuple[Payload, ProfileOrder | None]:
        """Carry out what the gateway asks."""
        match call.action:
            case "SetChargingProfile":
                order = read_profile(call.payload, VOLTAGE_V)
                self._obey(order, now_s)
                return {"status": "Accepted"}, order
            case "ChangeConfiguration":
                if call.payload["key"] == "MeterValueSampleInterval":
                    self.meter_interval_s = float(call.payload["value"])
                return {"status": "Accepted"}, None
            case "TriggerMessage":
                return self._triggered(call.payload["requestedMessage"]), None
            case _:
                return plain_answer(call.action), None

    def _boot(self) -> None:
        station = {
            "chargePointVendor": "Simulated",
            "chargePointModel": "AC-11",
            "chargePointSerialNumber": self._serial,
        }
        self._calls.append(("BootNotification", station))

    def _say_status(self) -> None:
        self._status("Charging")

    def _start(self) -> Payload:
        return {
            "connectorId": 1,
            "idTag": VEHICLE,
            "meterStart": int(self.battery.import_wh),
            "timestamp": format_utc(time.time()),
        }

    def _status(self, status: str) -> None:
        self._calls.append(
            ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})
        )

    def _report(self, _reason: str) -> None:
        battery = self.battery
        values = (
            ("Power.Active.Import", -battery.p_w, "W"),
            ("Energy.Active.Import.Register", battery.import_wh, "Wh"),
            ("SoC", battery.soc_pct, "Percent"),
            ("Voltage", VOLTAGE_V, "V"),
        )
        samples = [
            {"value": f"{value:.1f}", "measurand": measurand, "unit": unit}
            for measurand, value, unit in values
        ]
        meter_value = {"timestamp": format_utc(time.time()), "sampledValue": samples}
        payload: Payload = {"connectorId": 1, "meterValue": [meter_value]}
        if self._transaction_id is not None:
            payload["transactionId"] = self._transaction_id
        self._calls.append(("MeterValues", payload))
