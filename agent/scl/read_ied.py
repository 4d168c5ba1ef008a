"""Reads an IED: in full, or the outline that subscribers of other IEDs need."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from lxml import etree
from msgspec.structs import replace

from agent.scl.model_base import Private, Value
from agent.scl.model_ied import AccessPoint, Ied, Instance, LDevice, Ln, Service
from agent.scl.read_control import (
    read_data_set,
    read_ext_ref,
    read_gse_control,
    read_log_control,
    read_report_control,
    read_setting_control,
    read_sv_control,
)
from agent.scl.reader import Reader, line_of


def read_ied(reader: Reader, element: etree._Element, complete: bool) -> Ied:
    """One IED element; an outline where ``complete`` is false."""
    published = None if complete else _published(reader, element)
    return Ied(
        name=element.get("name", ""),
        line=reader.line(element),
        type=element.get("type", ""),
        manufacturer=element.get("manufacturer", ""),
        config_version=element.get("configVersion", ""),
        desc=element.get("desc", ""),
        original_scl_version=element.get("originalSclVersion", ""),
        original_scl_revision=element.get("originalSclRevision", ""),
        original_scl_release=element.get("originalSclRelease", ""),
        services=_services(reader, element) if complete else None,
        access_points=tuple(
            _access_point(reader, point, published) for point in reader.only(element, "AccessPoint")
        ),
        privates=_privates(reader, element) if complete else (),
        complete=complete,
    )


def _privates(reader: Reader, element: etree._Element) -> tuple[Private, ...]:
    return tuple(map(reader.private, reader.only(element, "Private")))


class _Published(NamedTuple):
    """What an outline keeps of an IED: the nodes that publish, and the nodes they publish.

    Attributes:
        nodes: Logical node elements with a GOOSE or sampled value control block.
        members: (ldInst, node name) of every member of a data set that such a block sends.
    """

    nodes: AbstractSet[etree._Element]
    members: AbstractSet[tuple[str, str]]


def _published(reader: Reader, element: etree._Element) -> _Published:
    tags = (reader.tag("GSEControl"), reader.tag("SampledValueControl"))
    members: set[tuple[str, str]] = set()
    parents = (control.getparent() for control in element.iter(*tags))
    nodes = {node for node in parents if node is not None}
    for node in nodes:
        device = node.getparent()
        ld_inst = "" if device is None else device.get("inst", "")
        sent = {control.get("datSet") for control in node.iterchildren(*tags)}
        for data_set in reader.only(node, "DataSet"):
            if data_set.get("name") in sent:
                fcdas = read_data_set(reader, data_set, ld_inst).members
                members.update((fcda.ld_inst, fcda.ln_name) for fcda in fcdas)
    return _Published(nodes, members)


def _access_point(
    reader: Reader, element: etree._Element, published: _Published | None
) -> AccessPoint:
    server = reader.first(element, "Server")
    shared = reader.first(element, "ServerAt")
    devices = () if server is None else tuple(reader.only(server, "LDevice"))
    nodes = tuple(reader.only(element, "LN")) if published is None else ()
    return AccessPoint(
        name=element.get("name", ""),
        line=reader.line(element),
        has_server=server is not None,
        devices=tuple(_device(reader, device, published) for device in devices),
        server_at="" if shared is None else shared.get("apName", ""),
        nodes=tuple(_full_node(reader, node, "") for node in nodes),
        services=_services(reader, element) if published is None else None,
        router=reader.flag(element, "router", False),
        clock=reader.flag(element, "clock", False),
    )


def _device(reader: Reader, element: etree._Element, published: _Published | None) -> LDevice:
    inst = element.get("inst", "")
    elements = reader.only(element, "LN0", "LN")
    return LDevice(
        inst,
        reader.line(element),
        element.get("ldName", ""),
        element.get("desc", ""),
        tuple(_full_node(reader, node, inst) for node in elements)
        if published is None
        else tuple(_outline_node(reader, node, inst, published) for node in elements),
        _privates(reader, element) if published is None else (),
    )


def _outline_node(
    reader: Reader, element: etree._Element, ld_inst: str, published: _Published
) -> Ln:
    """Node with its type and what it publishes; values only where it is published itself."""
    get = element.get
    is_ln0 = element.tag == reader.ln0_tag
    ln = Ln(
        "LLN0" if is_ln0 else get("lnClass", ""),
        line_of(element),
        get("prefix", ""),
        "" if is_ln0 else get("inst", ""),
        get("lnType", ""),
    )
    if (ld_inst, ln.name) in published.members:
        instances = tuple(_instance(reader, "DOI", e) for e in reader.only(element, "DOI"))
        ln = replace(ln, instances=instances)
    if element not in published.nodes:
        return ln
    gse = tuple(read_gse_control(reader, e) for e in reader.only(element, "GSEControl"))
    sv = tuple(read_sv_control(reader, e) for e in reader.only(element, "SampledValueControl"))
    sent = {control.dat_set for control in gse} | {control.dat_set for control in sv}
    data_sets = tuple(
        read_data_set(reader, e, ld_inst)
        for e in reader.only(element, "DataSet")
        if e.get("name") in sent
    )
    return replace(ln, data_sets=data_sets, gse_controls=gse, sv_controls=sv)


def _full_node(reader: Reader, element: etree._Element, ld_inst: str) -> Ln:
    parts: dict[str, list[etree._Element]] = {}
    for name, child in reader.children(element):
        parts.setdefault(name, []).append(child)
    none: list[etree._Element] = []
    is_ln0 = element.tag == reader.ln0_tag
    setting = parts.get("SettingControl", none)
    return Ln(
        ln_class="LLN0" if is_ln0 else element.get("lnClass", ""),
        line=reader.line(element),
        prefix=element.get("prefix", ""),
        inst="" if is_ln0 else element.get("inst", ""),
        ln_type=element.get("lnType", ""),
        desc=element.get("desc", ""),
        instances=tuple(_instance(reader, "DOI", e) for e in parts.get("DOI", none)),
        data_sets=tuple(read_data_set(reader, e, ld_inst) for e in parts.get("DataSet", none)),
        report_controls=tuple(
            read_report_control(reader, e) for e in parts.get("ReportControl", none)
        ),
        gse_controls=tuple(read_gse_control(reader, e) for e in parts.get("GSEControl", none)),
        sv_controls=tuple(
            read_sv_control(reader, e) for e in parts.get("SampledValueControl", none)
        ),
        log_controls=tuple(read_log_control(reader, e) for e in parts.get("LogControl", none)),
        logs=tuple(e.get("name", "") for e in parts.get("Log", none)),
        setting_control=read_setting_control(reader, setting[0]) if setting else None,
        ext_refs=tuple(
            read_ext_ref(reader, ext_ref)
            for inputs in parts.get("Inputs", none)
            for ext_ref in reader.only(inputs, "ExtRef")
        ),
        privates=tuple(map(reader.private, parts.get("Private", none))),
    )


def _instance(reader: Reader, tag: str, element: etree._Element) -> Instance:
    """A DOI, SDI or DAI; most of a large file consists of them, hence one pass over each."""
    values: list[Value] = []
    children: list[Instance] = []
    for child in element:
        name = reader.local(child)
        if name == "Val":
            values.append(reader.value(child))
        elif name in ("SDI", "DAI"):
            children.append(_instance(reader, name, child))
    get = element.get
    val_import = get("valImport")
    return Instance(
        tag,
        get("name", ""),
        reader.line(element),
        None if get("ix") is None else reader.optional_integer(element, "ix"),
        get("sAddr", ""),
        get("valKind", ""),
        None if val_import is None else reader.flag(element, "valImport", False),
        tuple(values),
        tuple(children),
    )


def _services(reader: Reader, element: etree._Element) -> tuple[Service, ...] | None:
    services = reader.first(element, "Services")
    if services is None:
        return None
    return (
        Service("Services", dict(_attributes(services)), reader.line(services)),
        *_service_elements(reader, services, ""),
    )


def _service_elements(reader: Reader, element: etree._Element, parent: str) -> tuple[Service, ...]:
    found: list[Service] = []
    for name, child in reader.children(element):
        dotted = f"{parent}.{name}" if parent else name
        attributes = dict(_attributes(child))
        found.append(Service(dotted, attributes, reader.line(child), reader.text(child)))
        found.extend(_service_elements(reader, child, dotted))
    return tuple(found)


def _attributes(element: etree._Element) -> list[tuple[str, str]]:
    return [(str(key), str(value)) for key, value in element.items()]
