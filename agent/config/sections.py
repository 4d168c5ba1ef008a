"""Turn one TOML table into one frozen section, reporting every error of it at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from agent.errors import Finding

SectionT = TypeVar("SectionT", bound="Section")


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections of agent.toml; limits stand in the field types (`msgspec.Meta`)."""

    def check(self) -> list[tuple[str, str, str]]:
        """Return (key, what, hint) for rules that span several fields."""
        return []


def read_section(
    kind: type[SectionT], table: object, where: str
) -> tuple[SectionT | None, list[Finding]]:
    """Return the section, or None and every finding.

    Args:
        kind: The section's class.
        table: What the TOML file holds under its name.
        where: File and table for the messages: ``agent.toml: stations``.
    """
    if not isinstance(table, Mapping):
        return None, [Finding(where, "must be a table")]
    hints = get_type_hints(kind, include_extras=True)
    findings = [_unknown(where, key, hints) for key in table if key not in hints]
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        if name in table:
            value, problems = _read_value(hint, table[name], f"{where}.{name}")
            findings += problems
            values[name] = value
        elif _is_required(kind, name):
            findings.append(Finding(f"{where}.{name}", "is missing"))
    if findings:
        return None, findings
    section = kind(**values)
    findings = [Finding(f"{where}.{key}", what, hint) for key, what, hint in section.check()]
    return (None, findings) if findings else (section, [])


def _read_value(hint: Any, value: object, where: str) -> tuple[Any, list[Finding]]:
    nested = _nested_section(hint)
    if nested is not None and isinstance(value, list):
        pairs = [read_section(nested, item, f"{where}[{i}]") for i, item in enumerate(value)]
        return tuple(pair[0] for pair in pairs), [f for pair in pairs for f in pair[1]]
    try:
        return msgspec.convert(value, hint, dec_hook=_convert_path), []
    except msgspec.ValidationError as error:
        return None, [Finding(where, _plain(str(error), value), _choices(hint))]


def _convert_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"Expected `{kind.__name__.lower()}`")


def _choices(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    return ""


def _nested_section(hint: Any) -> type[Section] | None:
    """The section class of a `tuple[SomeSection, ...]` field: an array of tables."""
    arguments = getattr(hint, "__args__", ())
    if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], Section):
        return arguments[0]
    return None


def _is_required(kind: type[Section], name: str) -> bool:
    info = {field.name: field for field in msgspec.structs.fields(kind)}
    return info[name].required


def _unknown(where: str, key: str, known: Mapping[str, Any]) -> Finding:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(known))}"
    return Finding(f"{where}.{key}", "unknown key", hint)


def _plain(message: str, value: object) -> str:
    """Msgspec's sentence in the terms of a TOML file."""
    if message.startswith("Invalid enum value"):
        return f"{value!r} is not allowed"
    text = message.split(" - at ")[0].replace("`", "").replace("Expected", "expected")
    return f"{text}, got {value!r}" if "got" not in text else f"{text} ({value!r})"
