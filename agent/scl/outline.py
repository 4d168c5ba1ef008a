"""A file as an indented outline for people: IEDs, then one IED, then one logical device."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.errors import Finding, SclError
from agent.scl.expand import expand
from agent.scl.live import DataAttribute, DataObject, IedModel, LogicalDevice, LogicalNode
from agent.scl.model import Scl
from agent.scl.stream import stream_address
from agent.scl.values import initial_text


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the outline and what is below it."""

    kind: str
    name: str
    text: str = ""
    below: tuple[Entry, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The outline, two spaces a level."""
        yield f"{'  ' * depth}{self.kind} {self.name}" + (f"  {self.text}" if self.text else "")
        for entry in self.below:
            yield from entry.lines(depth + 1)


def outline(scl: Scl, ied_name: str | None = None, ld_inst: str | None = None) -> Entry:
    """The outline of a file, of one IED down to data objects, or of one device down to values.

    Raises:
        SclError: No such IED or logical device.
    """
    if ied_name is None:
        return _file(scl)
    model = expand(scl, ied_name)
    if ld_inst is None:
        devices = tuple(_device(device, in_full=False) for device in model.devices)
        return Entry("IED", ied_name, _connections(model), devices)
    device = model.device_by_inst(ld_inst) or model.device(ld_inst)
    if device is None:
        known = ", ".join(device.inst for device in model.devices)
        what = f"IED {ied_name!r} has no logical device {ld_inst!r}"
        raise SclError((Finding(scl.file, what, f"known: {known}"),))
    return _device(device, in_full=True)


def _file(scl: Scl) -> Entry:
    ieds = []
    for ied in scl.ieds:
        points = tuple(
            Entry(
                "AccessPoint",
                point.name,
                f"as {point.server_at}" if point.server_at else "",
                tuple(
                    Entry("LDevice", device.inst, f"{len(device.nodes)} logical nodes")
                    for device in point.devices
                ),
            )
            for point in ied.access_points
        )
        described = " ".join(filter(None, (ied.manufacturer, ied.type, ied.desc)))
        ieds.append(Entry("IED", ied.name, described, points))
    networks = [
        Entry(
            "SubNetwork",
            subnetwork.name,
            subnetwork.type,
            tuple(
                Entry(
                    "ConnectedAP",
                    f"{connected.ied_name}.{connected.ap_name}",
                    "" if connected.address is None else connected.address.get("IP"),
                )
                for connected in subnetwork.connected
            ),
        )
        for subnetwork in scl.subnetworks
    ]
    plant = [Entry(part.tag, part.name) for part in scl.plant]
    return Entry("SCL", scl.file, f"edition {scl.edition}", (*plant, *networks, *ieds))


def _connections(model: IedModel) -> str:
    texts = [connected.address.get("IP") for connected in model.connected if connected.address]
    return " ".join(filter(None, texts))


def _device(device: LogicalDevice, in_full: bool) -> Entry:
    nodes = tuple(_node(node, in_full) for node in device.nodes)
    return Entry("LDevice", device.inst, device.name, nodes)


def _node(node: LogicalNode, in_full: bool) -> Entry:
    objects = [_object(do, in_full) for do in node.objects]
    return Entry("LN", node.name, node.type_id, (*objects, *_blocks(node)))


def _blocks(node: LogicalNode) -> Iterator[Entry]:
    for data_set in node.data_sets:
        members = tuple(
            Entry("FCDA", str(member.reference), "" if member.node else "does not exist")
            for member in data_set.members
        )
        yield Entry("DataSet", data_set.name, "", members)
    for report in node.reports:
        control = report.control
        kind = "BRCB" if control.buffered else "URCB"
        text = f"{control.dat_set or '-'} × {control.max_instances}"
        yield Entry(kind, control.name, text)
    for goose in node.gooses:
        address = stream_address(goose.address)
        where = "no address" if address is None else f"{address.mac.hex('-')} {address.app_id:04X}"
        yield Entry("GoCB", goose.control.name, f"{goose.control.dat_set or '-'} to {where}")
    for sv in node.sampled_values:
        address = stream_address(sv.address)
        where = "no address" if address is None else f"{address.mac.hex('-')} {address.app_id:04X}"
        yield Entry("SVCB", sv.control.name, f"{sv.control.smv_id} to {where}")
    for log in node.log_controls:
        yield Entry("LCB", log.control.name, log.control.dat_set or "-")
    if node.setting_control is not None:
        yield Entry("SGCB", "SGCB", f"{node.setting_control.num_of_sgs} groups")
    for ext_ref in node.ext_refs:
        source = ".".join(
            filter(None, (ext_ref.ied_name, ext_ref.ld_inst, ext_ref.do_name, ext_ref.da_name))
        )
        yield Entry("ExtRef", ext_ref.int_addr or "-", source or "not bound")


def _object(do: DataObject, in_full: bool) -> Entry:
    text = do.cdc + (f" × {do.count}" if do.count else "")
    below: tuple[Entry, ...] = ()
    if in_full:
        below = tuple(
            _object(child, in_full) if isinstance(child, DataObject) else _attribute(child)
            for child in do.children
        )
    return Entry("DO", do.name, text, below)


def _attribute(da: DataAttribute) -> Entry:
    value = initial_text(da)
    type_name = f"{da.b_type} {da.type_id}" if da.type_id else str(da.b_type)
    array = f" × {da.count}" if da.count else ""
    text = f"{type_name}{array} [{da.fc}]" + ("" if value is None else f" = {value}")
    return Entry("DA", da.name, text, tuple(_attribute(child) for child in da.children))
