"""Reads Header, and Substation, Process and Line."""

from __future__ import annotations

from lxml import etree

from agent.scl.model import Header, HistoryItem, LNodeRef, PlantElement
from agent.scl.reader import Reader

PLANT_TAGS = ("Substation", "Process", "Line")
_NOT_PLANT = frozenset({"Private", "Text", "LNode", "Voltage"})


def read_header(reader: Reader, element: etree._Element) -> Header:
    """Identity and history of the file."""
    text = reader.first(element, "Text")
    history = reader.first(element, "History")
    items = () if history is None else tuple(reader.only(history, "Hitem"))
    return Header(
        id=element.get("id", ""),
        line=reader.line(element),
        version=element.get("version", ""),
        revision=element.get("revision", ""),
        tool_id=element.get("toolID", ""),
        name_structure=element.get("nameStructure", "IEDName"),
        text="" if text is None else reader.text(text),
        history=tuple(
            HistoryItem(*(item.get(key, "") for key in HistoryItem.__struct_fields__))
            for item in items
        ),
    )


def read_plant(reader: Reader, element: etree._Element) -> PlantElement:
    """One plant element with everything below it."""
    children = tuple(reader.children(element))
    return PlantElement(
        tag=reader.local(element),
        name=element.get("name", ""),
        line=reader.line(element),
        attributes={str(key): str(value) for key, value in element.items() if key != "name"},
        nodes=tuple(_node(reader, child) for name, child in children if name == "LNode"),
        children=tuple(
            read_plant(reader, child) for name, child in children if name not in _NOT_PLANT
        ),
        privates=tuple(reader.private(child) for name, child in children if name == "Private"),
    )


def _node(reader: Reader, element: etree._Element) -> LNodeRef:
    return LNodeRef(
        element.get("iedName", "None"),
        element.get("ldInst", ""),
        element.get("prefix", ""),
        element.get("lnClass", ""),
        element.get("lnInst", ""),
        reader.line(element),
        element.get("lnType", ""),
    )
