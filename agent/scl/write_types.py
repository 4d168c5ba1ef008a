"""Writes DataTypeTemplates."""

from __future__ import annotations

from lxml import etree

from agent.scl.model_base import Value
from agent.scl.model_types import DaDef, DataTypeTemplates, DoType, SdoDef
from agent.scl.xml import add, flag, number


def write_types(root: etree._Element, types: DataTypeTemplates) -> None:
    """Every type, in the order of the schema."""
    templates = add(root, "DataTypeTemplates")
    for ln_type in types.ln_types.values():
        element = add(templates, "LNodeType", id=ln_type.id, lnClass=ln_type.ln_class)
        for do in ln_type.objects:
            add(
                element,
                "DO",
                name=do.name,
                type=do.type,
                transient=flag(do.transient, False),
                accessControl=do.access_control,
            )
    for do_type in types.do_types.values():
        _do_type(templates, do_type)
    for da_type in types.da_types.values():
        element = add(templates, "DAType", id=da_type.id)
        for member in da_type.children:
            _attribute(element, "BDA", member)
    for enum_type in types.enum_types.values():
        element = add(templates, "EnumType", id=enum_type.id)
        for text, ordinal in enum_type.values.items():
            add(element, "EnumVal", ord=str(ordinal)).text = text


def _do_type(templates: etree._Element, do_type: DoType) -> None:
    element = add(templates, "DOType", id=do_type.id, cdc=do_type.cdc)
    for child in do_type.children:
        if isinstance(child, SdoDef):
            add(element, "SDO", name=child.name, type=child.type, count=child.count)
        else:
            _attribute(element, "DA", child)


def _attribute(parent: etree._Element, tag: str, da: DaDef) -> None:
    element = add(
        parent,
        tag,
        name=da.name,
        fc=da.fc,
        bType=da.b_type,
        type=da.type,
        count=da.count,
        dchg=flag(da.dchg, False),
        qchg=flag(da.qchg, False),
        dupd=flag(da.dupd, False),
        sAddr=da.s_addr,
        valKind=None if da.val_kind == "Set" else da.val_kind,
        valImport=flag(da.val_import, False),
    )
    write_values(element, da.values)


def write_values(parent: etree._Element, values: tuple[Value, ...]) -> None:
    """The Val elements of an attribute."""
    for value in values:
        add(parent, "Val", sGroup=number(value.s_group, 0)).text = value.text
