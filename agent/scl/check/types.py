"""Types: every type of the file expands, used or not."""

from __future__ import annotations

from collections import defaultdict

from agent.errors import SclError
from agent.scl.check.context import Context
from agent.scl.templates import Templates


def all_types(context: Context) -> None:
    """No type is missing, contains itself, or has an unknown constraint or basic type."""
    scl = context.scl
    templates = Templates(scl.types, context.limits, context.error_in_type, scl.file)
    used: set[str] = set()
    for ln_type in scl.types.ln_types.values():
        path = f"DataTypeTemplates/LNodeType[{ln_type.id}]"
        seen: set[str] = set()
        for do in ln_type.objects:
            if do.name in seen:
                context.error("type.duplicate-name", do.line, path, f"DO {do.name!r} exists twice")
            seen.add(do.name)
            used.add(do.type)
            _expand(context, templates, do.type, do.line, f"{path}/DO[{do.name}]")
    for type_id, do_type in scl.types.do_types.items():
        if type_id not in used:
            _expand(context, templates, type_id, do_type.line, f"DOType[{type_id}]")
    _enumerations(context)


def _expand(context: Context, templates: Templates, type_id: str, line: int, owner: str) -> None:
    try:
        templates.object("", type_id, line, owner)
    except SclError as error:
        for finding in error.findings:
            context.error("model.too-large", line, owner, finding.what)


def _enumerations(context: Context) -> None:
    for enum in context.scl.types.enum_types.values():
        texts: dict[int, list[str]] = defaultdict(list)
        for text, ordinal in enum.values.items():
            texts[ordinal].append(text)
        path = f"DataTypeTemplates/EnumType[{enum.id}]"
        for ordinal, names in texts.items():
            if len(names) > 1:
                what = f"ordinal {ordinal} has several texts: {', '.join(names)}"
                context.warning("enum.duplicate-ordinal", enum.line, path, what)
