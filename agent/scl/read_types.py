"""Reads DataTypeTemplates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from lxml import etree

from agent.scl.finding import Severity
from agent.scl.model_types import (
    DaDef,
    DataTypeTemplates,
    DaType,
    DoDef,
    DoType,
    EnumType,
    LNodeType,
    SdoDef,
)
from agent.scl.reader import Reader


class _Type(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Type)


def read_types(reader: Reader, element: etree._Element) -> DataTypeTemplates:
    """Every type by id; of types with the same id the first is used, the others are reported."""
    return DataTypeTemplates(
        _by_id(reader, element, "LNodeType", _ln_type),
        _by_id(reader, element, "DOType", _do_type),
        _by_id(reader, element, "DAType", _da_type),
        _by_id(reader, element, "EnumType", _enum_type),
    )


def _by_id(
    reader: Reader,
    element: etree._Element,
    tag: str,
    read: Callable[[Reader, etree._Element], T],
) -> dict[str, T]:
    types: dict[str, T] = {}
    for child in reader.only(element, tag):
        read_type = read(reader, child)
        if read_type.id in types:
            reader.note(
                child,
                "type.duplicate-id",
                f"{tag} {read_type.id!r} is defined twice; the first definition is used",
                "give each type its own id",
            )
        types.setdefault(read_type.id, read_type)
    return types


def _ln_type(reader: Reader, element: etree._Element) -> LNodeType:
    return LNodeType(
        element.get("id", ""),
        element.get("lnClass", ""),
        reader.line(element),
        tuple(
            DoDef(
                do.get("name", ""),
                do.get("type", ""),
                reader.line(do),
                reader.flag(do, "transient", False),
                do.get("accessControl", ""),
            )
            for do in reader.only(element, "DO")
        ),
    )


def _do_type(reader: Reader, element: etree._Element) -> DoType:
    children: list[SdoDef | DaDef] = []
    for name, child in reader.children(element):
        if name == "SDO":
            get = child.get
            children.append(
                SdoDef(get("name", ""), get("type", ""), reader.line(child), get("count", ""))
            )
        elif name == "DA":
            children.append(_attribute(reader, child))
    return DoType(
        element.get("id", ""), element.get("cdc", ""), reader.line(element), tuple(children)
    )


def _da_type(reader: Reader, element: etree._Element) -> DaType:
    members = tuple(_attribute(reader, child) for child in reader.only(element, "BDA"))
    return DaType(element.get("id", ""), reader.line(element), members)


def _attribute(reader: Reader, element: etree._Element) -> DaDef:
    get = element.get
    return DaDef(
        name=get("name", ""),
        b_type=get("bType", ""),
        line=reader.line(element),
        type=get("type", ""),
        fc=get("fc", ""),
        count=get("count", "").strip(),
        dchg=reader.flag(element, "dchg", False),
        qchg=reader.flag(element, "qchg", False),
        dupd=reader.flag(element, "dupd", False),
        s_addr=get("sAddr", ""),
        val_kind=get("valKind", "Set"),
        val_import=reader.flag(element, "valImport", False),
        values=reader.values(element),
    )


def _enum_type(reader: Reader, element: etree._Element) -> EnumType:
    values: dict[str, int] = {}
    for child in reader.only(element, "EnumVal"):
        text = reader.text(child)
        ordinal = reader.integer(child, "ord", 0, least=-(1 << 31))
        if text in values and values[text] != ordinal:
            what = f"{text!r} has two ordinals, {values[text]} and {ordinal}; the first is used"
            reader.note(child, "enum.duplicate-text", what, severity=Severity.WARNING)
        values.setdefault(text, ordinal)
    return EnumType(element.get("id", ""), reader.line(element), values)
