"""Enumerations against those of the standard."""

from __future__ import annotations

from agent.iec61850 import namespaces
from agent.scl.check.context import Context
from agent.scl.model_types import EnumType


def compare_enumeration(context: Context, enum_id: str, standard: str) -> None:
    """Texts and ordinals of an EnumType are those of the standard's enumeration.

    A type may leave values out. Negative ordinals are private extensions and allowed.
    """
    enum = context.scl.types.enum_types.get(enum_id)
    known = namespaces.enumeration(standard)
    if enum is None or known is None:
        return
    path = f"DataTypeTemplates/EnumType[{enum.id}]"
    extra = sorted(o for o in enum.ordinals if o >= 0 and o not in known)
    if extra:
        listed = ", ".join(str(ordinal) for ordinal in extra)
        what = f"ordinals {listed} do not exist in {standard}"
        context.warning("ns.enum-ordinal", enum.line, path, what, "use negative ordinals for own")
    different = _different_texts(enum, known)
    if different:
        what = f"texts differ from {standard}: {'; '.join(different)}"
        context.warning("ns.enum-text", enum.line, path, what)


def _different_texts(enum: EnumType, known: dict[int, str]) -> list[str]:
    return [
        f"{ordinal} is {text!r}, not {known[ordinal]!r}"
        for text, ordinal in enum.values.items()
        if ordinal in known and _folded(text) != _folded(known[ordinal])
    ]


def _folded(text: str) -> str:
    return "".join(text.casefold().split())
