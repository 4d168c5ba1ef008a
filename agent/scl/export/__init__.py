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
    DEFAULT_GOOSE,
    EvseDescription,
    GatewayDescription,
)
from agent.scl.export.nodes import GOOSE_BLOCK, evse_device, station_device
from agent.scl.export.profile import gateway_profile
from agent.scl.export.services import services
from agent.scl.export.types import TypeLibrary
from agent.scl.model import Header, Scl
from agent.scl.model_comm import CbAddress, ConnectedAp, PAddress, SubNetwork
from agent.scl.model_ied import TEMPLATE_NAME, AccessPoint, Ied, LDevice, Service
from agent.scl.write import write_scl

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_GOOSE",
    "TEMPLATE_NAME",
    "EvseDescription",
    "GatewayDescription",
    "export_icd",
    "export_iid",
    "gateway_scl",
]


def export_icd(gateway: GatewayDescription) -> bytes:
    """The IED capability description: IED name TEMPLATE, no addresses, no current values."""
    template = replace(
        gateway, ied_name=TEMPLATE_NAME, values={}, group_values={}, active_groups={}
    )
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
        subnetworks=_subnetworks(gateway) if communication else (),
        ieds=(_ied(gateway, devices),),
        types=types.templates(),
    )


def _ied(gateway: GatewayDescription, devices: tuple[LDevice, ...]) -> Ied:
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
        services=_services(gateway, devices),
        access_points=(server, process),
    )


def _services(gateway: GatewayDescription, devices: tuple[LDevice, ...]) -> tuple[Service, ...]:
    nodes = [ln for ld in devices for ln in ld.nodes]
    return services(
        reports=sum(control.max_instances for ln in nodes for control in ln.report_controls),
        data_sets=sum(len(ln.data_sets) for ln in nodes),
        members=256,
        gooses=sum(len(ln.gse_controls) for ln in nodes),
        groups=bool(gateway.setting_groups),
    )


def _subnetworks(gateway: GatewayDescription) -> tuple[SubNetwork, SubNetwork]:
    """Station bus and process bus, the latter with the address of our GOOSE."""
    address = PAddress(dict(gateway.address), 0)
    served = ConnectedAp(gateway.ied_name, gateway.access_point, 0, address)
    sent = CbAddress("LD0", GOOSE_BLOCK, PAddress(dict(gateway.goose_address), 0), 0, 4, 1000)
    published = ConnectedAp(gateway.ied_name, gateway.process_access_point, 0, gse=(sent,))
    return (
        SubNetwork(gateway.subnetwork, 0, "8-MMS", connected=(served,)),
        SubNetwork("ProcessBus", 0, "8-MMS", connected=(published,)),
    )
