"""The logical devices of the gateway: nodes, values, data sets, reports and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.iec61850 import namespaces
from agent.scl.export.description import EvseDescription, GatewayDescription
from agent.scl.export.profile import Nodes, ObjectProfile, Profile
from agent.scl.export.types import TypeLibrary
from agent.scl.model_base import Value
from agent.scl.model_control import (
    DataSet,
    ExtRef,
    Fcda,
    OptFields,
    ReportControl,
    TriggerOptions,
)
from agent.scl.model_ied import Instance, LDevice, Ln

_TRIGGERS: Final = TriggerOptions(dchg=True, qchg=True, period=True, gi=True)
_OPT_FIELDS: Final = OptFields(
    seq_num=True, time_stamp=True, data_set=True, reason_code=True, data_ref=True, entry_id=True,
    config_ref=True,
)  # fmt: skip
_INTEGRITY_MS: Final = 60_000
_STATION_SETS: Final = {
    "Measurements": ("MX", ("MMXU1.TotW", "MMXU1.TotVAr", "MMXU1.Hz", "MMXU1.HzRte", "MMXU1.PhV",
                            "MMXU1.A", "DWGC1.ReqW", "DWGC1.WSpt")),
    "Status": ("ST", ("LLN0.Beh", "LLN0.Health", "LLN0.LocSta", "LTMS1.TmSyn", "LGOS1.St",
                      "LSVS1.St", "DPCC1.EcpIsldSt", "GGIO1.Alm1", "GGIO1.Wrn1", "GGIO1.Ind1",
                      "GGIO1.IntIn1", "GGIO1.IntIn2", "GGIO1.IntIn3")),
}  # fmt: skip
_EVSE_SETS: Final = {
    "Measurements": ("MX", ("MMXU1.TotW", "MMXU1.Hz", "MMXU1.PhV", "MMXU1.A", "DSTO1.SocWh",
                            "DSTO1.SocEffWhPct", "DSTO1.AvlChaW", "DSTO1.AvlDschW", "DWGC1.WSpt",
                            "DEEV1.Soc")),
    "Status": ("ST", ("LLN0.Beh", "LLN0.Health", "DSTO1.DEROpSt", "DSTO1.SocLoAlm",
                      "DSTO1.SocHiAlm", "DCTE1.CeaEgzReqSt", "DESE1.DigCommLos",
                      "DEEV1.ConnTypSel")),
}  # fmt: skip
_PHASES: Final = ("1", "2", "3", "4")


def station_device(gateway: GatewayDescription, types: TypeLibrary, profile: Profile) -> LDevice:
    """LD0: the site as one plant, with its inputs from the process bus."""
    fill = {"ld": "LD0"}
    nodes = _nodes("LD0", profile.station, "Site", fill, gateway, types)
    first = _with_reports(nodes[0], "LD0", _STATION_SETS, gateway.clients)
    return LDevice("LD0", 0, desc="Site", nodes=(_with_inputs(first), *nodes[1:]))


def evse_device(
    number: int,
    evse: EvseDescription,
    gateway: GatewayDescription,
    types: TypeLibrary,
    profile: Profile,
) -> LDevice:
    """EVSE<n>: one supply equipment with the vehicle behind it."""
    inst = f"EVSE{number}"
    own = profile.evse_ac if evse.kind == "ac" else profile.evse_dc
    fill = {
        "ld": inst,
        "evse_id": evse.evse_id,
        "charge_w": _text(evse.charge_w),
        "discharge_w": _text(evse.discharge_w),
    }
    name = evse.name or inst
    nodes = _nodes(inst, {**profile.evse, **own}, name, fill, gateway, types, evse.kind)
    first = _with_reports(nodes[0], inst, _EVSE_SETS, gateway.clients)
    return LDevice(inst, 0, desc=name, nodes=(first, *nodes[1:]))


def _text(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _nodes(
    inst: str,
    nodes: Nodes,
    name: str,
    fill: Mapping[str, str],
    gateway: GatewayDescription,
    types: TypeLibrary,
    kind: str = "",
) -> tuple[Ln, ...]:
    made: list[Ln] = []
    for node_name, objects in nodes.items():
        class_name, number = _split(node_name)
        variant = {"LD0": "Station"}.get(inst, "EVSE" if class_name != "DESE" else kind.upper())
        type_id = types.ln_type(
            f"{class_name}_{variant}",
            class_name,
            {do_name: do.ctl for do_name, do in objects.items()},
        )
        values = {
            f"{do_name}.{attribute}": text.format_map(fill)
            for do_name, do in objects.items()
            for attribute, text in do.val.items()
        }
        values.update(_name_plates(class_name, objects, name, gateway))
        values.update(_current(gateway.values, f"{inst}/{node_name}."))
        made.append(Ln(class_name, 0, inst=number, ln_type=type_id, instances=_instances(values)))
    return tuple(made)


def _split(node_name: str) -> tuple[str, str]:
    return (node_name, "") if node_name == "LLN0" else (node_name[:4], node_name[4:])


def _name_plates(
    class_name: str,
    objects: Mapping[str, ObjectProfile],
    name: str,
    gateway: GatewayDescription,
) -> dict[str, str]:
    values: dict[str, str] = {}
    for plate in ("NamPlt", "PhyNam", "EVSENam"):
        if plate in objects:
            values[f"{plate}.vendor"] = gateway.manufacturer
    if "NamPlt" not in objects:
        return values
    values["NamPlt.swRev"] = gateway.software
    fact = namespaces.ln_class(class_name)
    if class_name == "LLN0":
        values["NamPlt.d"] = name
        values["NamPlt.configRev"] = gateway.config_rev
        values["NamPlt.ldNs"] = namespaces.NS_7_4
    elif fact is not None and fact.namespace != namespaces.NS_7_4:
        values["NamPlt.lnNs"] = fact.namespace
    return values


def _current(values: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {ref[len(prefix) :]: text for ref, text in values.items() if ref.startswith(prefix)}


def _instances(values: Mapping[str, str]) -> tuple[Instance, ...]:
    """DOI, SDI and DAI for values by dotted path."""
    tree: dict[str, dict[str, str]] = {}
    for path, text in values.items():
        head, _, rest = path.partition(".")
        tree.setdefault(head, {})[rest] = text
    return tuple(
        Instance("DOI", name, 0, children=_members(members)) for name, members in tree.items()
    )


def _members(values: Mapping[str, str]) -> tuple[Instance, ...]:
    tree: dict[str, dict[str, str]] = {}
    leaves: dict[str, str] = {}
    for path, text in values.items():
        head, dot, rest = path.partition(".")
        if dot:
            tree.setdefault(head, {})[rest] = text
        else:
            leaves[head] = text
    structures = tuple(
        Instance("SDI", name, 0, children=_members(members)) for name, members in tree.items()
    )
    attributes = tuple(
        Instance("DAI", name, 0, values=(Value(text),)) for name, text in leaves.items()
    )
    return (*structures, *attributes)


def _with_reports(
    ln0: Ln, inst: str, sets: Mapping[str, tuple[str, tuple[str, ...]]], clients: int
) -> Ln:
    """LLN0 with its data sets, a BRCB for each and a URCB for measurements."""
    data_sets = tuple(
        DataSet(name, 0, tuple(_fcda(inst, member, fc) for member in members))
        for name, (fc, members) in sets.items()
    )
    reports = (
        _report("brcbMeasurements", "Measurements", True, clients),
        _report("brcbStatus", "Status", True, clients),
        _report("urcbMeasurements", "Measurements", False, clients),
    )
    return Ln(
        ln0.ln_class,
        0,
        ln_type=ln0.ln_type,
        instances=ln0.instances,
        data_sets=data_sets,
        report_controls=reports,
    )


def _fcda(inst: str, member: str, fc: str) -> Fcda:
    node, _, do_name = member.partition(".")
    class_name, number = _split(node)
    return Fcda(inst, "", class_name, number, do_name, "", fc, 0)


def _report(name: str, data_set: str, buffered: bool, clients: int) -> ReportControl:
    return ReportControl(
        name,
        0,
        data_set,
        conf_rev=1,
        buffered=buffered,
        buf_time_ms=50,
        intg_pd_ms=_INTEGRITY_MS,
        max_instances=clients,
        trg_ops=_TRIGGERS,
        opt_fields=_OPT_FIELDS,
    )


def _with_inputs(ln0: Ln) -> Ln:
    """LLN0 with the inputs a system configurator binds (later binding, IEC 61850-6 Ed. 2.1)."""
    samples = [
        ExtRef(0, int_addr=f"sv.{quantity}{phase}.{part}", p_serv_t="SMV", p_ln=ln, p_do=do,
               p_da=attribute)
        for quantity, ln, do in (("I", "TCTR", "AmpSv"), ("U", "TVTR", "VolSv"))
        for phase in _PHASES
        for part, attribute in (("i", "instMag.i"), ("q", "q"))
    ]  # fmt: skip
    goose = [
        ExtRef(0, int_addr=f"goose.{name}.{part}", p_serv_t="GOOSE", p_ln=ln, p_do=do, p_da=da)
        for name, ln, do, value in (
            ("Hz", "MMXU", "Hz", "mag.f"), ("Pos", "XCBR", "Pos", "stVal"),
        )
        for part, da in (("value", value), ("q", "q"), ("t", "t"))
    ]  # fmt: skip
    return Ln(
        ln0.ln_class,
        0,
        ln_type=ln0.ln_type,
        instances=ln0.instances,
        data_sets=ln0.data_sets,
        report_controls=ln0.report_controls,
        ext_refs=(*samples, *goose),
    )
