"""The model of `agent.scl` as the library's dynamic model."""

from __future__ import annotations

from typing import Final

from agent.errors import Finding
from agent.iec61850 import FC, BasicType, ObjectReference
from agent.ied.engines.libiec61850.library import Library
from agent.ied.engines.libiec61850.values import TYPE_CODE, Handle, Values
from agent.ied.values import initial_value
from agent.scl.live import (
    DataAttribute,
    DataObject,
    GooseBlock,
    IedModel,
    LogicalDevice,
    LogicalNode,
    ReportBlock,
)
from agent.scl.model_control import OptFields, TriggerOptions

MAX_DEVICES: Final = 40
"""The library searches lists for every update; beyond this a change takes too long to show."""
_FC_CODE: Final = {
    name: code
    for code, name in enumerate(
        ("ST", "MX", "SP", "SV", "CF", "DC", "SG", "SE", "SR", "OR", "BL", "EX", "CO")
    )
}


class NativeModel:
    """The library's model and the handle of every node that the engine needs.

    Attributes:
        attributes: Leaf → handle. `leaves`: leaf → its description.
        objects: Controllable data object → (handle, type of ctlVal).
        groups: Logical device → handle of its setting group control block.
    """

    def __init__(self, library: Library, model: IedModel) -> None:
        self._lib = library
        self._values = Values(library)
        self.attributes: dict[ObjectReference, Handle] = {}
        self.leaves: dict[ObjectReference, DataAttribute] = {}
        self.objects: dict[ObjectReference, tuple[Handle, BasicType]] = {}
        self.groups: dict[str, Handle] = {}
        self.handle: Handle = library.IedModel_create(model.ied_name.encode())
        for device in model.devices:
            self._device(device)

    def _device(self, device: LogicalDevice) -> None:
        lib = self._lib
        handle = lib.LogicalDevice_createEx(device.inst.encode(), self.handle, device.name.encode())
        for node in device.nodes:
            ln = lib.LogicalNode_create(node.name.encode(), handle)
            for do in node.objects:
                self._object(do, ln, ObjectReference(device.name, node.name, (do.name,)))
            self._data_sets(device, node, ln)
            for report in node.reports:
                self._report(report, ln)
            for goose in node.gooses:
                self._goose(goose, ln)
            control = node.setting_control
            if control is not None:
                self.groups[device.name] = lib.SettingGroupControlBlock_create(
                    ln, control.act_sg, control.num_of_sgs
                )

    def _object(self, do: DataObject, parent: Handle, reference: ObjectReference) -> None:
        handle = self._lib.DataObject_create(do.name.encode(), parent, 0)
        for child in do.children:
            below = reference.child(child.name)
            if isinstance(child, DataObject):
                self._object(child, handle, below)
                continue
            if child.fc is FC.SE and do.child(child.name) is child:
                self._attribute(child, FC.SG, handle, below, 0)
            self._attribute(child, child.fc, handle, below, 0)
            if child.name == "Oper":
                self.objects[reference] = (handle, _control_type(child))

    def _attribute(
        self, da: DataAttribute, fc: FC, parent: Handle, reference: ObjectReference, triggers: int
    ) -> None:
        triggers |= da.dchg * 1 | da.qchg * 2 | da.dupd * 4
        code = TYPE_CODE[da.b_type]
        name = da.name.encode()
        handle = self._lib.DataAttribute_create(name, parent, code, _FC_CODE[fc], triggers, 0, 0)
        if da.b_type is BasicType.STRUCT:
            for child in da.children:
                self._attribute(child, fc, handle, reference.child(child.name), triggers)
            return
        leaf = reference.with_fc(fc)
        self.attributes[leaf], self.leaves[leaf] = handle, da
        value = self._values.make(da.b_type, initial_value(da))
        self._lib.DataAttribute_setValue(handle, value)
        self._lib.MmsValue_delete(value)

    def _data_sets(self, device: LogicalDevice, node: LogicalNode, ln: Handle) -> None:
        for data_set in node.data_sets:
            handle = self._lib.DataSet_create(data_set.name.encode(), ln)
            for member in data_set.members:
                item = member.reference.mms_item
                name = item if member.reference.ld == device.name else f"{member.ld_inst}/{item}"
                self._lib.DataSetEntry_create(handle, name.encode(), -1, None)

    def _report(self, block: ReportBlock, ln: Handle) -> None:
        control = block.control
        rpt_id = control.rpt_id.encode() if control.rpt_id else None
        data_set = block.data_set.name.encode() if block.data_set else None
        for name in control.instance_names:
            self._lib.ReportControlBlock_create(
                name.encode(),
                ln,
                rpt_id,
                control.buffered,
                data_set,
                control.conf_rev,
                _trg_ops(control.trg_ops),
                _opt_flds(control.opt_fields),
                control.buf_time_ms,
                control.intg_pd_ms,
            )

    def _goose(self, block: GooseBlock, ln: Handle) -> None:
        control, address = block.control, block.address
        data_set = block.data_set.name.encode() if block.data_set else None
        handle = self._lib.GSEControlBlock_create(
            control.name.encode(),
            ln,
            control.app_id.encode(),
            data_set,
            control.conf_rev,
            control.fixed_offs,
            (address and address.min_time_ms) or 0,
            (address and address.max_time_ms) or 0,
        )
        if address is None:
            return
        get = address.address.get
        mac = bytes.fromhex(get("MAC-Address").replace("-", "") or "00" * 6)
        com = self._lib.PhyComAddress_create(
            int(get("VLAN-PRIORITY") or "4"),
            int(get("VLAN-ID") or "0", 16),
            int(get("APPID") or "0", 16),
            mac,
        )
        self._lib.GSEControlBlock_addPhyComAddress(handle, com)


def lacks(model: IedModel) -> list[Finding]:
    """What the model has and this engine cannot serve."""
    findings: list[Finding] = []
    if len(model.devices) > MAX_DEVICES:
        what = f"{len(model.devices)} logical devices; the libiec61850 engine serves {MAX_DEVICES}"
        hint = "use ied.engine = 'open61850', or groups of EVSEs"
        findings.append(Finding(model.ied_name, what, hint))
    for device in model.devices:
        for node in device.nodes:
            where = f"{device.name}/{node.name}"
            for do in node.objects:
                findings += _arrays(do, f"{where}.{do.name}")
    return findings


def _arrays(node: DataObject | DataAttribute, where: str) -> list[Finding]:
    if node.count:
        what = "arrays are not served by the libiec61850 engine"
        return [Finding(where, what, "use ied.engine = 'open61850'")]
    return [
        finding for child in node.children for finding in _arrays(child, f"{where}.{child.name}")
    ]


def _control_type(oper: DataAttribute) -> BasicType:
    value = oper.child("ctlVal")
    if value is None:
        return BasicType.BOOLEAN
    return value.children[0].b_type if value.children else value.b_type


def _trg_ops(options: TriggerOptions) -> int:
    bits = (options.dchg, options.qchg, options.dupd, options.period, options.gi)
    return sum(1 << n for n, bit in enumerate(bits) if bit)


def _opt_flds(options: OptFields) -> int:
    bits = (
        options.seq_num,
        options.time_stamp,
        options.reason_code,
        options.data_set,
        options.data_ref,
        options.buf_ovfl,
        options.entry_id,
        options.config_ref,
    )
    return sum(1 << n for n, bit in enumerate(bits) if bit)
