"""Reads a mapping file; every wrong key, type and field is reported at once."""

from __future__ import annotations

import sys
import tomllib
import types
import typing
from enum import EnumType
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from agent.errors import ConfigurationError, Finding
from agent.mapping.fields import Scope, UnknownFieldError, resolve
from agent.mapping.model import ControlRow, DeviceMap, Mapping, Row, SettingRow, ValueRow

RowT = TypeVar("RowT", bound=Row)
_ROWS: Final[dict[str, type[ValueRow] | type[ControlRow] | type[SettingRow]]] = {
    "value": ValueRow,
    "control": ControlRow,
    "setting": SettingRow,
}


def default_folder() -> Path:
    """The mapping files that come with the package: beside it, or under the prefix's share."""
    beside = Path(__file__).resolve().parents[2] / "mappings"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "v2g-agent" / "mappings"


def load_mapping(path: Path) -> Mapping:
    """Return the checked mapping of a file.

    Raises:
        ConfigurationError: With every finding: unreadable, no TOML, unknown keys, wrong types,
            fields that do not exist.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((Finding(str(path), f"is not TOML: {error}"),)) from error
    findings: list[Finding] = []
    devices = _devices(document.pop("device", []), str(path), findings)
    head = _read(Mapping, document, str(path), findings)
    if findings or head is None:
        raise ConfigurationError(tuple(findings))
    return msgspec.structs.replace(head, device=tuple(devices), file=str(path))


def _devices(tables: Any, where: str, findings: list[Finding]) -> list[DeviceMap]:
    if not isinstance(tables, list):
        findings.append(Finding(f"{where}: device", "must be an array of tables, [[device]]"))
        return []
    devices: list[DeviceMap] = []
    for number, table in enumerate(tables):
        place = f"{where}: device[{number}]"
        rows = {name: _rows(name, table.pop(name, []), place, findings) for name in _ROWS}
        device = _read(DeviceMap, table, place, findings)
        if device is None:
            continue
        device = msgspec.structs.replace(device, **{n: tuple(row) for n, row in rows.items()})
        _check_fields(device, place, findings)
        devices.append(device)
    return devices


def _rows(name: str, tables: Any, where: str, findings: list[Finding]) -> list[Row]:
    if not isinstance(tables, list):
        findings.append(Finding(f"{where}.{name}", "must be an array of tables"))
        return []
    read = [
        _read(_ROWS[name], table, f"{where}.{name}[{number}]", findings)
        for number, table in enumerate(tables)
    ]
    return [row for row in read if row is not None]


def _read(kind: type[RowT], table: Any, where: str, findings: list[Finding]) -> RowT | None:
    """One table as one record; a finding a key."""
    if not isinstance(table, dict):
        findings.append(Finding(where, "must be a table"))
        return None
    label = f"{where} ({table['object']})" if "object" in table else where
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    before = len(findings)
    for key, value in table.items():
        if key not in hints or key == "file":
            findings.append(Finding(f"{label}.{key}", "unknown key", f"known: {', '.join(hints)}"))
            continue
        try:
            values[key] = msgspec.convert(value, hints[key])
        except msgspec.ValidationError as error:
            text = str(error).replace("`", "")
            findings.append(Finding(f"{label}.{key}", text, _choices(hints[key])))
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    findings += [Finding(label, f"{name} is missing") for name in sorted(required - table.keys())]
    return kind(**values) if len(findings) == before else None


def _choices(hint: Any) -> str:
    if get_origin(hint) in (types.UnionType, typing.Union):
        return ""
    if isinstance(hint, EnumType):
        return "one of " + ", ".join(hint.__members__[name].value for name in hint.__members__)
    if get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(get_args(hint))
    return ""


def _check_fields(device: DeviceMap, where: str, findings: list[Finding]) -> None:
    scope = Scope(device.scope)
    for row in device.value:
        row_scope = Scope.SUBSCRIPTION if row.field.startswith("subscription.") else scope
        _check_field(row.field, row_scope, f"{where}: {row.object}.field", findings)
    for control in device.control:
        for key in ("low_field", "high_field"):
            path = getattr(control, key)
            if path:
                _check_field(path, scope, f"{where}: {control.object}.{key}", findings)


def _check_field(path: str, scope: Scope, where: str, findings: list[Finding]) -> None:
    try:
        resolve(path, scope)
    except UnknownFieldError as error:
        findings.append(Finding(where, str(error)))
