"""Writes records as SCL Edition 2.1 XML, elements in the order of the schema.

Reading what was written gives equal records, lines aside. Defaults of the schema are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from lxml import etree

from agent.scl.model import Header, LNodeRef, PlantElement, Scl
from agent.scl.model_base import Private
from agent.scl.model_comm import CbAddress, ConnectedAp, PAddress, SubNetwork
from agent.scl.reader import SCL_NS
from agent.scl.write_ied import write_ied
from agent.scl.write_types import write_types
from agent.scl.xml import add


def write_scl(scl: Scl) -> bytes:
    """The file as UTF-8 XML, indented."""
    namespaces: dict[str | None, str] = {None: SCL_NS}
    root = etree.Element(f"{{{SCL_NS}}}SCL", nsmap=cast("dict[str, str]", namespaces))
    for name, value in (
        ("version", scl.version), ("revision", scl.revision), ("release", scl.release),
    ):  # fmt: skip
        if value:
            root.set(name, value)
    write_privates(root, scl.privates)
    if scl.header is not None:
        _header(root, scl.header)
    for plant in scl.plant:
        _plant(root, plant)
    if scl.subnetworks:
        communication = add(root, "Communication")
        for subnetwork in scl.subnetworks:
            _subnetwork(communication, subnetwork)
    for ied in scl.ieds:
        write_ied(root, ied)
    if scl.types.ln_types:
        write_types(root, scl.types)
    etree.indent(root, " ")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def write_privates(parent: etree._Element, privates: Iterable[Private]) -> None:
    """Private elements as they were read."""
    for private in privates:
        parent.append(etree.fromstring(private.xml))


def _header(root: etree._Element, header: Header) -> None:
    element = add(
        root,
        "Header",
        id=header.id,
        version=header.version,
        revision=header.revision,
        toolID=header.tool_id,
        nameStructure=header.name_structure,
    )
    if header.text:
        add(element, "Text").text = header.text
    if header.history:
        history = add(element, "History")
        for item in header.history:
            add(history, "Hitem", **{name: getattr(item, name) for name in item.__struct_fields__})


def _plant(parent: etree._Element, plant: PlantElement) -> None:
    element = add(parent, plant.tag, name=plant.name)
    for key, value in plant.attributes.items():
        element.set(key, value)
    write_privates(element, plant.privates)
    for node in plant.nodes:
        _lnode(element, node)
    for child in plant.children:
        _plant(element, child)


def _lnode(parent: etree._Element, node: LNodeRef) -> None:
    add(
        parent,
        "LNode",
        iedName=node.ied_name,
        ldInst=node.ld_inst,
        prefix=node.prefix,
        lnClass=node.ln_class,
        lnInst=node.ln_inst,
        lnType=node.ln_type,
    )


def _subnetwork(parent: etree._Element, subnetwork: SubNetwork) -> None:
    element = add(parent, "SubNetwork", name=subnetwork.name, type=subnetwork.type)
    if subnetwork.bit_rate:
        add(element, "BitRate", unit="b/s", multiplier="M").text = subnetwork.bit_rate
    for connected in subnetwork.connected:
        _connected(element, connected)


def _connected(parent: etree._Element, connected: ConnectedAp) -> None:
    element = add(parent, "ConnectedAP", iedName=connected.ied_name, apName=connected.ap_name)
    if connected.address is not None:
        _address(element, connected.address)
    for gse in connected.gse:
        _control_address(element, "GSE", gse)
    for smv in connected.smv:
        _control_address(element, "SMV", smv)


def _address(parent: etree._Element, address: PAddress) -> None:
    element = add(parent, "Address")
    for kind, value in address.parameters.items():
        add(element, "P", type=kind).text = value


def _control_address(parent: etree._Element, tag: str, address: CbAddress) -> None:
    element = add(parent, tag, ldInst=address.ld_inst, cbName=address.cb_name)
    _address(element, address.address)
    durations: Mapping[str, int | None] = {
        "MinTime": address.min_time_ms,
        "MaxTime": address.max_time_ms,
    }
    for name, value_ms in durations.items():
        if value_ms is not None:
            add(element, name, unit="s", multiplier="m").text = str(value_ms)
