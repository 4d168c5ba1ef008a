"""Names: unique, not empty, not too long, and the nodes that the plant names exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from agent.scl.check.context import Context, ln_path
from agent.scl.model import LNodeRef, PlantElement
from agent.scl.model_ied import Ln

_LD_NAME: Final = 64
_LN_PREFIX_AND_INST: Final = 12


def unique_names(context: Context) -> None:
    """Names that must be unique are (IEC 61850-6 Ed. 2.1, 9.3)."""
    _repeated(context, "IED", "", ((ied.name, ied.line) for ied in context.scl.ieds))
    for ied in context.scl.ieds:
        path = f"IED[{ied.name}]"
        if not ied.name:
            context.error("name.empty", ied.line, "IED", "the IED has no name")
        points = ((point.name, point.line) for point in ied.access_points)
        _repeated(context, "AccessPoint", path, points)
        devices = [(device.inst, device.line) for device in ied.devices()]
        _repeated(context, "LDevice", path, devices)
        for device in ied.devices():
            where = f"{path}/LDevice[{device.inst}]"
            _repeated(context, "LN", where, ((ln.name, ln.line) for ln in device.nodes))
            for ln in device.nodes:
                below = f"{where}/{ln.name}"
                _repeated(context, "DataSet", below, ((d.name, d.line) for d in ln.data_sets))
                for kind, blocks in _blocks(ln).items():
                    _repeated(context, kind, below, blocks)


def _blocks(ln: Ln) -> dict[str, list[tuple[str, int]]]:
    return {
        "ReportControl": [(control.name, control.line) for control in ln.report_controls],
        "GSEControl": [(control.name, control.line) for control in ln.gse_controls],
        "SampledValueControl": [(control.name, control.line) for control in ln.sv_controls],
    }


def _repeated(context: Context, kind: str, path: str, named: Iterable[tuple[str, int]]) -> None:
    seen: Counter[str] = Counter()
    for name, line in named:
        seen[name] += 1
        if seen[name] == 2:
            what = f"{kind} {name!r} exists twice"
            context.error("name.duplicate", line, path or kind, what, "give each its own name")


def logical_device_parts(context: Context) -> None:
    """Every logical device has an LLN0, and names fit the limits of IEC 61850-7-2."""
    for ied in context.scl.ieds:
        for device in ied.devices():
            path = f"IED[{ied.name}]/LDevice[{device.inst}]"
            if device.ln0 is None:
                what = "the logical device has no LLN0"
                context.error("name.no-lln0", device.line, path, what, "add an LN0")
            name = ied.domain(device)
            if len(name) > _LD_NAME:
                what = f"the name {name!r} has {len(name)} characters, {_LD_NAME} are allowed"
                context.error("name.too-long", device.line, path, what, "shorten it or set ldName")
    for ied, ld, node in context.nodes():
        if len(node.prefix) + len(node.inst) > _LN_PREFIX_AND_INST:
            what = f"prefix and instance of {node.name!r} have more than 12 characters"
            context.warning("name.too-long", node.line, ln_path(ied, ld, node), what)


def plant_references(context: Context) -> None:
    """The logical nodes that LNode elements name exist."""
    known = {
        (ied.name, device.inst, ln.name)
        for ied in context.scl.ieds
        for device in ied.devices()
        for ln in device.nodes
    }
    clients = {
        (ied.name, "", ln.name)
        for ied in context.scl.ieds
        for point in ied.access_points
        for ln in point.nodes
    }
    for plant in context.scl.plant:
        _plant(context, plant, known | clients, plant.tag)


def _plant(
    context: Context, plant: PlantElement, known: set[tuple[str, str, str]], parent: str
) -> None:
    path = f"{parent}[{plant.name}]"
    for node in plant.nodes:
        _lnode(context, node, known, path)
    for child in plant.children:
        _plant(context, child, known, f"{path}/{child.tag}")


def _lnode(context: Context, node: LNodeRef, known: set[tuple[str, str, str]], path: str) -> None:
    if node.ied_name in ("None", ""):
        return  # A specification: the node is not yet allocated to an IED.
    name = node.prefix + node.ln_class + node.ln_inst
    if (node.ied_name, node.ld_inst, name) not in known:
        what = f"LNode {node.ied_name}{node.ld_inst}/{name} does not exist in the IED section"
        hint = "allocate it again"
        context.warning("plant.lnode-unresolved", node.line, path, what, hint)
