"""What the export needs to know about a gateway: plain parameters, no configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from agent.scl.model_ied import TEMPLATE_NAME

DEFAULT_ADDRESS: Final[Mapping[str, str]] = {
    "IP": "192.0.2.10",
    "IP-SUBNET": "255.255.255.0",
    "IP-GATEWAY": "192.0.2.1",
    "OSI-AP-Title": "1,1,9999,1",
    "OSI-AE-Qualifier": "12",
    "OSI-PSEL": "00000001",
    "OSI-SSEL": "0001",
    "OSI-TSEL": "0001",
}


DEFAULT_GOOSE: Final[Mapping[str, str]] = {
    "MAC-Address": "01-0C-CD-01-00-02",
    "APPID": "0002",
    "VLAN-ID": "00A",
    "VLAN-PRIORITY": "4",
}


class EvseDescription(msgspec.Struct, frozen=True):
    """One EVSE: one logical device ``EVSE<n>`` in the order of the list.

    Attributes:
        name: What people call it; the description of the logical device.
        kind: Whether the vehicle's inverter is in the vehicle (ac) or in the station (dc).
        evse_id: EVSEID of ISO 15118, or empty.
        charge_w: Greatest charging power in watts, positive.
        discharge_w: Greatest discharging power in watts, positive.
    """

    name: str = ""
    kind: Literal["ac", "dc"] = "ac"
    evse_id: str = ""
    charge_w: float = 11_000.0
    discharge_w: float = 11_000.0


class GatewayDescription(msgspec.Struct, frozen=True):
    """The gateway's IED.

    Attributes:
        evses: Its EVSEs, at least one.
        ied_name: Name of the IED; an ICD has :data:`TEMPLATE_NAME`.
        access_point: Name of the station bus access point.
        process_access_point: Name of the access point that takes GOOSE and sampled values.
        address: Parameters of the station bus address, for the IID.
        subnetwork: Name of the station bus subnetwork, for the IID.
        goose_address: Where the gateway's own GOOSE goes, for the IID.
        schedule_entries: Entries of the site's schedule; 96 are the quarter hours of a day.
        setting_groups: Setting groups of the droop of every EVSE; 0: its settings are set points.
        clients: Report control block instances for each block: how many clients at once.
        config_rev: LLN0.NamPlt.configRev; changes when the model changes.
        software: Version of the software, LLN0.NamPlt.swRev.
        values: Current values by reference without the IED name and constraint,
            ``EVSE1/DHFW1.HzStr.setMag.f`` → ``"50.2"``.
        group_values: The same of each setting group, by its number.
        active_groups: Active setting group by inst of the logical device, where it is not 1.
    """

    evses: tuple[EvseDescription, ...]
    ied_name: str = TEMPLATE_NAME
    access_point: str = "S1"
    process_access_point: str = "P1"
    address: Mapping[str, str] = msgspec.field(default_factory=lambda: DEFAULT_ADDRESS)
    subnetwork: str = "StationBus"
    goose_address: Mapping[str, str] = msgspec.field(default_factory=lambda: DEFAULT_GOOSE)
    schedule_entries: int = 96
    setting_groups: int = 0
    clients: int = 5
    config_rev: str = "1"
    software: str = "0.1.0"
    manufacturer: str = "v2g-agent"
    values: Mapping[str, str] = {}
    group_values: Mapping[int, Mapping[str, str]] = {}
    active_groups: Mapping[str, int] = {}
