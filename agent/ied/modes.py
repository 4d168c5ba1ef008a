"""Mod and Beh of every node, and who may control (IEC 61850-7-4:2020, annexes A and B).

Mod of LLN0 is the mode of the logical device; a node's own Mod narrows it; Beh is the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from agent.iec61850 import FC, ObjectReference
from agent.ied.port import AddCause, ControlOrder, Native, whole
from agent.scl.live import DataAttribute, IedModel, LogicalDevice, LogicalNode

_REMOTE: Final = frozenset({3, 6})
"""orCat remote-control and automatic-remote."""
_NOT_LOCAL: Final = frozenset({2, 3, 5, 6})
"""orCat of station and remote level."""


class Mode(IntEnum):
    """BehaviourModeKind."""

    ON = 1
    BLOCKED = 2
    TEST = 3
    TEST_BLOCKED = 4
    OFF = 5

    @property
    def testing(self) -> bool:
        """Values carry q.test and only test commands are taken."""
        return self in (Mode.TEST, Mode.TEST_BLOCKED)

    @property
    def blocked(self) -> bool:
        """Nothing reaches the process."""
        return self in (Mode.BLOCKED, Mode.TEST_BLOCKED)


def behaviour(device: Mode, node: Mode) -> Mode:
    """Beh of a node of those two modes (IEC 61850-7-4:2020, table A.1)."""
    if Mode.OFF in (device, node):
        return Mode.OFF
    testing = device.testing or node.testing
    blocked = device.blocked or node.blocked
    if testing:
        return Mode.TEST_BLOCKED if blocked else Mode.TEST
    return Mode.BLOCKED if blocked else Mode.ON


class Modes:
    """The modes of an IED and the authority of its stations.

    Args:
        model: The expanded IED.
        stored: Modes and LocSta that were set before a restart.
    """

    def __init__(self, model: IedModel, stored: Mapping[ObjectReference, Native]) -> None:
        self._modes: dict[ObjectReference, Mode] = {}
        self._authority: dict[ObjectReference, bool] = {}
        self._nodes = {device.name: device for device in model.devices}
        for device in model.devices:
            for node in device.nodes:
                for name in ("Mod", "LocSta"):
                    leaf = _status(node, name)
                    if leaf is None:
                        continue
                    target = ObjectReference(device.name, node.name, (name,))
                    value = stored.get(_status_reference(target), _first(leaf))
                    self._set(target, value)

    def handles(self, target: ObjectReference) -> bool:
        """The controllable object is a mode or an authority of this class."""
        return target in self._modes or target in self._authority

    def beh(self, device: str, node: str) -> Mode:
        """Present behaviour of a node."""
        of_device = self._modes.get(ObjectReference(device, "LLN0", ("Mod",)), Mode.ON)
        of_node = self._modes.get(ObjectReference(device, node, ("Mod",)), Mode.ON)
        return behaviour(of_device, of_node)

    def check(self, order: ControlOrder, *, local: bool) -> AddCause | None:
        """Whether authority and mode permit a control.

        Args:
            order: The select or operate.
            local: A local operator has the control (Loc).
        """
        if local and order.origin_category in _NOT_LOCAL:
            return AddCause.BLOCKED_BY_SWITCHING_HIERARCHY
        is_authority = order.target in self._authority
        if order.origin_category in _REMOTE and not is_authority and self._station(order.target):
            return AddCause.BLOCKED_BY_SWITCHING_HIERARCHY
        if self.handles(order.target):
            return self._check_own(order)
        beh = self._ruling(order.target)
        if beh in (Mode.OFF, Mode.BLOCKED) or beh.testing != order.test:
            return AddCause.BLOCKED_BY_MODE
        return None

    def _ruling(self, target: ObjectReference) -> Mode:
        """Beh of the node; on where it has none, as LPHD (IEC 61850-7-4 Ed. 2.1, 5.3.2)."""
        device = self._nodes.get(target.ld)
        node = device.node(target.ln) if device is not None else None
        if node is not None and node.object("Beh") is None:
            return Mode.ON
        return self.beh(target.ld, target.ln)

    def apply(self, target: ObjectReference, value: Native) -> dict[ObjectReference, Native]:
        """Set a mode or an authority; returns the status attributes that change."""
        self._set(target, value)
        changes: dict[ObjectReference, Native] = {_status_reference(target): value}
        if target in self._modes:
            device = self._nodes[target.ld]
            nodes = device.nodes if target.ln == "LLN0" else (device.node(target.ln),)
            for node in nodes:
                if node is not None:
                    changes.update(self._shown(device, node))
        return changes

    def shown(self) -> dict[ObjectReference, Native]:
        """Every Mod, Beh and LocSta as it is."""
        changes: dict[ObjectReference, Native] = {}
        for target, mode in self._modes.items():
            changes[_status_reference(target)] = int(mode)
        for target, value in self._authority.items():
            changes[_status_reference(target)] = value
        for device in self._nodes.values():
            for node in device.nodes:
                changes.update(self._shown(device, node))
        return changes

    def testing(self, device: str) -> bool:
        """The logical device is in a test mode."""
        return self.beh(device, "LLN0").testing

    def _shown(self, device: LogicalDevice, node: LogicalNode) -> dict[ObjectReference, Native]:
        if _status(node, "Beh") is None:
            return {}
        reference = ObjectReference(device.name, node.name, ("Beh", "stVal"), FC.ST)
        return {reference: int(self.beh(device.name, node.name))}

    def _station(self, target: ObjectReference) -> bool:
        """LocSta of the node, else of the device: the station has the control."""
        for node in (target.ln, "LLN0"):
            if self._authority.get(ObjectReference(target.ld, node, ("LocSta",))):
                return True
        return False

    def _check_own(self, order: ControlOrder) -> AddCause | None:
        if order.test:
            return AddCause.BLOCKED_BY_MODE
        if order.target in self._modes and order.value is not None:
            known = whole(order.value) in Mode.__members__.values()
            return None if known else AddCause.INCONSISTENT_PARAMETERS
        return None

    def _set(self, target: ObjectReference, value: Native) -> None:
        if target.path[-1] == "LocSta":
            self._authority[target] = bool(value)
        else:
            self._modes[target] = Mode(whole(value)) if value else Mode.ON


def _status(node: LogicalNode, name: str) -> DataAttribute | None:
    do = node.object(name)
    leaf = None if do is None else do.child("stVal")
    return leaf if isinstance(leaf, DataAttribute) else None


def _status_reference(target: ObjectReference) -> ObjectReference:
    return target.child("stVal").with_fc(FC.ST)


def _first(leaf: DataAttribute) -> Native:
    """The initial value; a mode without one is on, an authority without one is remote."""
    if not leaf.values:
        return 0
    text = leaf.values[0].text
    if leaf.enum is not None:
        return leaf.enum.values.get(text, 1)
    return text in ("true", "1")
