"""Puts the values that an IED sets (DOI, SDI, DAI) onto the data objects of its types."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from agent.scl.live import DataAttribute, DataObject, Node
from agent.scl.model_ied import Instance

Note = Callable[[str, Instance, str, str], None]
"""Takes rule, the instance element, what and hint."""


def overlay(do: DataObject, doi: Instance, note: Note) -> DataObject:
    """The data object with the values of a DOI; unchanged parts are shared.

    An instance element that names nothing in the type, as many real files have, is noted and
    skipped. Of several elements for one attribute the last wins.
    """
    changed: Node = do
    for child in doi.children:
        changed = _descend(changed, child, note)
    return changed if isinstance(changed, DataObject) else do


def _overlay(node: Node, instance: Instance, note: Note) -> Node:
    if instance.tag == "DAI":
        return _leaf(node, instance, note)
    changed = node
    for child in instance.children:
        changed = _descend(changed, child, note)
    return changed


def _leaf(node: Node, instance: Instance, note: Note) -> Node:
    if not isinstance(node, DataAttribute):
        note("instance.not-attribute", instance, f"{instance.name!r} is a data object", "use SDI")
        return node
    if node.children and instance.values:
        what = f"{instance.name!r} is a structure and cannot have a Val"
        note("instance.not-leaf", instance, what, "set its members with SDI and DAI")
        return node
    return replace(
        node,
        values=instance.values or node.values,
        s_addr=instance.s_addr or node.s_addr,
        val_kind=instance.val_kind or node.val_kind,
        val_import=node.val_import if instance.val_import is None else instance.val_import,
        line=instance.line,
    )


def _descend(node: Node, instance: Instance, note: Note) -> Node:
    position = _position(node, instance)
    if position is None:
        what = f"{instance.tag} {instance.name!r} is not in the type {node.type_id!r}"
        note("instance.not-in-type", instance, what, "remove it or correct the type")
        return node
    child = node.children[position]
    changed: Node
    if instance.ix is None:
        changed = _overlay(child, instance, note)
    elif instance.ix >= child.count:
        what = f"ix={instance.ix} is outside the array of {child.count}"
        note("instance.bad-index", instance, what, "indexes start at 0")
        return node
    else:
        changed = _element(child, instance.ix, instance, note)
    if changed is child:
        return node
    children = (*node.children[:position], changed, *node.children[position + 1 :])
    return replace(node, children=children)


def _element(node: Node, ix: int, instance: Instance, note: Note) -> Node:
    """The array with one of its elements overlaid."""
    element: Node = next((old for index, old in node.elements if index == ix), None) or replace(
        node, count=0, elements=()
    )
    others = [(index, old) for index, old in node.elements if index != ix]
    elements = sorted([*others, (ix, _overlay(element, instance, note))], key=lambda pair: pair[0])
    return replace(node, elements=tuple(elements))


def _position(node: Node, instance: Instance) -> int | None:
    for position, child in enumerate(node.children):
        if child.name == instance.name:
            return position
    return None
