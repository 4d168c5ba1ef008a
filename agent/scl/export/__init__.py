"""Our own description: the ICD a system configurator imports, the IID it gets back.

::

    gateway = GatewayDescription(evses=(EvseDescription("Bay 1", "dc"),), ied_name="V2G1")
    icd: bytes = export_icd(gateway)          # IED TEMPLATE, no Communication
    iid: bytes = export_iid(gateway)          # its name, address and current values
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.errors import Finding, SclError
from agent.scl.export.description import (
    DEFAULT_ADDRESS,
    EvseDescription,
    GatewayDescription,
)
from agent.scl.export.nodes import evse_device, station_device
from agent.scl.export.profile import gateway_profile
from agent.scl.export.services import services
from agent.scl.export.types import TypeLibrary
from agent.scl.model import Header, Scl
from agent.scl.model_comm import ConnectedAp, PAddress, SubNetwork
from agent.scl.model_ied import TEMPLATE_NAME, AccessPoint, Ied, LDevice
from agent.scl.write import write_scl

__all__ = [
    "DEFAULT_ADDRESS",
    "TEMPLATE_NAME",
    "EvseDescription",
    "GatewayDescription",
    "export_icd",
    "export_iid",
    "gateway_scl",
]


def export_icd(gateway: GatewayDescription) -> bytes:
    """The IED capability description: IED name TEMPLATE, no addresses, no current values."""
    template = replace(gateway, ied_name=TEMPLATE_NAME, values={})
    return write_scl(gateway_scl(template, communication=False))


def export_iid(gateway: GatewayDescription) -> bytes:
    """The instantiated IED description: name, Communication and current values."""
    return write_scl(gateway_scl(gateway, communication=True))


def gateway_scl(gateway: GatewayDescription, *, communication: bool) -> Scl:
    """The gateway as records of Edition 2.1 (2007B4).

    Raises:
        SclError: No EVSE, or a value for something that the model does not have.
    """
    if not gateway.evses:
        raise SclError((Finding("export", "there is no EVSE to describe"),))
    profile = gateway_profile()
    types = TypeLibrary(profile)
    devices = (
        station_device(gateway, types, profile),
        *(
            evse_device(number, evse, gateway, types, profile)
            for number, evse in enumerate(gateway.evses, 1)
        ),
    )
    header = Header(
        id=gateway.ied_name,
        line=0,
        version="1",
        revision="0",
        tool_id="v2g-scl",
    )
    return Scl(
        file="export",
        version="2007",
        revision="B",
        release="4",
        header=header,
        subnetworks=(_subnetwork(gateway),) if communication else (),
        ieds=(_ied(gateway, devices),),
        types=types.templates(),
    )


def _ied(gateway: GatewayDescription, devices: tuple[LDevice, ...]) -> Ied:
    instances = sum(
        control.max_instances for ld in devices for ln in ld.nodes for control in ln.report_controls
    )
    data_sets = [d for ld in devices for ln in ld.nodes for d in ln.data_sets]
    server = AccessPoint(gateway.access_point, 0, has_server=True, devices=devices)
    process = AccessPoint(gateway.process_access_point, 0, server_at=gateway.access_point)
    return Ied(
        name=gateway.ied_name,
        line=0,
        type="V2G gateway",
        manufacturer=gateway.manufacturer,
        config_version=gateway.config_rev,
        desc="Vehicle-to-grid gateway",
        original_scl_version="2007",
        original_scl_revision="B",
        original_scl_release="4",
        services=services(instances, len(data_sets), 256),
        access_points=(server, process),
    )


def _subnetwork(gateway: GatewayDescription) -> SubNetwork:
    address = PAddress(dict(gateway.address), 0)
    connected = ConnectedAp(gateway.ied_name, gateway.access_point, 0, address)
    return SubNetwork(gateway.subnetwork, 0, "8-MMS", connected=(connected,))
