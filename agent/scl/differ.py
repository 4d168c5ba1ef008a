"""What changed between two SCL files, by meaning: order, ids of types and layout do not matter."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec
from msgspec.structs import asdict

from agent.scl.expand import expand
from agent.scl.live import (
    DataAttribute,
    DataObject,
    IedModel,
    LiveDataSet,
    LogicalNode,
)
from agent.scl.model import Scl
from agent.scl.model_comm import CbAddress, ConnectedAp
from agent.scl.model_ied import Ied


class ChangeKind(StrEnum):
    """How something differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Change(msgspec.Struct, frozen=True):
    """One difference; of an added or removed part only the part itself, not what is below.

    Attributes:
        area: ``ied``, ``model``, ``dataset``, ``control``, ``inputs`` or ``communication``.
        path: What it is, ``IED[V2G1]/LDevice[LD0]/MMXU1/Hz``.
    """

    kind: ChangeKind
    area: str
    path: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        values = f": {self.before!r} → {self.after!r}" if self.kind is ChangeKind.CHANGED else ""
        return f"{self.kind:8}{self.area:14}{self.path}{values}"


class _Part:
    """A named part of a file with a value of its own and parts below."""

    __slots__ = ("area", "parts", "value")

    def __init__(self, area: str, value: str = "") -> None:
        self.area = area
        self.value = value
        self.parts: dict[str, _Part] = {}


def diff(before: Scl, after: Scl) -> tuple[Change, ...]:
    """Every difference in IEDs, models, data sets, control blocks, inputs and communication.

    Raises:
        SclError: An IED exceeds a limit of expanding.
    """
    return tuple(_compare("", _file(before), _file(after)))


def _compare(path: str, before: _Part, after: _Part) -> Iterator[Change]:
    if before.value != after.value:
        yield Change(ChangeKind.CHANGED, before.area, path, before.value, after.value)
    for name, part in before.parts.items():
        where = f"{path}/{name}" if path else name
        other = after.parts.get(name)
        if other is None:
            yield Change(ChangeKind.REMOVED, part.area, where)
        else:
            yield from _compare(where, part, other)
    for name, part in after.parts.items():
        if name not in before.parts:
            yield Change(ChangeKind.ADDED, part.area, f"{path}/{name}" if path else name)


def _file(scl: Scl) -> _Part:
    root = _Part("file", f"edition {scl.edition}")
    for ied in scl.ieds:
        root.parts[f"IED[{ied.name}]"] = _ied(scl, ied)
    for subnetwork in scl.subnetworks:
        part = _Part("communication", subnetwork.type)
        for connected in subnetwork.connected:
            name = f"ConnectedAP[{connected.ied_name}.{connected.ap_name}]"
            part.parts[name] = _connected(connected)
        root.parts[f"SubNetwork[{subnetwork.name}]"] = part
    return root


def _connected(connected: ConnectedAp) -> _Part:
    part = _Part("communication")
    for name, value in (connected.address.parameters if connected.address else {}).items():
        part.parts[name] = _Part("communication", value)
    for kind, addresses in (("GSE", connected.gse), ("SMV", connected.smv)):
        for address in addresses:
            part.parts[f"{kind}[{address.ld_inst}.{address.cb_name}]"] = _address(address)
    return part


def _address(address: CbAddress) -> _Part:
    part = _Part("communication")
    times = {"MinTime": address.min_time_ms, "MaxTime": address.max_time_ms}
    for name, value in {**address.address.parameters, **times}.items():
        part.parts[name] = _Part("communication", "" if value is None else str(value))
    return part


def _ied(scl: Scl, ied: Ied) -> _Part:
    described = (ied.manufacturer, ied.type, ied.config_version)
    part = _Part("ied", " ".join(filter(None, described)))
    for service in ied.services or ():
        attributes = " ".join(f"{k}={v}" for k, v in sorted(service.attributes.items()))
        part.parts[f"Services/{service.name}"] = _Part("ied", attributes)
    model: IedModel = expand(scl, ied.name)
    for device in model.devices:
        below = _Part("model", device.name)
        for node in device.nodes:
            below.parts[node.name] = _node(node)
        part.parts[f"LDevice[{device.inst}]"] = below
    return part


def _node(node: LogicalNode) -> _Part:
    part = _Part("model")
    for do in node.objects:
        part.parts[do.name] = _object(do)
    for data_set in node.data_sets:
        part.parts[f"DataSet[{data_set.name}]"] = _data_set(data_set)
    for report in node.reports:
        part.parts[f"ReportControl[{report.control.name}]"] = _control(report.control)
    for goose in node.gooses:
        part.parts[f"GSEControl[{goose.control.name}]"] = _control(goose.control)
    for sv in node.sampled_values:
        part.parts[f"SampledValueControl[{sv.control.name}]"] = _control(sv.control)
    for log in node.log_controls:
        part.parts[f"LogControl[{log.control.name}]"] = _control(log.control)
    for ext_ref in node.ext_refs:
        fields = {k: v for k, v in asdict(ext_ref).items() if v and k not in ("line", "int_addr")}
        name = ext_ref.int_addr or f"{ext_ref.ied_name}{ext_ref.ld_inst}.{ext_ref.do_name}"
        source = " ".join(f"{key}={value}" for key, value in fields.items())
        part.parts[f"ExtRef[{name}]"] = _Part("inputs", source)
    return part


def _data_set(data_set: LiveDataSet) -> _Part:
    """Its order matters: the members are one value."""
    members = (f"{m.reference}{'' if m.ix is None else f'({m.ix})'}" for m in data_set.members)
    return _Part("dataset", ", ".join(members))


def _control(control: msgspec.Struct) -> _Part:
    part = _Part("control")
    for name, value in asdict(control).items():
        if name in ("line", "name"):
            continue
        if isinstance(value, msgspec.Struct):
            part.parts[name] = _Part("control", _flags(value))
        else:
            part.parts[name] = _Part("control", "" if value is None else str(value))
    return part


def _flags(value: msgspec.Struct) -> str:
    return ", ".join(name for name, is_set in asdict(value).items() if is_set)


def _object(do: DataObject) -> _Part:
    part = _Part("model", do.cdc + (f"[{do.count}]" if do.count else ""))
    for child in do.children:
        part.parts[child.name] = (
            _object(child) if isinstance(child, DataObject) else _attribute(child)
        )
    for index, element in do.elements:
        part.parts[f"({index})"] = _object(element)
    return part


def _attribute(da: DataAttribute) -> _Part:
    triggers = "".join(f" {name}" for name in ("dchg", "qchg", "dupd") if getattr(da, name))
    array = f"[{da.count}]" if da.count else ""
    values = "; ".join(
        f"{value.s_group}:{value.text}" if value.s_group else value.text for value in da.values
    )
    part = _Part("model", f"{da.b_type}{array} [{da.fc}]{triggers}")
    if values:
        part.parts["Val"] = _Part("model", values)
    if da.enum is not None:
        texts = sorted((ordinal, text) for text, ordinal in da.enum.values.items())
        listed = ", ".join(f"{ordinal} {text}" for ordinal, text in texts)
        part.parts["EnumType"] = _Part("model", listed)
    for child in da.children:
        part.parts[child.name] = _attribute(child)
    for index, element in da.elements:
        part.parts[f"({index})"] = _attribute(element)
    return part
