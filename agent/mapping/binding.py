"""What a mapping becomes once it is bound to a model: references instead of patterns."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.iec61850 import ObjectReference
from agent.mapping.fields import Getter, Scope
from agent.mapping.model import ControlRow, SettingRow, ValueRow
from agent.scl.live import DataAttribute


@dataclass(frozen=True, slots=True)
class BoundValue:
    """One message field and the attributes that show it.

    Attributes:
        device: Instance name of the logical device.
        node: Name of the logical node, for subscriptions.
        value: The attribute; `instant`: instMag or instCVal, without deadband.
        quality, timestamp: q and t beside it, None where the type has none.
        db, zero_db: CF attributes that hold the deadbands, None where the type has none.
        kind: Type of the field.
    """

    row: ValueRow
    scope: Scope
    device: str
    node: str
    getter: Getter
    kind: type
    value: ObjectReference
    leaf: DataAttribute
    instant: ObjectReference | None = None
    quality: ObjectReference | None = None
    timestamp: ObjectReference | None = None
    db: ObjectReference | None = None
    zero_db: ObjectReference | None = None


@dataclass(frozen=True, slots=True)
class BoundControl:
    """One controllable object; `lease` is the attribute that holds the lease in seconds."""

    row: ControlRow
    scope: Scope
    device: str
    target: ObjectReference
    low: Getter | None = None
    high: Getter | None = None
    min_val: ObjectReference | None = None
    max_val: ObjectReference | None = None
    lease: ObjectReference | None = None


@dataclass(frozen=True, slots=True)
class BoundSetting:
    """One setting: its SP attribute, or its SG attribute where groups hold it."""

    row: SettingRow
    device: str
    value: ObjectReference
    leaf: DataAttribute


@dataclass(slots=True)
class BoundModel:
    """Everything a mapping found in a model.

    Attributes:
        devices: Instance name → name clients see, of every mapped logical device.
        scopes: Instance name → what it stands for.
    """

    values: list[BoundValue] = field(default_factory=list)
    controls: dict[ObjectReference, BoundControl] = field(default_factory=dict)
    settings: dict[ObjectReference, BoundSetting] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)

    def of_scope(self, scope: Scope) -> tuple[str, ...]:
        """Instance names of the devices of one scope, in the order of the model."""
        return tuple(inst for inst, kind in self.scopes.items() if kind is scope)
