"""The live model of an IED: every logical device, node, data object and attribute, resolved.

Nodes are immutable and shared: two logical nodes of one type share every data object that
neither of them sets a value in. A node therefore does not know its parent; walk with
:meth:`LogicalNode.leaves` or :meth:`IedModel.leaves` to get references.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from agent.iec61850 import FC, BasicType, ObjectReference
from agent.scl.finding import SclFinding
from agent.scl.model_base import Value
from agent.scl.model_comm import CbAddress, ConnectedAp
from agent.scl.model_control import (
    ExtRef,
    GseControl,
    LogControl,
    ReportControl,
    SampledValueControl,
    SettingControl,
)
from agent.scl.model_ied import Service
from agent.scl.model_types import EnumType


class DataAttribute(msgspec.Struct, frozen=True, gc=False):
    """A data attribute; a structure has ``children``, a leaf has ``values``.

    Attributes:
        fc: Functional constraint; the members of a structure inherit it.
        b_type: Basic type; STRUCT with ``children``.
        type_id: Id of the EnumType or DAType, or empty.
        enum: The enumeration of an ENUM attribute, None where the file lacks it.
        count: Number of array elements, 0 for a scalar.
        values: Val elements: those of the IED where it sets any, else of the template.
        elements: Array elements that the IED sets values in, by index; the others are as this.
        line: Line of the DAI that sets it, else of the type.
    """

    name: str
    fc: FC
    b_type: BasicType
    type_id: str = ""
    enum: EnumType | None = None
    count: int = 0
    dchg: bool = False
    qchg: bool = False
    dupd: bool = False
    val_kind: str = "Set"
    val_import: bool = False
    s_addr: str = ""
    values: tuple[Value, ...] = ()
    children: tuple[DataAttribute, ...] = ()
    elements: tuple[tuple[int, DataAttribute], ...] = ()
    line: int = 0

    def child(self, name: str) -> DataAttribute | None:
        """The member of that name."""
        return next((child for child in self.children if child.name == name), None)

    def leaves(self) -> Iterator[tuple[tuple[str, ...], DataAttribute]]:
        """Path below this attribute and leaf, in the order of the types; arrays are leaves."""
        if not self.children or self.count:
            yield (), self
            return
        for child in self.children:
            for path, leaf in child.leaves():
                yield (child.name, *path), leaf


class DataObject(msgspec.Struct, frozen=True, gc=False):
    """A data object or sub data object, its children in the order of the type.

    Attributes:
        cdc: Common data class, ``MV``.
        count: Number of array elements of an SDO, 0 for a single one.
        elements: Array elements that the IED sets values in, by index.
    """

    name: str
    cdc: str
    type_id: str
    children: tuple[DataObject | DataAttribute, ...] = ()
    transient: bool = False
    count: int = 0
    elements: tuple[tuple[int, DataObject], ...] = ()
    line: int = 0

    @property
    def attributes(self) -> tuple[DataAttribute, ...]:
        """The data attributes directly below."""
        return tuple(child for child in self.children if isinstance(child, DataAttribute))

    @property
    def sub_objects(self) -> tuple[DataObject, ...]:
        """The sub data objects directly below."""
        return tuple(child for child in self.children if isinstance(child, DataObject))

    def child(self, name: str) -> DataObject | DataAttribute | None:
        """The child of that name; ``name(3)`` is element 3 of an array."""
        base, index = split_index(name)
        found = next((child for child in self.children if child.name == base), None)
        return found if index is None or found is None else element_of(found, index)

    def leaves(self, fc: FC | None = None) -> Iterator[tuple[tuple[str, ...], DataAttribute]]:
        """Path below this object and leaf attribute, of one constraint or of all."""
        for child in self.children:
            if isinstance(child, DataAttribute):
                if fc is not None and child.fc is not fc:
                    continue
                below = child.leaves()
            else:
                below = child.leaves(fc)
            for path, leaf in below:
                yield (child.name, *path), leaf


Node = DataObject | DataAttribute


class Member(msgspec.Struct, frozen=True, gc=False):
    """A data set member.

    Attributes:
        reference: What the member is, with its constraint.
        ld_inst: Instance of the logical device as the FCDA has it.
        node: The data object (functionally constrained data) or attribute, None if dangling.
        leaves: The attributes the member stands for, in the order they are sent.
        ix: Index of one array element, or None.
    """

    reference: ObjectReference
    ld_inst: str
    node: Node | None
    leaves: tuple[tuple[ObjectReference, DataAttribute], ...]
    line: int
    ix: int | None = None


class LiveDataSet(msgspec.Struct, frozen=True, gc=False):
    """A data set with its members resolved; ``reference`` is ``LD/LN.name``."""

    name: str
    reference: ObjectReference
    members: tuple[Member, ...]
    line: int


class ReportBlock(msgspec.Struct, frozen=True, gc=False):
    """A report control block; one for every name in ``control.instance_names``."""

    control: ReportControl
    data_set: LiveDataSet | None


class GooseBlock(msgspec.Struct, frozen=True, gc=False):
    """A GOOSE control block with its address, None where Communication has none."""

    control: GseControl
    reference: ObjectReference
    data_set: LiveDataSet | None
    address: CbAddress | None


class SvBlock(msgspec.Struct, frozen=True, gc=False):
    """A sampled value control block with its address, None where Communication has none."""

    control: SampledValueControl
    reference: ObjectReference
    data_set: LiveDataSet | None
    address: CbAddress | None


class LogBlock(msgspec.Struct, frozen=True, gc=False):
    """A log control block."""

    control: LogControl
    data_set: LiveDataSet | None


class LogicalNode(msgspec.Struct, frozen=True, gc=False):
    """A logical node with everything below it."""

    name: str
    prefix: str
    ln_class: str
    inst: str
    type_id: str
    line: int
    objects: tuple[DataObject, ...] = ()
    data_sets: tuple[LiveDataSet, ...] = ()
    reports: tuple[ReportBlock, ...] = ()
    gooses: tuple[GooseBlock, ...] = ()
    sampled_values: tuple[SvBlock, ...] = ()
    log_controls: tuple[LogBlock, ...] = ()
    logs: tuple[str, ...] = ()
    setting_control: SettingControl | None = None
    ext_refs: tuple[ExtRef, ...] = ()

    def object(self, name: str) -> DataObject | None:
        """The data object of that name."""
        return next((do for do in self.objects if do.name == name), None)

    def leaves(self, fc: FC | None = None) -> Iterator[tuple[tuple[str, ...], DataAttribute]]:
        """Path below the node and leaf attribute, of one constraint or of all."""
        for do in self.objects:
            for path, leaf in do.leaves(fc):
                yield (do.name, *path), leaf


class LogicalDevice(msgspec.Struct, frozen=True, gc=False):
    """A logical device; ``name`` is what clients see (the MMS domain)."""

    name: str
    inst: str
    line: int
    nodes: tuple[LogicalNode, ...] = ()

    def node(self, name: str) -> LogicalNode | None:
        """The logical node of that name."""
        return next((node for node in self.nodes if node.name == name), None)


class IedModel(msgspec.Struct, frozen=True, gc=False):
    """The live model of one IED or of one of its access points.

    Attributes:
        connected: Addresses of the access points that the model covers.
        services: What the IED claims to support: its Services or the access point's.
        findings: What could not be resolved; the model holds everything else.
    """

    ied_name: str
    access_point: str | None
    devices: tuple[LogicalDevice, ...]
    connected: tuple[ConnectedAp, ...] = ()
    services: tuple[Service, ...] = ()
    findings: tuple[SclFinding, ...] = ()

    def device(self, name: str) -> LogicalDevice | None:
        """The logical device of that name (ldName, or IED name and inst)."""
        return next((device for device in self.devices if device.name == name), None)

    def device_by_inst(self, inst: str) -> LogicalDevice | None:
        """The logical device of that instance name."""
        return next((device for device in self.devices if device.inst == inst), None)

    def find(self, reference: ObjectReference) -> LogicalNode | Node | None:
        """What a reference names: a node, object or attribute; its constraint must agree."""
        device = self.device(reference.ld)
        node = None if device is None else device.node(reference.ln)
        if node is None or not reference.path:
            return node
        found: Node | None = node.object(reference.path[0])
        for name in reference.path[1:]:
            found = None if found is None else child_of(found, name)
        if isinstance(found, DataAttribute) and reference.fc not in (None, found.fc):
            return None
        return found

    def leaves(self) -> Iterator[tuple[ObjectReference, DataAttribute]]:
        """Every leaf attribute of the IED with its reference."""
        for device in self.devices:
            for node in device.nodes:
                for path, leaf in node.leaves():
                    yield ObjectReference(device.name, node.name, path, leaf.fc), leaf

    @property
    def parameters(self) -> Mapping[str, str]:
        """Address parameters (``IP``, ``OSI-TSEL``…) of its first connection that has any."""
        return next((c.address.parameters for c in self.connected if c.address), {})


def split_index(name: str) -> tuple[str, int | None]:
    """``HarmMag(3)`` as name and index; the index is None where there is none."""
    base, bracket, rest = name.partition("(")
    return (base, int(rest[:-1])) if bracket and rest[:-1].isdigit() else (base, None)


def child_of(node: Node, name: str) -> Node | None:
    """The child of a data object or structure; ``name(3)`` is element 3 of an array."""
    if isinstance(node, DataObject):
        return node.child(name)
    base, index = split_index(name)
    found = node.child(base)
    return found if index is None or found is None else element_of(found, index)


def element_of(node: Node, index: int) -> Node | None:
    """Element of an array node, itself no array; None outside the array."""
    if not 0 <= index < node.count:
        return None
    found: Node = next((element for ix, element in node.elements if ix == index), node)
    if isinstance(found, DataObject):
        return msgspec.structs.replace(found, count=0, elements=())
    return msgspec.structs.replace(found, count=0, elements=())
