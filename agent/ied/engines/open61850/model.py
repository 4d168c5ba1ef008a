"""The model of `agent.scl` as the tree that open61850 serves.

Built here rather than by the package's own SCL reader, so that every engine serves the same
expansion: our reader resolves what real files leave open, and knows FC BL and array elements.
"""

from __future__ import annotations

from typing import Final

from open61850.data import IECData
from open61850.mms.pdu import ObjectName
from open61850.mms.types import ArrayType, MmsType, StructureType
from open61850.server.model import IedModel as ServedModel
from open61850.server.model import Node, SettingGroups, default_value

from agent.iec61850 import FC, BasicType, ObjectReference
from agent.ied.engines.capability import shows_owner
from agent.ied.engines.open61850.blocks import Block, goose_block, report_blocks, setting_block
from agent.ied.engines.open61850.types import mms_type, to_data
from agent.ied.values import initial_value
from agent.scl.live import (
    DataAttribute,
    DataObject,
    IedModel,
    LogicalDevice,
    LogicalNode,
    split_index,
)

_FC_ORDER: Final = tuple(
    FC(name)
    for name in (
        "MX", "ST", "CO", "CF", "DC", "SP", "SG", "RP", "LG", "BR", "GO", "SV", "SE", "MS", "US",
        "EX", "SR", "OR", "BL",
    )
)  # fmt: skip
_RESV_TMS_S: Final = 300
_EMPTY: Final = StructureType([])
"""Type of a structure until its members are known; replaced, never changed."""


class Tree:
    """The served model, and the leaf behind every node of it."""

    def __init__(self, model: IedModel, *, publishes_goose: bool = False) -> None:
        self.served = ServedModel(model.ied_name)
        self.leaves: dict[Node, DataAttribute] = {}
        self._nodes: dict[ObjectReference, Node] = {}
        # By the identity of the SCL's nodes, which logical devices of one type share.
        self._constraints: dict[int, frozenset[FC]] = {}
        self._scalars: dict[int, tuple[MmsType, IECData, frozenset[str]]] = {}
        owner = shows_owner(model)
        self._publishes_goose = publishes_goose
        for device in model.devices:
            self.served.logical_devices[device.name] = {
                node.name: self._logical_node(device, node, owner) for node in device.nodes
            }
            self._data_sets(device)
        for device in model.devices:
            self._setting_groups(device)

    def node(self, reference: ObjectReference) -> Node:
        """The leaf of a reference with constraint.

        Raises:
            KeyError: There is none.
        """
        node = self._nodes.get(reference)
        if node is None:
            node = self._find(reference)
            self._nodes[reference] = node
        return node

    def reference(self, domain: str, node: Node) -> ObjectReference:
        """The reference of a node; array elements in parentheses."""
        names: list[str] = []
        step: Node | None = node
        while step is not None and step.parent is not None:
            parent = step.parent
            if isinstance(parent.mms_type, ArrayType):
                names.append(f"{parent.name}({step.name})")
                parent = parent.parent  # type: ignore[assignment]
            else:
                names.append(step.name)
            step = parent
        fc, *path = reversed(names)
        root = step.name if step is not None else ""
        return ObjectReference(domain, root, tuple(path), FC(fc))

    def _find(self, reference: ObjectReference) -> Node:
        if reference.fc is None:
            raise KeyError(str(reference))
        node = self.served.logical_devices.get(reference.ld, {}).get(reference.ln)
        for name in (str(reference.fc), *reference.path):
            base, index = split_index(name)
            node = None if node is None else node.child(base)
            if index is not None and node is not None:
                node = node.child(str(index))
        if node is None:
            raise KeyError(str(reference))
        return node

    def _logical_node(self, device: LogicalDevice, ln: LogicalNode, owner: bool) -> Node:
        blocks = _blocks(device, ln, owner, self._publishes_goose)
        root = Node(ln.name, _EMPTY)
        present: dict[FC, list[DataObject]] = {}
        for do in ln.objects:
            for fc in self._constraints_of(do):
                present.setdefault(fc, []).append(do)
        for fc in _FC_ORDER:
            if fc not in present and fc not in blocks:
                continue
            constraint = Node(fc, _EMPTY, root, fc)
            for block in blocks.get(fc, ()):
                constraint.children[block[0]] = _block_node(block, constraint)
            for do in present.get(fc, ()):
                below = self._object(do, fc, constraint)
                if below is not None:
                    constraint.children[do.name] = below
            if constraint.children:
                constraint.mms_type = _structure(constraint)
                root.children[fc] = constraint
        root.mms_type = _structure(root)
        return root

    def _constraints_of(self, do: DataObject) -> frozenset[FC]:
        """The constraints that a data object has attributes of; objects share their types."""
        known = self._constraints.get(id(do))
        if known is None:
            found = {da.fc for da in do.attributes}
            found |= {FC.SG} if FC.SE in found else set()
            known = frozenset(found).union(*(self._constraints_of(sub) for sub in do.sub_objects))
            self._constraints[id(do)] = known
        return known

    def _object(self, do: DataObject, fc: FC, parent: Node) -> Node | None:
        """A data object as far as it has attributes of one constraint."""
        if do.count:
            return self._array_of_objects(do, fc, parent)
        node = Node(do.name, _EMPTY, parent)
        for child in do.children:
            if isinstance(child, DataObject):
                below = self._object(child, fc, node)
            else:
                below = self._attribute(child, fc, node) if _serves(do, child, fc) else None
            if below is not None:
                node.children[child.name] = below
        node.mms_type = _structure(node)
        return node if node.children else None

    def _array_of_objects(self, do: DataObject, fc: FC, parent: Node) -> Node | None:
        node = Node(do.name, _EMPTY, parent)
        special = dict(do.elements)
        for index in range(do.count):
            element = special.get(index, do)
            plain = DataObject(str(index), element.cdc, element.type_id, element.children)
            below = self._object(plain, fc, node)
            if below is None:
                return None
            node.children[str(index)] = below
        node.mms_type = ArrayType(do.count, node.children["0"].mms_type)
        return node

    def _attribute(self, da: DataAttribute, fc: FC, parent: Node) -> Node:
        if not da.count:
            return self._scalar(da.name, da, fc, parent)
        node = Node(da.name, _EMPTY, parent)
        special = dict(da.elements)
        for index in range(da.count):
            element = special.get(index, da)
            node.children[str(index)] = self._scalar(str(index), element, fc, node)
        node.mms_type = ArrayType(da.count, node.children["0"].mms_type)
        return node

    def _scalar(self, name: str, da: DataAttribute, fc: FC, parent: Node) -> Node:
        if da.b_type is not BasicType.STRUCT:
            known = self._scalars.get(id(da))
            if known is None:
                value = to_data(da.b_type, initial_value(da))
                known = self._scalars[id(da)] = (mms_type(da.b_type), value, _triggers(da))
            node = Node(name, known[0], parent)
            node.value = known[1]
            node.triggers = known[2] or parent.triggers
            self.leaves[node] = da
            return node
        node = Node(name, _EMPTY, parent)
        node.triggers = _triggers(da) or parent.triggers
        for child in da.children:
            node.children[child.name] = self._attribute(child, fc, node)
        node.mms_type = _structure(node)
        return node

    def _data_sets(self, device: LogicalDevice) -> None:
        for ln in device.nodes:
            for data_set in ln.data_sets:
                name = ObjectName(f"{ln.name}${data_set.name}", device.name)
                self.served.data_sets[name] = [
                    ObjectName(member.reference.mms_item, member.reference.ld)
                    for member in data_set.members
                ]

    def _setting_groups(self, device: LogicalDevice) -> None:
        ln0 = device.node("LLN0")
        control = ln0.setting_control if ln0 is not None else None
        if control is None:
            return
        groups = SettingGroups(control.num_of_sgs, control.resv_tms or _RESV_TMS_S)
        active = min(max(1, control.act_sg), control.num_of_sgs)
        for group in range(1, control.num_of_sgs + 1):
            groups.values[group] = {}
        for ln in self.served.logical_devices[device.name].values():
            for fc in ("SG", "SE"):
                below = ln.child(fc)
                for node in below.leaves() if below is not None else ():
                    leaf = self.leaves[node]
                    key = ".".join([ln.name, *node.item.split("$")[2:]])
                    for group, values in groups.values.items():
                        values[key] = to_data(leaf.b_type, initial_value(leaf, group))
                    node.value = groups.values[active][key]
        self.served.setting_groups[device.name] = groups


