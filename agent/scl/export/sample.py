"""The sample station: a merging unit, a bay controller and two gateways, bound to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from agent.scl.export import EvseDescription, GatewayDescription, gateway_scl
from agent.scl.export.nodes import GOOSE_BLOCK
from agent.scl.export.profile import gateway_profile
from agent.scl.export.sample_bay import BAY, bay_ied
from agent.scl.export.sample_mu import MU, merging_unit_ied, merging_unit_types
from agent.scl.export.types import TypeLibrary
from agent.scl.model import Header, LNodeRef, PlantElement, Scl
from agent.scl.model_comm import CbAddress, ConnectedAp, PAddress, SubNetwork
from agent.scl.model_control import ExtRef
from agent.scl.model_ied import Ied, Ln
from agent.scl.model_types import DataTypeTemplates

STATION_EVSES: Final = (
    EvseDescription("Parking 1", "ac", "DE*V2G*E0001", 11_000, 11_000),
    EvseDescription("Parking 2", "ac", "DE*V2G*E0002", 11_000, 11_000),
    EvseDescription("Parking 3", "dc", "DE*V2G*E0003", 50_000, 50_000),
    EvseDescription("Parking 4", "dc", "DE*V2G*E0004", 50_000, 50_000),
)
_SUPERVISION: Final = {
    "LD0/LGOS1.GoCBRef.setSrcRef": f"{BAY}LD0/LLN0.gcbMeasurements",
    "LD0/LSVS1.SvCBRef.setSrcRef": f"{MU}MU01/LLN0.MSVCB01",
}
_SAMPLES: Final = {f"I{n}": (f"I01{p}", "TCTR", str(n), "AmpSv") for n, p in enumerate("ABCN", 1)}
_SAMPLES.update({f"U{n}": (f"U01{p}", "TVTR", str(n), "VolSv") for n, p in enumerate("ABCN", 1)})
_GOOSE: Final = {"Hz": ("MMXU", "1", "Hz"), "Pos": ("XCBR", "1", "Pos")}


def sample_station() -> Scl:
    """The station as records: MU1, BAY1, and the gateways V2G1 (four EVSEs) and V2G2 (two)."""
    first = _gateway("V2G1", STATION_EVSES)
    second = _gateway("V2G2", STATION_EVSES[:2], setting_groups=2)
    library = TypeLibrary(gateway_profile())
    bay = bay_ied(library, ("V2G1", "V2G2"))
    mu = merging_unit_ied(library, ("V2G1", "V2G2"))
    return Scl(
        file="sample-station",
        version="2007",
        revision="B",
        release="4",
        header=Header("SampleStation", 0, "1", "0", "v2g-scl"),
        plant=(_plant(),),
        subnetworks=(_station_bus(), _process_bus()),
        ieds=(mu, bay, first.ieds[0], second.ieds[0]),
        types=_merged(first.types, second.types, library.templates(), merging_unit_types()),
    )


def _gateway(name: str, evses: tuple[EvseDescription, ...], setting_groups: int = 0) -> Scl:
    gateway = GatewayDescription(
        evses=evses, ied_name=name, values=_SUPERVISION, setting_groups=setting_groups
    )
    scl = gateway_scl(gateway, communication=False)
    return replace(scl, ieds=(_bound(scl.ieds[0]),))


def _bound(ied: Ied) -> Ied:
    """The gateway with its inputs bound, as a system configurator leaves it."""
    point = ied.access_points[0]
    station = point.devices[0]
    nodes = (_bound_node(station.nodes[0]), *station.nodes[1:])
    devices = (replace(station, nodes=nodes), *point.devices[1:])
    points = (replace(point, devices=devices), *ied.access_points[1:])
    return replace(ied, access_points=points)


def _bound_node(ln0: Ln) -> Ln:
    return replace(ln0, ext_refs=tuple(_bind(ext_ref) for ext_ref in ln0.ext_refs))


def _bind(ext_ref: ExtRef) -> ExtRef:
    service, name, _ = ext_ref.int_addr.split(".", 2)
    if service == "sv":
        prefix, ln_class, inst, do_name = _SAMPLES[name]
        source = {"ied_name": MU, "ld_inst": "MU01", "src_cb_name": "MSVCB01"}
    else:
        prefix, (ln_class, inst, do_name) = "", _GOOSE[name]
        source = {"ied_name": BAY, "ld_inst": "LD0", "src_cb_name": "gcbMeasurements"}
    return replace(
        ext_ref,
        **source,
        prefix=prefix,
        ln_class=ln_class,
        ln_inst=inst,
        do_name=do_name,
        da_name=ext_ref.p_da,
        service_type=ext_ref.p_serv_t,
        src_ln_class="LLN0",
    )


def _merged(*parts: DataTypeTemplates) -> DataTypeTemplates:
    return DataTypeTemplates(
        {k: v for part in parts for k, v in part.ln_types.items()},
        {k: v for part in parts for k, v in part.do_types.items()},
        {k: v for part in parts for k, v in part.da_types.items()},
        {k: v for part in parts for k, v in part.enum_types.items()},
    )


def _station_bus() -> SubNetwork:
    hosts = {BAY: 20, "V2G1": 11, "V2G2": 12}
    connected = tuple(
        ConnectedAp(name, "S1", 0, PAddress(_osi(f"192.0.2.{host}", host), 0))
        for name, host in hosts.items()
    )
    return SubNetwork("StationBus", 0, "8-MMS", "100", connected)


def _osi(ip: str, number: int) -> Mapping[str, str]:
    return {
        "IP": ip,
        "IP-SUBNET": "255.255.255.0",
        "IP-GATEWAY": "192.0.2.1",
        "OSI-AP-Title": f"1,1,9999,{number}",
        "OSI-AE-Qualifier": "12",
        "OSI-PSEL": "00000001",
        "OSI-SSEL": "0001",
        "OSI-TSEL": "0001",
    }


def _process_bus() -> SubNetwork:
    smv = CbAddress("MU01", "MSVCB01", PAddress(_layer_2("01-0C-CD-04-00-01", "4000"), 0), 0)
    gse = CbAddress(
        "LD0", "gcbMeasurements", PAddress(_layer_2("01-0C-CD-01-00-01", "0001"), 0), 0, 4, 1000
    )
    gateways = (
        ConnectedAp(name, "P1", 0, gse=(_dispatch(number),))
        for number, name in enumerate(("V2G1", "V2G2"), 2)
    )
    connected = (
        ConnectedAp(MU, "P1", 0, smv=(smv,)),
        ConnectedAp(BAY, "P1", 0, gse=(gse,)),
        *gateways,
    )
    return SubNetwork("ProcessBus", 0, "8-MMS", "100", connected)


def _dispatch(number: int) -> CbAddress:
    """Where a gateway's own GOOSE goes, once `ied.goose_interface` is set."""
    address = _layer_2(f"01-0C-CD-01-00-{number:02X}", f"{number:04X}")
    return CbAddress("LD0", GOOSE_BLOCK, PAddress(address, 0), 0, 4, 1000)


def _layer_2(mac: str, app_id: str) -> Mapping[str, str]:
    return {"MAC-Address": mac, "APPID": app_id, "VLAN-ID": "00A", "VLAN-PRIORITY": "4"}


def _plant() -> PlantElement:
    breaker = _equipment("QA1", "CBR", LNodeRef(BAY, "LD0", "", "XCBR", "1", 0))
    transformers = [
        _equipment(f"BI{n}", "CTR", LNodeRef(MU, "MU01", f"I01{p}", "TCTR", str(n), 0))
        for n, p in enumerate("ABCN", 1)
    ]
    measuring = LNodeRef(BAY, "LD0", "", "MMXU", "1", 0)
    bay = PlantElement("Bay", "Transformer", 0, {}, (measuring,), (breaker, *transformers))
    level = PlantElement("VoltageLevel", "LowVoltage", 0, {}, (), (bay,))
    return PlantElement("Substation", "CarPark", 0, {}, (), (level,))


def _equipment(name: str, kind: str, node: LNodeRef) -> PlantElement:
    return PlantElement("ConductingEquipment", name, 0, {"type": kind}, (node,))
