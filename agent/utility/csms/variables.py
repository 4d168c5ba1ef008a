"""Which variables the gateway has as a charging station, and where their values come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.utility.context import Context
from agent.utility.csms.device_model import Variable
from agent.utility.csms.wording2 import MODEL, VENDOR

if TYPE_CHECKING:
    from agent.utility.csms.client import CsmsClient

METER_S = (1.0, 3600.0)


def variables_of(context: Context, client: CsmsClient) -> list[Variable]:
    """Return the device model."""
    settings = context.settings.utility
    fleet, transactions = context.fleet, client.transactions

    def constant(value: object) -> Callable[[], str]:
        return lambda: str(value)

    def power_w(name: str) -> Callable[[], str]:
        return lambda: f"{sum(getattr(view.status, name) for view in fleet):.0f}"

    def set_interval(text: str) -> bool:
        if not text.isdecimal() or not METER_S[0] <= float(text) <= METER_S[1]:
            return False
        transactions.interval_s = float(text)
        return True

    def interval() -> str:
        return f"{transactions.interval_s:.0f}"

    smart, comm, v2x = "SmartChargingCtrlr", "OCPPCommCtrlr", "V2XChargingCtrlr"
    return [
        Variable("ChargingStation", "Model", "string", constant(MODEL)),
        Variable("ChargingStation", "VendorName", "string", constant(VENDOR)),
        Variable("ChargingStation", "Available", "boolean", constant("true")),
        Variable("ChargingStation", "Power", "decimal", lambda: f"{fleet.delivered_w:.0f}",
                 unit="W"),
        Variable("ChargingStation", "NumberOfConnectors", "integer", lambda: str(len(fleet)),
                 key="NumberOfConnectors"),
        Variable(comm, "HeartbeatInterval", "integer",
                 lambda: f"{min(client.heartbeat_s, settings.lease_s / 3.0):.0f}",
                 key="HeartbeatInterval", unit="s"),
        Variable(comm, "MessageTimeout", "integer", lambda: f"{client.timeout_s:.0f}", unit="s",
                 instance="Default"),
        Variable(comm, "NetworkProfileConnectionAttempts", "integer", constant(0)),
        Variable(comm, "QueueAllMessages", "boolean", constant("true")),
        Variable("SampledDataCtrlr", "TxUpdatedInterval", "integer", interval,
                 key="MeterValueSampleInterval", write=set_interval, unit="s"),
        Variable("SampledDataCtrlr", "TxUpdatedMeasurands", "MemberList",
                 constant("Power.Active.Export,Power.Active.Import,SoC"),
                 key="MeterValuesSampledData"),
        Variable("TxCtrlr", "TxStartPoint", "MemberList", constant("EVConnected")),
        Variable("TxCtrlr", "TxStopPoint", "MemberList", constant("EVConnected")),
        Variable("SecurityCtrlr", "SecurityProfile", "integer", lambda: str(security_of(client)),
                 key="SecurityProfile"),
        Variable("SecurityCtrlr", "Identity", "string",
                 constant(settings.identity or context.settings.gateway.name)),
        Variable(smart, "Enabled", "boolean", constant("true")),
        Variable(smart, "Available", "boolean", constant("true")),
        Variable(smart, "RateUnit", "MemberList", constant("A,W"),
                 key="ChargingScheduleAllowedChargingRateUnit"),
        Variable(smart, "ProfileStackLevel", "integer", constant(100),
                 key="ChargeProfileMaxStackLevel"),
        Variable(smart, "PeriodsPerSchedule", "integer", constant(1024),
                 key="ChargingScheduleMaxPeriods"),
        Variable(smart, "Entries", "integer", constant(2000), instance="ChargingProfiles",
                 key="MaxChargingProfilesInstalled"),
        Variable("ChargingStation", "SupplyPhases", "integer", constant(3)),
        Variable(v2x, "Enabled", "boolean", constant("true")),
        Variable(v2x, "SupportedOperationModes", "MemberList", constant(
            "Idle,ChargingOnly,CentralSetpoint,ExternalSetpoint,ExternalLimits,"
            "CentralFrequency,LocalFrequency")),
        Variable("DCDERCtrlr", "ModesSupported", "MemberList",
                 constant("FreqDroop,LimitMaxDischarge")),
        Variable("DCDERCtrlr", "MaxW", "decimal", power_w("discharge_max_w"), unit="W"),
        Variable("DCDERCtrlr", "MaxChargeRateW", "decimal", power_w("charge_max_w"), unit="W"),
        Variable("LocalAuthListCtrlr", "Enabled", "boolean", constant("false")),
        Variable("OCPP16", "SupportedFeatureProfiles", "MemberList",
                 constant("Core,SmartCharging,RemoteTrigger"), key="SupportedFeatureProfiles"),
    ]  # fmt: skip


def security_of(client: CsmsClient) -> int:
    """Return the security profile of the connection (2.0.1 part 2, A00)."""
    settings = client.settings
    if not settings.url.startswith("wss:"):
        return 1 if settings.password else 0
    return 3 if settings.certificate else 2
