"""Finds every object of a mapping in the model of the SCL; what does not fit is a finding."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Final

from agent.errors import Finding
from agent.iec61850 import FC, BasicType, ObjectReference
from agent.iec61850.basic_types import FLOAT_TYPES, INTEGER_RANGE, STRING_LENGTH
from agent.mapping.binding import BoundControl, BoundModel, BoundSetting, BoundValue
from agent.mapping.fields import Getter, Scope, resolve
from agent.mapping.model import ControlRow, DeviceMap, Mapping, SettingRow, ValueRow
from agent.scl.live import DataAttribute, DataObject, IedModel, LogicalDevice, LogicalNode

_VALUE_PATHS: Final = tuple(
    tuple(text.split("."))
    for text in (
        "mag.f", "mag.i", "cVal.mag.f", "mxVal.f", "mxVal.i", "stVal", "actVal", "valWTr.posVal",
        "setMag.f", "setMag.i", "setVal", "setTm", "setSrcRef",
    )
)  # fmt: skip
"""Where the value of a data object is, by CDC: MV, CMV, APC, SPS…, BCR, BSC, ASG, SPG…, TSG, ORG
(IEC 61850-7-3 Ed. 2.1, clause 7)."""
_INSTANT: Final = {
    "mag.f": "instMag.f",
    "mag.i": "instMag.i",
    "cVal.mag.f": "instCVal.mag.f",
}
_NUMBERS: Final = FLOAT_TYPES | frozenset(INTEGER_RANGE) | {BasicType.ENUM, BasicType.DBPOS}


def bind(mapping: Mapping, model: IedModel) -> tuple[BoundModel, list[Finding]]:
    """Bind a mapping to a model.

    Args:
        mapping: The checked mapping file.
        model: The expanded IED.

    Returns:
        What was found, and a finding for every row that fits nothing: a device pattern without
        device, an object that no matching node has, a value of the wrong type.
    """
    bound = BoundModel()
    findings: list[Finding] = []
    for device_map in mapping.device:
        where = f"{mapping.file}: [[device]] {device_map.inst}"
        matching = [d for d in model.devices if fnmatch.fnmatchcase(d.inst, device_map.inst)]
        if not matching and "*" not in device_map.inst:
            known = ", ".join(device.inst for device in model.devices)
            findings.append(Finding(where, "no such logical device in the IED", f"known: {known}"))
        for device in matching:
            bound.devices[device.inst] = device.name
            bound.scopes[device.inst] = Scope(device_map.scope)
            _bind_device(device_map, device, bound, where, findings)
    return bound, list(dict.fromkeys(findings))


def _bind_device(
    device_map: DeviceMap,
    device: LogicalDevice,
    bound: BoundModel,
    where: str,
    findings: list[Finding],
) -> None:
    scope = Scope(device_map.scope)
    for row in device_map.value:
        place = f"{where}: value {row.object}"
        for node, path in _targets(row.object, device, place, findings):
            value = _bind_value(row, scope, device, node, path, place, findings)
            if value is not None:
                bound.values.append(value)
    for control in device_map.control:
        place = f"{where}: control {control.object}"
        for node, path in _targets(control.object, device, place, findings):
            target = ObjectReference(device.name, node.name, path)
            bound.controls[target] = _bind_control(control, scope, device, node, path)
            if not _is_controllable(node, path):
                findings.append(Finding(place, f"{target} has no Oper: it cannot be controlled"))
    for setting in device_map.setting:
        place = f"{where}: setting {setting.object}"
        for node, path in _targets(setting.object, device, place, findings):
            found = _bind_setting(setting, device, node, path, place, findings)
            if found is not None:
                bound.settings[found.value] = found


def _targets(
    name: str, device: LogicalDevice, where: str, findings: list[Finding]
) -> Iterator[tuple[LogicalNode, tuple[str, ...]]]:
    """Nodes that match the first part of a name, with the path below; one finding if none."""
    pattern, *path = name.split(".")
    if "*" in pattern:
        nodes = [node for node in device.nodes if fnmatch.fnmatchcase(node.name, pattern)]
    else:
        named = device.node(pattern)
        nodes = [] if named is None else [named]
    if not path:
        findings.append(Finding(where, "names a logical node, not a data object"))
        return
    if not nodes and "*" not in pattern:
        findings.append(Finding(where, f"{device.inst} has no logical node {pattern}"))
    for node in nodes:
        if _find(node, tuple(path)) is None:
            known = ", ".join(do.name for do in node.objects)
            what = f"{device.inst}/{node.name} has no {'.'.join(path)}"
            findings.append(Finding(where, what, f"it has: {known}"))
        else:
            yield node, tuple(path)


def _find(node: LogicalNode, path: tuple[str, ...]) -> DataObject | DataAttribute | None:
    found: DataObject | DataAttribute | None = node.object(path[0])
    for name in path[1:]:
        found = None if found is None else found.child(name)
    return found


def _value_leaf(
    node: LogicalNode, path: tuple[str, ...]
) -> tuple[tuple[str, ...], DataAttribute] | None:
    """Path below the node and leaf that hold the value of an object or attribute."""
    found = _find(node, path)
    if isinstance(found, DataAttribute):
        return (path, found) if not found.children else None
    if found is None:
        return None
    for candidate in _VALUE_PATHS:
        leaf: DataObject | DataAttribute | None = found
        for name in candidate:
            leaf = None if leaf is None else leaf.child(name)
        if isinstance(leaf, DataAttribute) and not leaf.children:
            return (*path, *candidate), leaf
    return None


def _bind_value(
    row: ValueRow,
    scope: Scope,
    device: LogicalDevice,
    node: LogicalNode,
    path: tuple[str, ...],
    where: str,
    findings: list[Finding],
) -> BoundValue | None:
    found = _value_leaf(node, path)
    if found is None:
        findings.append(Finding(where, f"{device.inst}/{node.name}.{'.'.join(path)} has no value"))
        return None
    below, leaf = found
    if row.field.startswith("subscription."):
        scope = Scope.SUBSCRIPTION
    getter, kind = resolve(row.field, scope)
    if not _fits(kind, leaf, row):
        what = f"a field of type {kind.__name__} does not fit {leaf.b_type}"
        findings.append(Finding(where, what))
        return None
    do_path = path if isinstance(_find(node, path), DataObject) else path[:-1]
    suffix = ".".join(below[len(do_path) :])

    def beside(*names: str, fc: FC | None = None) -> ObjectReference | None:
        leaf = _find(node, (*do_path, *names))
        if not isinstance(leaf, DataAttribute) or fc not in (None, leaf.fc):
            return None
        return ObjectReference(device.name, node.name, (*do_path, *names), leaf.fc)

    instant = _INSTANT.get(suffix)
    return BoundValue(
        row=row,
        scope=scope,
        device=device.inst,
        node=node.name,
        getter=getter,
        kind=kind,
        value=ObjectReference(device.name, node.name, below, leaf.fc),
        leaf=leaf,
        instant=beside(*instant.split(".")) if instant else None,
        quality=beside("q"),
        timestamp=beside("t"),
        db=beside("db", fc=FC.CF),
        zero_db=beside("zeroDb", fc=FC.CF),
    )


def _fits(kind: type, leaf: DataAttribute, row: ValueRow) -> bool:
    if kind is str and row.values:
        return leaf.b_type in _NUMBERS
    if kind is str:
        return leaf.b_type in STRING_LENGTH
    if kind is bool:
        return leaf.b_type is BasicType.BOOLEAN
    return leaf.b_type in _NUMBERS or leaf.b_type is BasicType.TIMESTAMP


def _bind_control(
    row: ControlRow,
    scope: Scope,
    device: LogicalDevice,
    node: LogicalNode,
    path: tuple[str, ...],
) -> BoundControl:
    def limit(path_text: str) -> Getter | None:
        return resolve(path_text, scope)[0] if path_text else None

    def attribute(*names: str) -> ObjectReference | None:
        leaf = _find(node, names)
        if not isinstance(leaf, DataAttribute):
            return None
        return ObjectReference(device.name, node.name, names, leaf.fc)

    lease = _value_leaf(node, tuple(row.lease.split("."))) if row.lease else None
    return BoundControl(
        row=row,
        scope=scope,
        device=device.inst,
        target=ObjectReference(device.name, node.name, path),
        low=limit(row.low_field),
        high=limit(row.high_field),
        min_val=attribute(*path, "minVal", "f"),
        max_val=attribute(*path, "maxVal", "f"),
        lease=lease and ObjectReference(device.name, node.name, lease[0], lease[1].fc),
    )


def _is_controllable(node: LogicalNode, path: tuple[str, ...]) -> bool:
    return isinstance(_find(node, (*path, "Oper")), DataAttribute)


def _bind_setting(
    row: SettingRow,
    device: LogicalDevice,
    node: LogicalNode,
    path: tuple[str, ...],
    where: str,
    findings: list[Finding],
) -> BoundSetting | None:
    found = _value_leaf(node, path)
    if found is None or found[1].b_type not in _NUMBERS:
        findings.append(Finding(where, f"{device.inst}/{node.name} has no such number"))
        return None
    below, leaf = found
    if leaf.fc not in (FC.SP, FC.SE, FC.SG):
        findings.append(Finding(where, f"FC {leaf.fc} is no setting (SP, SG or SE)"))
        return None
    fc = FC.SG if leaf.fc is FC.SE else leaf.fc
    return BoundSetting(row, device.inst, ObjectReference(device.name, node.name, below, fc), leaf)
