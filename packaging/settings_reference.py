"""What stands in the settings' types, as a reference: keys, types, limits, defaults, meaning."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from agent.config import PowerProfile, Section, section_types
from agent.config import profile as profile_module


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table."""

    name: str
    kind: str
    default: str
    text: str


def tables() -> Iterator[tuple[str, str, list[Key]]]:
    """Yield (name, meaning, keys) of every table, those inside others after them."""
    for name, section in section_types().items():
        yield from _table(name, section)


def profile_names() -> Iterator[tuple[str, str]]:
    """Yield (name, range and default) of power-profile.conf."""
    defaults = PowerProfile()
    for name, (attribute, factor, low, high) in profile_module._NAMES.items():
        default = getattr(defaults, attribute) / factor
        yield name, f"{low:g} to {high:g}; default {'none' if default > high else f'{default:g}'}"


def _table(name: str, section: type[Section]) -> Iterator[tuple[str, str, list[Key]]]:
    hints = get_type_hints(section, include_extras=True)
    texts = _attribute_texts(section)
    keys: list[Key] = []
    inner: list[tuple[str, type[Section]]] = []
    for field in msgspec.structs.fields(section):
        nested = _nested(hints[field.name])
        if nested is not None:
            inner.append((f"[{name}.{field.name}]", nested))
        kind = "array of tables" if nested else _kind(hints[field.name])
        keys.append(Key(field.name, kind, _default(field), texts.get(field.name, "")))
    text = (inspect.getdoc(section) or "").split(": ", 1)[-1]
    yield name, " ".join(text.split()), keys
    for nested_name, nested in inner:
        yield from _table(nested_name, nested)


def _attribute_texts(section: type) -> dict[str, str]:
    """Texts that follow an attribute in the class's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101
    found: dict[str, str] = {}
    for before, after in itertools.pairwise(body.body):
        match before, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=text)):
                found[name] = " ".join(str(text).split())
    return found


def _nested(hint: Any) -> type[Section] | None:
    for part in get_args(hint):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def _kind(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Annotated:
        base, *metas = get_args(hint)
        return _kind(base) + "".join(_limits(meta) for meta in metas)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_kind(part) for part in get_args(hint) if part is not type(None))
    if origin is tuple:
        return f"list of {_kind(get_args(hint)[0])}"
    if origin is dict:
        return "table of " + " to ".join(_kind(part) for part in get_args(hint))
    names = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _limits(meta: Any) -> str:
    if not isinstance(meta, msgspec.Meta):
        return ""
    parts = [
        f"{sign} {value:g}"
        for sign, value in ((">", meta.gt), ("≥", meta.ge), ("<", meta.lt), ("≤", meta.le))
        if value is not None
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value in ("", (), {}):
        return "default: none"
    return f"default: {str(value).lower() if isinstance(value, bool) else value}"
