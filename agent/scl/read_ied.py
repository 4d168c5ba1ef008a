"""Reads an IED: in full, or the outline that subscribers of other IEDs need."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from lxml import etree

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
from agent.scl.reader import Reader

Published = AbstractSet[tuple[str, str]]


def read_ied(reader: Reader, element: etree._Element, complete: bool) -> Ied:
    """One IED element; an outline where ``complete`` is false."""
    published: Published = set() if complete else _published(reader, element)
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
            _access_point(reader, point, complete, published)
            for point in reader.only(element, "AccessPoint")
        ),
        privates=_privates(reader, element) if complete else (),
        complete=complete,
    )


def _privates(reader: Reader, element: etree._Element) -> tuple[Private, ...]:
    return tuple(map(reader.private, reader.only(element, "Private")))


def _published(reader: Reader, element: etree._Element) -> set[tuple[str, str]]:
    """(ldInst, node name) of every member of a data set that a GOOSE or SV block sends."""
    tags = (reader.tag("GSEControl"), reader.tag("SampledValueControl"))
    found: set[tuple[str, str]] = set()
    for node in dict.fromkeys(control.getparent() for control in element.iter(*tags)):
        if node is None:
            continue
        device = node.getparent()
        ld_inst = "" if device is None else device.get("inst", "")
        sent = {control.get("datSet") for control in node.iterchildren(*tags)}
        for data_set in reader.only(node, "DataSet"):
            if data_set.get("name") in sent:
                members = read_data_set(reader, data_set, ld_inst).members
                found.update((fcda.ld_inst, fcda.ln_name) for fcda in members)
    return found


def _access_point(
    reader: Reader, element: etree._Element, complete: bool, published: Published
) -> AccessPoint:
    server = reader.first(element, "Server")
    shared = reader.first(element, "ServerAt")
    devices = () if server is None else tuple(reader.only(server, "LDevice"))
    nodes = tuple(reader.only(element, "LN")) if complete else ()
    return AccessPoint(
        name=element.get("name", ""),
        line=reader.line(element),
        has_server=server is not None,
        devices=tuple(_device(reader, device, complete, published) for device in devices),
        server_at="" if shared is None else shared.get("apName", ""),
        nodes=tuple(_full_node(reader, node, "") for node in nodes),
        services=_services(reader, element) if complete else None,
        router=reader.flag(element, "router", False),
        clock=reader.flag(element, "clock", False),
    )


def _device(
    reader: Reader, element: etree._Element, complete: bool, published: Published
) -> LDevice:
    inst = element.get("inst", "")
    return LDevice(
        inst,
        reader.line(element),
        element.get("ldName", ""),
        element.get("desc", ""),
        tuple(
            _full_node(reader, node, inst)
            if complete
            else _outline_node(reader, node, inst, published)
            for node in reader.only(element, "LN0", "LN")
        ),
        _privates(reader, element) if complete else (),
    )


def _ln_class(reader: Reader, element: etree._Element) -> str:
    return "LLN0" if reader.local(element) == "LN0" else element.get("lnClass", "")


def _ln_inst(reader: Reader, element: etree._Element) -> str:
    return "" if reader.local(element) == "LN0" else element.get("inst", "")


def _outline_node(
    reader: Reader, element: etree._Element, ld_inst: str, published: Published
) -> Ln:
    """Node with its type and what it publishes; values only where a published member is."""
    gse = tuple(read_gse_control(reader, e) for e in reader.only(element, "GSEControl"))
    sv = tuple(read_sv_control(reader, e) for e in reader.only(element, "SampledValueControl"))
    sent = {control.dat_set for control in gse} | {control.dat_set for control in sv}
    prefix, ln_class = element.get("prefix", ""), _ln_class(reader, element)
    inst = _ln_inst(reader, element)
    is_sent = (ld_inst, prefix + ln_class + inst) in published
    return Ln(
        ln_class,
        reader.line(element),
        prefix,
        inst,
        element.get("lnType", ""),
        instances=tuple(_instance(reader, "DOI", e) for e in reader.only(element, "DOI"))
        if is_sent
        else (),
        data_sets=tuple(
            read_data_set(reader, e, ld_inst)
            for e in (reader.only(element, "DataSet") if sent else ())
            if e.get("name") in sent
        ),
        gse_controls=gse,
        sv_controls=sv,
    )


def _full_node(reader: Reader, element: etree._Element, ld_inst: str) -> Ln:
    parts: dict[str, list[etree._Element]] = {}
    for name, child in reader.children(element):
        parts.setdefault(name, []).append(child)
    none: list[etree._Element] = []
    setting = parts.get("SettingControl", none)
    return Ln(
        ln_class=_ln_class(reader, element),
        line=reader.line(element),
        prefix=element.get("prefix", ""),
        inst=_ln_inst(reader, element),
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
