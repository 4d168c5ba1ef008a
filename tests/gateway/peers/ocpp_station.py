"""An OCPP charging station that this project did not write: PyPI `ocpp` over `websockets`.

    python ocpp_station.py URL VERSION ID

VERSION is 2.1 (a bidirectional station), 2.0.1 or 1.6. Prints one JSON line for every order it
receives: `{"at": monotonic seconds, "power_w": …, "discharge": …, "profile": {…}}`; its battery
follows at once and it reports the power it delivers twice a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as Station16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as Station21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as Station201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

MAX_W = 11_000.0
TRANSACTION = "tx-independent-1"


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps({"at": time.monotonic(), **fields}, default=float) + "\n")
    sys.stdout.flush()


def _about(item: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "attribute_status": status,
        "component": item["component"],
        "variable": item["variable"],
    }


class TwoWay(Station21):
    """A 2.1 station; positive power exports."""

    power_w = 0.0

    @on("SetChargingProfile")
    def set_charging_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any):
        schedule = charging_profile["charging_schedule"][0]
        period = schedule["charging_schedule_period"][0]
        self.power_w = -float(period.get("setpoint", 0.0))
        say(
            kind="order",
            power_w=self.power_w,
            mode=period.get("operation_mode"),
            setpoint=period.get("setpoint"),
            duration=schedule.get("duration"),
            profile=charging_profile,
        )
        return result21.SetChargingProfile(status="Accepted")

    @on("ClearChargingProfile")
    def clear_charging_profile(self, **_: Any):
        self.power_w = 0.0
        return result21.ClearChargingProfile(status="Accepted")

    # The package answers nothing at all to a 2.1 action without a handler.
    @on("SetVariables")
    def set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any):
        answers = [_about(item, "UnknownVariable") for item in set_variable_data]
        return result21.SetVariables(set_variable_result=answers)

    @on("GetVariables")
    def get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any):
        answers = [_about(item, "UnknownVariable") for item in get_variable_data]
        return result21.GetVariables(get_variable_result=answers)

    @on("NotifyAllowedEnergyTransfer")
    def notify_allowed_energy_transfer(self, **_: Any):
        return result21.NotifyAllowedEnergyTransfer(status="Accepted")

    async def introduce(self) -> None:
        await self.call(
            call21.BootNotification(
                charging_station={"model": "Independent", "vendor_name": "Peer"}, reason="PowerUp"
            )
        )
        await self.call(
            call21.StatusNotification(
                timestamp=now(), connector_status="Occupied", evse_id=1, connector_id=1
            )
        )
        await self.call(
            call21.TransactionEvent(
                event_type="Started",
                timestamp=now(),
                trigger_reason="CablePluggedIn",
                seq_no=0,
                transaction_info={"transaction_id": TRANSACTION, "charging_state": "EVConnected"},
                evse={"id": 1, "connector_id": 1},
            )
        )
        await self.call(
            call21.NotifyEVChargingNeeds(
                evse_id=1,
                charging_needs={
                    "requested_energy_transfer": "DC_BPT",
                    "control_mode": "DynamicControl",
                    "v2x_charging_parameters": {
                        "min_charge_power": 0,
                        "max_charge_power": MAX_W,
                        "min_discharge_power": 0,
                        "max_discharge_power": MAX_W,
                    },
                },
            )
        )

    async def report(self, number: int) -> None:
        measurand = "Power.Active.Export" if self.power_w >= 0 else "Power.Active.Import"
        await self.call(
            call21.TransactionEvent(
                event_type="Updated",
                timestamp=now(),
                trigger_reason="MeterValuePeriodic",
                seq_no=number,
                transaction_info={"transaction_id": TRANSACTION, "charging_state": "Charging"},
                evse={"id": 1, "connector_id": 1},
                meter_value=[
                    {
                        "timestamp": now(),
                        "sampled_value": [
                            {
                                "value": abs(self.power_w),
                                "measurand": measurand,
                                "unit_of_measure": {"unit": "W"},
                            },
                            {
                                "value": 60.0,
                                "measurand": "SoC",
                                "unit_of_measure": {"unit": "Percent"},
                            },
                        ],
                    }
                ],
            )
        )


class OneWay201(Station201):
    """A 2.0.1 station: it charges, more or less."""

    limit_w = MAX_W

    @on("SetChargingProfile")
    def set_charging_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any):
        schedule = charging_profile["charging_schedule"][0]
        self.limit_w = float(schedule["charging_schedule_period"][0]["limit"])
        say(kind="order", limit_w=self.limit_w, profile=charging_profile)
        return result201.SetChargingProfile(status="Accepted")

    async def introduce(self) -> None:
        await self.call(
            call201.BootNotification(
                charging_station={"model": "Independent", "vendor_name": "Peer"}, reason="PowerUp"
            )
        )
        await self.call(
            call201.StatusNotification(
                timestamp=now(), connector_status="Occupied", evse_id=1, connector_id=1
            )
        )
        await self.call(
            call201.TransactionEvent(
                event_type="Started",
                timestamp=now(),
                trigger_reason="CablePluggedIn",
                seq_no=0,
                transaction_info={"transaction_id": TRANSACTION, "charging_state": "Charging"},
                evse={"id": 1, "connector_id": 1},
            )
        )

    async def report(self, number: int) -> None:
        await self.call(
            call201.TransactionEvent(
                event_type="Updated",
                timestamp=now(),
                trigger_reason="MeterValuePeriodic",
                seq_no=number,
                transaction_info={"transaction_id": TRANSACTION, "charging_state": "Charging"},
                evse={"id": 1, "connector_id": 1},
                meter_value=[
                    {
                        "timestamp": now(),
                        "sampled_value": [
                            {
                                "value": min(self.limit_w, MAX_W),
                                "measurand": "Power.Active.Import",
                                "unit_of_measure": {"unit": "W"},
                            }
                        ],
                    }
                ],
            )
        )


class OneWay16(Station16):
    """A 1.6J station."""

    limit_w = MAX_W
    transaction_id = 0

    @on("SetChargingProfile")
    def set_charging_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any], **_):
        schedule = cs_charging_profiles["charging_schedule"]
        limit = float(schedule["charging_schedule_period"][0]["limit"])
        unit = schedule["charging_rate_unit"]
        self.limit_w = limit if unit == "W" else limit * 230.0 * 3
        say(kind="order", limit_w=self.limit_w, unit=unit, profile=cs_charging_profiles)
        return result16.SetChargingProfile(status="Accepted")

    async def introduce(self) -> None:
        await self.call(
            call16.BootNotification(charge_point_model="Independent", charge_point_vendor="Peer")
        )
        await self.call(
            call16.StatusNotification(connector_id=1, error_code="NoError", status="Charging")
        )
        started = await self.call(
            call16.StartTransaction(connector_id=1, id_tag="PEER", meter_start=0, timestamp=now())
        )
        self.transaction_id = started.transaction_id

    async def report(self, number: int) -> None:
        await self.call(
            call16.MeterValues(
                connector_id=1,
                transaction_id=self.transaction_id,
                meter_value=[
                    {
                        "timestamp": now(),
                        "sampled_value": [
                            {
                                "value": str(min(self.limit_w, MAX_W)),
                                "measurand": "Power.Active.Import",
                                "unit": "W",
                            }
                        ],
                    }
                ],
            )
        )


STATIONS = {"2.1": TwoWay, "2.0.1": OneWay201, "1.6": OneWay16}


async def main(url: str, version: str, identity: str) -> None:
    async with websockets.connect(
        f"{url}/{identity}", subprotocols=[f"ocpp{version}"], compression=None
    ) as connection:
        station = STATIONS[version](identity, connection)
        serving = asyncio.create_task(station.start())
        await station.introduce()
        say(kind="ready", version=version)
        number = 1
        while not serving.done():
            await station.report(number)
            number += 1
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
