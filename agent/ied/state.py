"""What the IED knows at this moment; shared by its threads.

The model thread writes; the engine's threads read single attributes, which Python replaces as a
whole, so no reader sees half of anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.iec61850 import FC, DetailQuality, ObjectReference, Quality, TimeQuality, Timestamp
from agent.ied.assignment import Assignment
from agent.ied.modes import Modes
from agent.ied.port import Native, whole
from agent.ied.projection import Projection, Update
from agent.ied.store import Store
from agent.ied.values import initial_value
from agent.mapping import BoundModel
from agent.messages import Snapshot
from agent.scl.live import DataAttribute, DataObject, IedModel, LogicalDevice
from agent.scl.model_control import SettingControl

_LOST: Final = Quality.invalid(DetailQuality.OLD_DATA)


@dataclass(slots=True)
class IedState:
    """Model, mapping, stored values, and the newest snapshot.

    Attributes:
        stale: The control has not been heard for too long.
        schedule_controls: Objects (EnaReq, DsaReq) that the schedules carry out.
        groups: Device → group → setting → value, of devices with setting groups.
    """

    model: IedModel
    bound: BoundModel
    store: Store
    modes: Modes
    assignment: Assignment
    projection: Projection
    latest: Snapshot | None = None
    stale: bool = True
    schedule_controls: frozenset[ObjectReference] = frozenset()
    groups: dict[str, dict[int, dict[ObjectReference, Native]]] = field(default_factory=dict)

    def stamped(self, values: Mapping[ObjectReference, Native]) -> list[Update]:
        """Values with q good and t now, where their data objects have them."""
        t = now_stamp(self.latest is not None and self.latest.clock_synchronised)
        updates: list[Update] = []
        for reference, value in values.items():
            updates.append((reference, value))
            do_path = ObjectReference(reference.ld, reference.ln, reference.path[:-1])
            for name, stamp in (("q", Quality()), ("t", t)):
                beside = do_path.child(name).with_fc(reference.fc)
                if isinstance(self.model.find(beside), DataAttribute):
                    updates.append((beside, stamp))
        return updates

    def refresh_testing(self) -> list[Update]:
        """q.test of every device in a test mode."""
        testing = {inst for inst, name in self.bound.devices.items() if self.modes.testing(name)}
        return self.projection.set_testing(frozenset(testing))

    def connection_quality(self, lost: frozenset[str]) -> list[Update]:
        """Quality of Beh and Mod of devices whose EVSE is lost, and good of the others."""
        updates: list[Update] = []
        for device in self.model.devices:
            quality = _LOST if device.inst in lost else Quality()
            for node in device.nodes:
                for name in ("Beh", "Mod"):
                    reference = ObjectReference(device.name, node.name, (name, "q"), FC.ST)
                    if isinstance(self.model.find(reference), DataAttribute):
                        updates.append((reference, quality))
        return updates

    def active_group(self, device: str) -> int:
        """The active setting group of a logical device (name clients see)."""
        stored = self.store.get(self.group_key(device))
        if stored is not None:
            return whole(stored)
        control = self._setting_control(device)
        return 1 if control is None else control.act_sg

    def group_values(self, device: str, group: int) -> dict[ObjectReference, Native]:
        """Values of one group by their SG references."""
        return dict(self.groups.get(device, {}).get(group, {}))

    def set_group_values(
        self, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> None:
        """Keep the values of one group."""
        self.groups.setdefault(device, {}).setdefault(group, {}).update(values)

    def load_groups(self) -> None:
        """Values of every setting group: the SCL's, or what clients confirmed."""
        for device in self.model.devices:
            control = self._setting_control(device.name)
            if control is None:
                continue
            for group in range(1, control.num_of_sgs + 1):
                values = dict(_group_of(device, group))
                for (reference, stored_group), value in self.store.items():
                    if reference.ld == device.name and stored_group == group:
                        values[reference] = value
                self.set_group_values(device.name, group, values)

    @staticmethod
    def group_key(device: str) -> ObjectReference:
        """Where the store keeps the active group of a device."""
        return ObjectReference(device, "LLN0", ("SGCB", "ActSG"), FC.SP)

    def _setting_control(self, device: str) -> SettingControl | None:
        found = self.model.device(device)
        ln0 = None if found is None else found.node("LLN0")
        return None if ln0 is None else ln0.setting_control


def now_stamp(synchronised: bool) -> Timestamp:
    """The present UTC time with the clock's truth."""
    quality = TimeQuality(
        clock_not_synchronised=not synchronised, accuracy_bits=10 if synchronised else 31
    )
    return Timestamp.from_utc_ns(time.time_ns(), quality)


def static_statuses(model: IedModel, bound: BoundModel) -> dict[ObjectReference, Native]:
    """Status values that the SCL fixes and nothing else shows: Proxy, ratings, references."""
    shown = {value.value for value in bound.values}
    found: dict[ObjectReference, Native] = {}
    for device in model.devices:
        for node in device.nodes:
            for do in node.objects:
                found.update(
                    (ref, value)
                    for ref, value in _fixed(device.name, node.name, (do.name,), do)
                    if ref not in shown
                )
    return found


def _fixed(
    device: str, node: str, path: tuple[str, ...], do: DataObject
) -> list[tuple[ObjectReference, Native]]:
    found: list[tuple[ObjectReference, Native]] = []
    for child in do.children:
        if isinstance(child, DataObject):
            found += _fixed(device, node, (*path, child.name), child)
        elif child.name == "stVal" and child.values:
            reference = ObjectReference(device, node, (*path, child.name), child.fc)
            found.append((reference, initial_value(child)))
    return found


def _group_of(device: LogicalDevice, group: int) -> list[tuple[ObjectReference, Native]]:
    return [
        (ObjectReference(device.name, node.name, path, FC.SG), initial_value(leaf, group))
        for node in device.nodes
        for path, leaf in node.leaves(FC.SE)
    ]
