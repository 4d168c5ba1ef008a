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
            _member(fcda, ObjectReference(device_name, node.name, (do.name,), fc), do, (do.name,))
            for do in node.objects
            if next(do.leaves(fc), None) is not None
        )
    path = tuple(name for name in f"{fcda.do_name}.{fcda.da_name}".split(".") if name)
    walked = None if node is None or not path else _walk(node, path, fcda.ix)
    if walked is None:
        return (_dangling(fcda, device_name, fc),)
    target, names = walked
    if isinstance(target, DataAttribute) and fc not in (None, target.fc):
        return (_dangling(fcda, device_name, fc),)
    reference = ObjectReference(device_name, fcda.ln_name, path, fc)
    return (_member(fcda, reference, target, names),)


def _dangling(fcda: Fcda, device: str, fc: FC | None) -> Member:
    path = tuple(name for name in f"{fcda.do_name}.{fcda.da_name}".split(".") if name)
    reference = ObjectReference(device, fcda.ln_name, path, fc)
    return Member(reference, fcda.ld_inst, None, (), fcda.line, fcda.ix)


def _walk(
    node: LogicalNode, path: tuple[str, ...], ix: int | None
) -> tuple[Node, tuple[str, ...]] | None:
    """What a path names and the path with ``ix`` at the first array it meets."""
    found: Node | None = node.object(path[0])
    names = [path[0]]
    for name in path[1:]:
        found = None if found is None else child_of(found, name)
        if found is None:
            return None
        if found.count and ix is not None:
            found = element_of(found, ix)
            name, ix = f"{name}({ix})", None
        names.append(name)
    return None if found is None else (found, tuple(names))


def _member(fcda: Fcda, reference: ObjectReference, node: Node, names: tuple[str, ...]) -> Member:
    below = node.leaves(reference.fc) if isinstance(node, DataObject) else node.leaves()
    leaves = tuple(
        (ObjectReference(reference.ld, reference.ln, (*names, *path), leaf.fc), leaf)
        for path, leaf in below
    )
    return Member(reference, fcda.ld_inst, node, leaves, fcda.line, fcda.ix)
