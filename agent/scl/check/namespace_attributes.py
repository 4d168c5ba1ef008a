"""Data object types against the CDCs of IEC 61850-7-3."""

from __future__ import annotations

from typing import Final

from agent.iec61850 import namespaces
from agent.iec61850.namespaces import AttributeFact, CdcFact
from agent.scl.check.context import Context
from agent.scl.check.namespace_enums import compare_enumeration
from agent.scl.check.namespace_objects import is_edition_2
from agent.scl.check.presence import problems
from agent.scl.model_types import DaDef, DoType, SdoDef

_SERVICES: Final = frozenset({"SBO", "SBOw", "Oper", "Cancel"})


def data_object_types(context: Context) -> None:
    """Attributes of a CDC exist where mandatory, with their constraint and type."""
    if not is_edition_2(context):
        return
    for do_type in context.scl.types.do_types.values():
        path = f"DataTypeTemplates/DOType[{do_type.id}]"
        fact = namespaces.cdc(do_type.cdc, _setting_fc(do_type))
        if fact is None:
            what = f"CDC {do_type.cdc!r} is not in IEC 61850-7-3"
            context.warning("ns.unknown-cdc", do_type.line, path, what)
        else:
            _do_type(context, do_type, fact, path)


def _setting_fc(do_type: DoType) -> str:
    constraints = {child.fc for child in do_type.children if isinstance(child, DaDef)}
    return next((fc for fc in ("SE", "SG", "SP") if fc in constraints), "SP")


def _do_type(context: Context, do_type: DoType, fact: CdcFact, path: str) -> None:
    present = {child.name for child in do_type.children}
    extended = bool(present & {"dataNs", "cdcNs"})
    for child in do_type.children:
        if isinstance(child, SdoDef):
            _sub_object(context, child, fact, path, extended)
        elif child.name in fact.attributes:
            _attribute(context, child, fact.attributes[child.name], path)
        elif child.name not in _SERVICES and not extended and child.name != "cdcNs":
            what = f"{child.name} is not an attribute of {do_type.cdc}"
            context.warning("ns.unknown-attribute", child.line, path, what, "give it a cdcNs")
    for sentence in (*problems(fact.attributes, present), *problems(fact.objects, present)):
        context.namespace("ns.attribute-presence", do_type.line, path, f"{do_type.cdc}: {sentence}")


def _sub_object(context: Context, sdo: SdoDef, fact: CdcFact, path: str, extended: bool) -> None:
    known = fact.objects.get(sdo.name)
    sub_type = context.scl.types.do_types.get(sdo.type)
    if known is None:
        if not extended:
            what = f"{sdo.name} is not a sub data object of this CDC"
            context.warning("ns.unknown-attribute", sdo.line, path, what, "give it a cdcNs")
    elif sub_type is not None and sub_type.cdc != known.cdc:
        what = f"{sdo.name} has CDC {sub_type.cdc}, the namespace says {known.cdc}"
        context.namespace("ns.cdc", sdo.line, path, what)


def _attribute(context: Context, da: DaDef, fact: AttributeFact, path: str) -> None:
    where = f"{path}/DA[{da.name}]"
    if da.fc != fact.fc:
        what = f"{da.name} has fc {da.fc}, the namespace says {fact.fc}"
        context.namespace("ns.fc", da.line, where, what)
    expected = {"E": "Enum", "C": "Struct"}.get(fact.kind, fact.type)
    if expected and da.b_type != expected:
        what = f"{da.name} has bType {da.b_type}, the namespace says {expected}"
        context.namespace("ns.attribute-type", da.line, where, what)
    elif fact.kind == "E" and fact.type:
        compare_enumeration(context, da.type, fact.type)
