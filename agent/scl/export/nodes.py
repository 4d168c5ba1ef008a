"""The logical devices of the gateway: nodes, values, data sets, reports and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from agent.iec61850 import namespaces
from agent.scl.export.description import EvseDescription, GatewayDescription
from agent.scl.export.profile import Nodes, ObjectProfile, Profile
from agent.scl.export.types import TypeLibrary
from agent.scl.model_base import Value
from agent.scl.model_control import (
    DataSet,
    ExtRef,
    Fcda,
    GseControl,
    OptFields,
    ReportControl,
    SettingControl,
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
    "Measurements": ("MX", ("MMXU1.TotW", "MMXU1.TotVAr", "MMXU1.Hz", "MMXU1.HzRte",
                            "MMXU1.PPV.phsAB", "MMXU1.PPV.phsBC", "MMXU1.PPV.phsCA",
                            "MMXU1.PhV.phsA", "MMXU1.PhV.phsB", "MMXU1.PhV.phsC",
                            "MMXU1.A.phsA", "MMXU1.A.phsB", "MMXU1.A.phsC",
                            "DWGC1.ReqW", "DWGC1.WSpt", "DAGC1.ReqW", "DAGC1.WMaxAvl",
                            "DAGC1.WMinAvl", "DPMC1.ReqTotW", "FSCC1.ValMV")),
    "Status": ("ST", ("LLN0.Beh", "LLN0.Health", "LLN0.LocSta", "LTMS1.TmSyn", "LGOS1.St",
                      "LSVS1.St", "DPCC1.EcpIsldSt", "GGIO1.Alm1", "GGIO1.Wrn1", "GGIO1.Ind1",
                      "GGIO1.IntIn1", "GGIO1.IntIn2", "GGIO1.IntIn3")),
}  # fmt: skip
_DISPATCH: Final = "Dispatch"
GOOSE_BLOCK: Final = f"gcb{_DISPATCH}"
_STATION_GOOSE: Final = (
    ("MMXU1.TotW", "mag.f", "MX"), ("MMXU1.TotW", "q", "MX"),
    ("DAGC1.WMaxAvl", "mag.f", "MX"), ("DAGC1.WMaxAvl", "q", "MX"),
    ("DAGC1.WMinAvl", "mag.f", "MX"), ("DAGC1.WMinAvl", "q", "MX"),
    ("LLN0.Beh", "stVal", "ST"), ("LLN0.Health", "stVal", "ST"), ("DPMC1.Loc", "stVal", "ST"),
)  # fmt: skip
"""Delivered power, what could be delivered, and the state; short enough for any subscriber."""
_DROOP: Final = {"DHFW": frozenset({"HzStr", "WGra"}), "DLFW": frozenset({"HzStr", "WGra"})}
"""Settings of the droop that can be in setting groups."""
_DEADBAND_HZ: Final = 0.02
_DROOP_PU: Final = 0.05
_EVSE_SETS: Final = {
    "Measurements": ("MX", ("MMXU1.TotW", "MMXU1.Hz", "MMXU1.PhV", "MMXU1.A", "DSTO1.SocWh",
                            "DSTO1.SocEffWhPct", "DSTO1.AvlChaW", "DSTO1.AvlDschW", "DWGC1.WSpt",
                            "DEEV1.Soc", "GGIO1.AnIn1")),
    "Status": ("ST", ("LLN0.Beh", "LLN0.Health", "DSTO1.DEROpSt", "DSTO1.SocLoAlm",
                      "DSTO1.SocHiAlm", "DCTE1.CeaEgzReqSt", "DESE1.DigCommLos",
                      "DEEV1.ConnTypSel", "GGIO1.Alm1")),
}  # fmt: skip
_PHASES: Final = ("1", "2", "3", "4")


def station_device(gateway: GatewayDescription, types: TypeLibrary, profile: Profile) -> LDevice:
    """LD0: the site as one plant, with its inputs from the process bus."""
    fill = {"ld": "LD0"}
    profiled = _with_entries(profile.station, gateway.schedule_entries)
    nodes = _nodes("LD0", profiled, "Site", fill, gateway, types)
    first = _with_reports(nodes[0], "LD0", _STATION_SETS, gateway.clients)
    first = _with_goose(first, gateway.ied_name)
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
    if gateway.setting_groups:
        active = gateway.active_groups.get(inst, 1)
        control = SettingControl(gateway.setting_groups, 0, active)
        first = replace(first, setting_control=control)
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
        grouped = _DROOP.get(class_name, frozenset()) if gateway.setting_groups else frozenset()
        type_id = types.ln_type(
            f"{class_name}_{variant}" + ("_SG" if grouped else ""),
            class_name,
            {do_name: do.ctl for do_name, do in objects.items()},
            grouped,
        )
        values = {
            f"{do_name}.{attribute}": text.format_map(fill)
            for do_name, do in objects.items()
            for attribute, text in do.val.items()
        }
        values.update(_name_plates(class_name, objects, name, gateway))
        if grouped:
            values.update(_droop(class_name, gateway.values.get(f"{inst}/DECP1.HzNom.setMag.f")))
        prefix = f"{inst}/{node_name}."
        values.update(_current(gateway.values, prefix))
        by_group = [
            {**values, **_current(gateway.group_values.get(group, {}), prefix)}
            for group in range(1, gateway.setting_groups + 1)
        ]
        instances = _instances(values, grouped, by_group)
        made.append(Ln(class_name, 0, inst=number, ln_type=type_id, instances=instances))
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


def _droop(class_name: str, nominal_hz: str | None) -> dict[str, str]:
    """What every setting group starts with: 20 mHz of deadband, 5 % droop."""
    hertz = float(nominal_hz or 50)
    start_hz = hertz + (_DEADBAND_HZ if class_name == "DHFW" else -_DEADBAND_HZ)
    gradient = 100 / (_DROOP_PU * hertz)
    return {"HzStr.setMag.f": f"{start_hz:g}", "WGra.setMag.f": f"{gradient:.6g}"}


def _instances(
    values: Mapping[str, str], grouped: frozenset[str], by_group: Sequence[Mapping[str, str]]
) -> tuple[Instance, ...]:
    """DOI, SDI and DAI for values by dotted path; grouped objects have a value for each group."""
    tree: dict[str, dict[str, tuple[Value, ...]]] = {}
    for path, text in values.items():
        head, _, rest = path.partition(".")
        groups = enumerate(by_group, 1) if head in grouped else ()
        several = tuple(Value(own[path], group) for group, own in groups)
        tree.setdefault(head, {})[rest] = several or (Value(text),)
    return tuple(
        Instance("DOI", name, 0, children=_members(members)) for name, members in tree.items()
    )


def _members(values: Mapping[str, tuple[Value, ...]]) -> tuple[Instance, ...]:
    tree: dict[str, dict[str, tuple[Value, ...]]] = {}
    leaves: dict[str, tuple[Value, ...]] = {}
    for path, texts in values.items():
        head, dot, rest = path.partition(".")
        if dot:
            tree.setdefault(head, {})[rest] = texts
        else:
            leaves[head] = texts
    structures = tuple(
        Instance("SDI", name, 0, children=_members(members)) for name, members in tree.items()
    )
    attributes = tuple(Instance("DAI", name, 0, values=texts) for name, texts in leaves.items())
    return (*structures, *attributes)


def _with_entries(nodes: Nodes, entries: int) -> Nodes:
    """The profile with as many schedule entries: ``ValASG{entry}`` stands for all of them."""
    return {
        node: {
            name.format(entry=entry): do
            for name, do in objects.items()
            for entry in (range(1, entries + 1) if "{entry}" in name else (0,))
        }
        for node, objects in nodes.items()
    }


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
    return replace(ln0, data_sets=data_sets, report_controls=reports)


def _with_goose(ln0: Ln, ied_name: str) -> Ln:
    """LLN0 with the GOOSE that a system configurator may address; unaddressed it is not sent."""
    members = tuple(_fcda("LD0", member, fc, da_name) for member, da_name, fc in _STATION_GOOSE)
    app_id = f"{ied_name}LD0/{GOOSE_BLOCK}"
    control = GseControl(GOOSE_BLOCK, 0, _DISPATCH, app_id=app_id, conf_rev=1)
    data_sets = (*ln0.data_sets, DataSet(_DISPATCH, 0, members))
    return replace(ln0, data_sets=data_sets, gse_controls=(control,))


def _fcda(inst: str, member: str, fc: str, da_name: str = "") -> Fcda:
    node, _, do_name = member.partition(".")
    class_name, number = _split(node)
    return Fcda(inst, "", class_name, number, do_name, da_name, fc, 0)


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
    return replace(ln0, ext_refs=(*samples, *goose))
