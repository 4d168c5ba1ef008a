"""Initial values fit their types, setting groups have a control block."""

from __future__ import annotations

from collections.abc import Iterator

from agent.iec61850 import FC
from agent.scl.check.context import Context, ln_path
from agent.scl.live import DataAttribute, DataObject, LogicalDevice
from agent.scl.values import parse_value


def initial_values(context: Context) -> None:
    """Every Val is a value of its attribute's type; shared attributes are looked at once."""
    seen: set[int] = set()
    for ied, device, node in context.nodes():
        for do in node.objects:
            for path, leaf in _leaves(do):
                if not leaf.values or id(leaf) in seen:
                    continue
                seen.add(id(leaf))
                where = f"{ln_path(ied, device, node)}/{do.name}.{path}"
                _attribute(context, leaf, where)


def _leaves(node: DataObject | DataAttribute) -> Iterator[tuple[str, DataAttribute]]:
    """Leaves with values, those of single array elements included."""
    for index, element in node.elements:
        for path, leaf in _leaves(element):
            yield f"({index}).{path}", leaf
    if isinstance(node, DataAttribute) and not node.children:
        yield "", node
    for child in node.children:
        for path, leaf in _leaves(child):
            yield f"{child.name}.{path}".rstrip("."), leaf


def _attribute(context: Context, leaf: DataAttribute, path: str) -> None:
    for value in leaf.values:
        try:
            parse_value(leaf, value.text)
        except ValueError as error:
            context.error("value.bad", leaf.line, path, str(error), "correct the Val")


def setting_groups(context: Context) -> None:
    """Attributes of FC SG or SE have a SettingControl, and no group beyond its number."""
    for ied, model in context.models():
        for device in model.devices:
            path = f"IED[{ied.name}]/LDevice[{device.inst}]"
            _device(context, device, path)


def _device(context: Context, device: LogicalDevice, path: str) -> None:
    controls = (node.setting_control for node in device.nodes)
    control = next((control for control in controls if control is not None), None)
    groups = 0 if control is None else control.num_of_sgs
    for node in device.nodes:
        for names, leaf in node.leaves():
            if leaf.fc not in (FC.SG, FC.SE):
                continue
            if control is None:
                what = f"{node.name} has settings in groups, but no SettingControl is in LLN0"
                context.warning("setting.no-control", node.line, path, what)
                return
            beyond = max((value.s_group for value in leaf.values), default=0)
            if beyond > groups:
                where = f"{path}/{node.name}/{'.'.join(names)}"
                what = f"there is a value for group {beyond}, but only {groups} groups"
                context.error("setting.group-unknown", leaf.line, where, what)
