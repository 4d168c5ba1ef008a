"""Resolves data sets: each FCDA becomes the attributes it stands for."""

from __future__ import annotations

from collections.abc import Mapping

from agent.iec61850 import FC, ObjectReference
from agent.scl.live import (
    DataAttribute,
    DataObject,
    LiveDataSet,
    LogicalNode,
    Member,
    Node,
    child_of,
    element_of,
)
from agent.scl.model_control import DataSet, Fcda

Nodes = Mapping[tuple[str, str], tuple[str, LogicalNode]]
"""(ldInst, node name) → (name of the logical device, node)."""

Leaves = tuple[tuple[ObjectReference, DataAttribute], ...]


def resolve_data_set(data_set: DataSet, device: str, node: str, nodes: Nodes) -> LiveDataSet:
    """The data set of a logical node with every member resolved as far as it can be."""
    reference = ObjectReference(device, node, (data_set.name,))
    members = tuple(
        member for fcda in data_set.members for member in _resolve_fcda(fcda, device, nodes)
    )
    return LiveDataSet(data_set.name, reference, members, data_set.line)


def _resolve_fcda(fcda: Fcda, device: str, nodes: Nodes) -> tuple[Member, ...]:
    """One member; an FCDA without doName means every data object of the node with its FC."""
    found = nodes.get((fcda.ld_inst, fcda.ln_name))
    device_name, node = found if found else (device, None)
    fc = FC(fcda.fc) if fcda.fc in FC.__members__ else None
    if not fcda.do_name:
        if node is None:
            return (_dangling(fcda, device_name, fc),)
        return tuple(
            _member(fcda, ObjectReference(device_name, node.name, (do.name,), fc), do)
            for do in node.objects
            if next(do.leaves(fc), None) is not None
        )
    path = tuple(name for name in f"{fcda.do_name}.{fcda.da_name}".split(".") if name)
    target = None if node is None or not path else _walk(node, path, fcda.ix)
    if target is None or (isinstance(target, DataAttribute) and fc not in (None, target.fc)):
        return (_dangling(fcda, device_name, fc),)
    return (_member(fcda, ObjectReference(device_name, fcda.ln_name, path, fc), target),)


def _dangling(fcda: Fcda, device: str, fc: FC | None) -> Member:
    path = tuple(name for name in f"{fcda.do_name}.{fcda.da_name}".split(".") if name)
    reference = ObjectReference(device, fcda.ln_name, path, fc)
    return Member(reference, fcda.ld_inst, None, (), fcda.line, fcda.ix)


def _walk(node: LogicalNode, path: tuple[str, ...], ix: int | None) -> Node | None:
    """The object or attribute below a node; ``ix`` picks an element of the first array met."""
    found: Node | None = node.object(path[0])
    for name in path[1:]:
        if found is None:
            return None
        found = child_of(found, name)
        if found is not None and found.count and ix is not None:
            found, ix = element_of(found, ix), None
    return found


def _member(fcda: Fcda, reference: ObjectReference, node: Node) -> Member:
    return Member(reference, fcda.ld_inst, node, _leaves(reference, node, fcda), fcda.line, fcda.ix)


def _leaves(reference: ObjectReference, node: Node, fcda: Fcda) -> Leaves:
    below = node.leaves(reference.fc) if isinstance(node, DataObject) else node.leaves()
    prefix = reference.path
    if fcda.ix is not None:
        prefix = (*prefix[:-1], f"{prefix[-1]}({fcda.ix})") if len(prefix) == 2 else prefix
    return tuple(
        (ObjectReference(reference.ld, reference.ln, (*prefix, *path), leaf.fc), leaf)
        for path, leaf in below
    )