def _serves(do: DataObject, da: DataAttribute, fc: FC) -> bool:
    """Whether an attribute appears under a constraint; an SE setting has its SG twin."""
    if fc is not FC.SG or da.fc is not FC.SE:
        return da.fc is fc
    return all(other.name != da.name or other.fc is not FC.SG for other in do.attributes)


def _triggers(da: DataAttribute) -> frozenset[str]:
    named = (("dchg", da.dchg), ("qchg", da.qchg), ("dupd", da.dupd))
    return frozenset([name for name, on in named if on])


def _blocks(
    device: LogicalDevice, ln: LogicalNode, owner: bool, published: bool
) -> dict[str, list[Block]]:
    blocks: dict[str, list[Block]] = {}
    for report in ln.reports:
        fc = "BR" if report.control.buffered else "RP"
        blocks.setdefault(fc, []).extend(report_blocks(device.name, ln.name, report, owner))
    for goose in ln.gooses:
        blocks.setdefault("GO", []).append(goose_block(goose, published))
    if ln.setting_control is not None:
        blocks.setdefault("SP", []).append(setting_block(ln.setting_control))
    return blocks


def _block_node(block: Block, parent: Node) -> Node:
    name, layout, values = block
    node = Node(name, StructureType(layout), parent)
    for attribute, kind in layout:
        node.children[attribute] = _typed(attribute, kind, node)
        if attribute in values:
            node.children[attribute].assign(values[attribute])
    return node


def _typed(name: str, kind: MmsType, parent: Node) -> Node:
    node = Node(name, kind, parent)
    if isinstance(kind, StructureType):
        for child, child_kind in kind.components:
            node.children[child] = _typed(child, child_kind, node)
    else:
        node.value = default_value(kind)
    return node


def _structure(node: Node) -> StructureType:
    return StructureType([(name, child.mms_type) for name, child in node.children.items()])
