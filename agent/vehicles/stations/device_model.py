"""Variables of 2.x and configuration keys of 1.6 that decide how a station is ordered."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from agent.ocpp import Payload, Version
from agent.vehicles.stations.capability import StationModel
from agent.vehicles.stations.station import Station

MEASURANDS_2: Final = (
    "Power.Active.Import,Power.Active.Export,Energy.Active.Import.Register,"
    "Energy.Active.Export.Register,SoC,Voltage"
)
MEASURANDS_16: Final = "Power.Active.Import,Energy.Active.Import.Register,SoC,Voltage"
_WANTED: Final = (
    ("SmartChargingCtrlr", "Enabled"),
    ("SmartChargingCtrlr", "ProfileStackLevel"),
    ("SmartChargingCtrlr", "RateUnit"),
)
_WANTED_21: Final = (("V2XChargingCtrlr", "Enabled"),)
KEYS_16: Final = (
    "SupportedFeatureProfiles",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
)


def reporting_request(interval_s: int) -> Payload:
    """Return the SetVariables that makes the station report power as often as wanted."""
    variables = {"TxUpdatedInterval": str(interval_s), "TxUpdatedMeasurands": MEASURANDS_2}
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


def reporting_settings(interval_s: int) -> dict[str, str]:
    """Return the 1.6 configuration that does the same."""
    return {
        "MeterValueSampleInterval": str(interval_s),
        "MeterValuesSampledData": MEASURANDS_16,
    }


def wanted_request(version: Version) -> Payload:
    """Return the GetVariables for what decides on orders."""
    wanted = _WANTED + (_WANTED_21 if version is Version.V21 else ())
    return {
        "getVariableData": [
            {"component": {"name": component}, "variable": {"name": variable}}
            for component, variable in wanted
        ]
    }


def learn_variables(station: Station, payload: Payload) -> None:
    """Take over the answer to `wanted_request`; what the station does not know changes nothing."""
    values = {
        (item["component"]["name"], item["variable"]["name"]): item.get("attributeValue", "")
        for item in payload["getVariableResult"]
        if item["attributeStatus"] == "Accepted"
    }
    changes: dict[str, Any] = {}
    if values.get(("SmartChargingCtrlr", "Enabled"), "").lower() == "false":
        changes["orders"] = False
    if values.get(("V2XChargingCtrlr", "Enabled"), "").lower() == "false":
        changes["discharges"] = False
    changes |= _stack(station.model, values.get(("SmartChargingCtrlr", "ProfileStackLevel")))
    units = values.get(("SmartChargingCtrlr", "RateUnit"), "")
    if units and "W" not in units.split(","):
        changes["unit"] = "A"
    _apply(station, changes)


def learn_configuration(station: Station, payload: Payload) -> None:
    """Take over the answer to a 1.6 GetConfiguration with `KEYS_16`."""
    values = {item["key"]: item.get("value", "") for item in payload.get("configurationKey", ())}
    changes: dict[str, Any] = {}
    features = values.get("SupportedFeatureProfiles", "")
    if features and "SmartCharging" not in features:
        changes["orders"] = False
    changes |= _stack(station.model, values.get("ChargeProfileMaxStackLevel"))
    units = values.get("ChargingScheduleAllowedChargingRateUnit", "")
    if units and "Power" not in units:
        changes["unit"] = "A"
    _apply(station, changes)


def _stack(model: StationModel, text: str | None) -> dict[str, Any]:
    if text is None or not text.strip().isdecimal():
        return {}
    return {"stack_level": min(model.stack_level, int(text.strip()[:6]))}


def _apply(station: Station, changes: dict[str, Any]) -> None:
    model = station.model
    if any(getattr(model, key) != value for key, value in changes.items()):
        station.become(msgspec.structs.replace(model, **changes))
