"""Logical node types against IEC 61850-7-4, -7-420 and TR 61850-90-8."""

from __future__ import annotations

from agent.iec61850 import namespaces
from agent.iec61850.namespaces import LnClassFact, ObjectFact
from agent.scl.check.context import Context
from agent.scl.check.namespace_enums import compare_enumeration
from agent.scl.check.presence import problems
from agent.scl.model_types import DaDef, DoDef, DoType, LNodeType

_NAME_PLATE = "NamPlt"


def is_edition_2(context: Context) -> bool:
    """Whether the file claims an edition that the namespace facts describe."""
    return bool(context.scl.version)


def logical_node_types(context: Context) -> None:
    """Mandatory data objects exist, none is unknown, each has its CDC and enumeration."""
    ln_types = context.scl.types.ln_types
    if not is_edition_2(context):
        if ln_types:
            what = "the file is of Edition 1; the namespace rules of Edition 2 are not applied"
            context.info("ns.edition", 0, "", what)
        return
    unknown: set[str] = set()
    for ln_type in ln_types.values():
        fact = namespaces.ln_class(ln_type.ln_class)
        if fact is None:
            unknown.add(ln_type.ln_class)
        elif not _has_foreign_namespace(context, ln_type):
            _ln_type(context, ln_type, fact)
    if unknown:
        what = f"no facts about {', '.join(sorted(unknown))}: their data objects are not judged"
        context.info("ns.class-not-known", 0, "DataTypeTemplates", what)


def _has_foreign_namespace(context: Context, ln_type: LNodeType) -> bool:
    """Whether the type names a namespace (lnNs) that the facts do not describe."""
    plate = _do_type(context, ln_type, _NAME_PLATE)
    for child in () if plate is None else plate.children:
        if isinstance(child, DaDef) and child.name == "lnNs" and child.values:
            text = child.values[0].text
            return not text.startswith(("IEC 61850-7-4", "(Tr) IEC 61850-90-8"))
    return False


def _do_type(context: Context, ln_type: LNodeType, name: str) -> DoType | None:
    definition = next((do for do in ln_type.objects if do.name == name), None)
    return None if definition is None else context.scl.types.do_types.get(definition.type)


def _ln_type(context: Context, ln_type: LNodeType, fact: LnClassFact) -> None:
    path = f"DataTypeTemplates/LNodeType[{ln_type.id}]"
    present: set[str] = set()
    for do in ln_type.objects:
        known = namespaces.object_fact(ln_type.ln_class, do.name)
        base = do.name if do.name in fact.objects else do.name.rstrip("0123456789")
        present.add(base)
        do_type = context.scl.types.do_types.get(do.type)
        if known is None:
            _unknown_object(context, do, do_type, ln_type, path)
        elif do_type is not None:
            _object(context, do, do_type, known, f"{path}/DO[{do.name}]")
    for sentence in problems(fact.objects, present):
        what = f"{ln_type.ln_class} ({fact.namespace}): {sentence}"
        context.namespace("ns.object-presence", ln_type.line, path, what, "correct the type")
    _name_plate(context, ln_type, fact, path)


def _unknown_object(
    context: Context, do: DoDef, do_type: DoType | None, ln_type: LNodeType, path: str
) -> None:
    children = () if do_type is None else do_type.children
    if any(child.name == "dataNs" for child in children):
        return  # A private extension that says so.
    what = f"{do.name} is not a data object of {ln_type.ln_class}"
    hint = "give it a dataNs or another name"
    context.warning("ns.unknown-object", do.line, path, what, hint)


def _object(context: Context, do: DoDef, do_type: DoType, known: ObjectFact, path: str) -> None:
    if do_type.cdc != known.cdc:
        what = f"{do.name} has CDC {do_type.cdc}, the namespace says {known.cdc}"
        context.namespace("ns.cdc", do.line, path, what, f"use a DOType of {known.cdc}")
        return
    if known.cdc not in ("ENS", "ENC", "ENG"):
        return
    for child in do_type.children:
        if isinstance(child, DaDef) and child.name in ("stVal", "setVal") and child.type:
            compare_enumeration(context, child.type, known.type)


def _name_plate(context: Context, ln_type: LNodeType, fact: LnClassFact, path: str) -> None:
    """NamPlt tells configuration and namespace (IEC 61850-7-3 Ed. 2.1, LPL)."""
    plate = _do_type(context, ln_type, _NAME_PLATE)
    if plate is None:
        return
    names = {child.name for child in plate.children}
    wanted: tuple[str, ...] = ()
    if ln_type.ln_class == "LLN0":
        wanted = ("configRev", "ldNs")
    elif fact.namespace != namespaces.NS_7_4:
        wanted = ("lnNs",)
    missing = [name for name in wanted if name not in names]
    if missing:
        what = f"NamPlt lacks {', '.join(missing)}"
        context.warning("ns.name-plate", ln_type.line, path, what, "clients cannot tell versions")
