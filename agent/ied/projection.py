"""From the control's snapshots to attribute values: scale, deadband, quality, time.

One `Projection` holds what every bound value last showed. It returns only what changes, so that
one snapshot makes at most one report entry. It knows no engine and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.iec61850 import (
    BasicType,
    DetailQuality,
    ObjectReference,
    Quality,
    TimeQuality,
    Timestamp,
)
from agent.iec61850 import Validity as QualityValidity
from agent.iec61850.basic_types import FLOAT_TYPES, STRING_LENGTH
from agent.ied.assignment import Assignment
from agent.ied.port import Native, number
from agent.mapping import BoundValue, Context, Reading, Scope
from agent.mapping.group import GroupView, summarise
from agent.messages import EvseView, Snapshot, SubscriptionHealth, Validity

Update = tuple[ObjectReference, Native]
_DB_UNIT: Final = 1e-5
"""`db` and `zeroDb` count in 0.001 % of the range (IEC 61850-7-3 Ed. 2.1, 7.4.1)."""
_QUALITY: Final = {
    Validity.GOOD: Quality(),
    Validity.HELD: Quality.questionable(DetailQuality.OLD_DATA),
    Validity.QUESTIONABLE: Quality.questionable(DetailQuality.INACCURATE),
}
_UNKNOWN: Final = Quality.invalid(DetailQuality.FAILURE)
_LOST: Final = Quality.invalid(DetailQuality.OLD_DATA)
_STALE: Final = Quality.questionable(DetailQuality.OLD_DATA)


@dataclass(slots=True)
class _Shown:
    """What a bound value shows now."""

    bound: BoundValue
    deadband: float
    zero_band: float = 0.0
    value: Native | None = None
    instant: Native | None = None
    quality: Quality = field(default_factory=Quality.invalid)


class Projection:
    """State of everything that the IED shows of the control.

    Args:
        values: The bound values of the mapping.
        assignment: Which EVSE stands behind which device.
        groups: Device instance of a group → names of its EVSEs, or patterns of them.
        subscriptions: Logical node → control block reference, of LGOS and LSVS nodes.
        read: Present value of an attribute, for deadbands.
    """

    def __init__(
        self,
        values: Sequence[BoundValue],
        assignment: Assignment,
        groups: Mapping[str, Callable[[str], bool]],
        subscriptions: Subscriptions,
        read: Callable[[ObjectReference], Native],
    ) -> None:
        self._assignment = assignment
        self._groups = groups
        self._subscriptions = subscriptions
        self._views: dict[str, EvseView] = {}
        self._by_device: dict[str, list[_Shown]] = {}
        self._deadbands: dict[ObjectReference, list[_Shown]] = {}
        for bound in values:
            shown = _Shown(bound, bound.row.deadband)
            self._by_device.setdefault(bound.device, []).append(shown)
            for reference in (bound.db, bound.zero_db):
                if reference is not None:
                    self._deadbands.setdefault(reference, []).append(shown)
                    self.set_deadband(reference, read(reference))
        self._scopes = {
            bound.device: bound.scope for bound in values if bound.scope is not Scope.SUBSCRIPTION
        }
        self._shown_at = {
            shown.bound.value: shown for rows in self._by_device.values() for shown in rows
        }
        self._testing: frozenset[str] = frozenset()

    def set_deadband(self, reference: ObjectReference, value: Native) -> None:
        """Take a new `db` or `zeroDb`; 0 leaves the deadband of the mapping."""
        for shown in self._deadbands.get(reference, ()):
            band = number(value) * _DB_UNIT * shown.bound.row.range
            if reference == shown.bound.zero_db:
                shown.zero_band = band
            else:
                shown.deadband = band or shown.bound.row.deadband

    def forget(self, reference: ObjectReference) -> None:
        """A client has written a shown value: the next snapshot shows it anew."""
        shown = self._shown_at.get(reference)
        if shown is not None:
            shown.value = None

    def shows(self, reference: ObjectReference) -> bool:
        """The attribute shows a field of the messages."""
        return reference in self._shown_at

    def set_testing(self, devices: frozenset[str]) -> list[Update]:
        """Devices in a test mode: their values carry q.test from now on."""
        updates: list[Update] = []
        for device in devices ^ self._testing:
            for shown in self._by_device.get(device, ()):
                quality = msgspec.structs.replace(shown.quality, test=device in devices)
                shown.quality = quality
                if shown.bound.quality is not None:
                    updates.append((shown.bound.quality, quality))
        self._testing = devices
        return updates

    def project(self, snapshot: Snapshot) -> list[Update]:
        """The attributes that a snapshot changes."""
        touched = self._take(snapshot)
        moment = _TimeStamper(snapshot.clock_synchronised)
        updates: list[Update] = []
        for device, rows in self._by_device.items():
            if device not in touched:
                continue
            base = self._context(device, snapshot)
            for shown in rows:
                context = base
                if shown.bound.scope is Scope.SUBSCRIPTION:
                    health = self._subscriptions.of(device, shown.bound.node, snapshot)
                    context = Context(snapshot, subscription=health)
                self._show(shown, shown.bound.getter(context), moment, updates)
        return updates

    def stale(self, t_utc_s: float) -> list[Update]:
        """Everything that was good becomes questionable: the control is gone."""
        moment = _TimeStamper(synchronised=False)
        updates: list[Update] = []
        for rows in self._by_device.values():
            for shown in rows:
                if shown.quality.validity is QualityValidity.GOOD:
                    stale = msgspec.structs.replace(_STALE, test=shown.quality.test)
                    self._show_quality(shown, stale, moment(t_utc_s), updates)
        return updates

    def view(self, device: str) -> EvseView | None:
        """What is known of the EVSE behind a device."""
        evse_id = self._assignment.evse(device)
        return None if evse_id is None else self._views.get(evse_id)

    def members(self, device: str) -> tuple[EvseView, ...]:
        """The EVSEs behind a group's device."""
        member = self._groups.get(device)
        if member is None:
            return ()
        return tuple(view for name, view in self._views.items() if member(name))

    def lost(self) -> frozenset[str]:
        """Devices whose EVSE is assigned and not connected."""
        return frozenset(
            device
            for device, scope in self._scopes.items()
            if scope is Scope.EVSE
            and self._assignment.evse(device) is not None
            and not ((view := self.view(device)) and view.status.online)
        )

    def group(self, device: str) -> GroupView | None:
        """Sums of the EVSEs behind a group's device."""
        return summarise(self.members(device)) if device in self._groups else None

    def site(self) -> GroupView:
        """Sums of every EVSE."""
        return summarise(self._views.values())

    def _take(self, snapshot: Snapshot) -> set[str]:
        """Remember the views; return the devices that may show something new."""
        if snapshot.complete:
            self._views.clear()
        self._views.update((view.evse_id, view) for view in snapshot.evses)
        self._assignment.admit(self._views)
        touched = {
            device
            for device, scope in self._scopes.items()
            if snapshot.complete or scope is not Scope.EVSE
        }
        for view in snapshot.evses:
            device = self._assignment.device(view.evse_id)
            if device is not None:
                touched.add(device)
        return touched

    def _context(self, device: str, snapshot: Snapshot) -> Context:
        if device in self._groups:
            return Context(snapshot, group=self.group(device))
        return Context(snapshot, view=self.view(device))

    def _show(
        self, shown: _Shown, reading: Reading, moment: _TimeStamper, updates: list[Update]
    ) -> None:
        value = None if reading.value is None else _native(shown.bound, reading.value)
        quality = _QUALITY.get(reading.quality)
        if value is None or quality is None:
            quality = _UNKNOWN if shown.value is None else _LOST
        if shown.bound.device in self._testing:
            quality = msgspec.structs.replace(quality, test=True)
        if value is not None and self._show_value(shown, value, updates):
            self._stamp(shown, moment(reading.t_utc_s), updates)
        if quality != shown.quality:
            self._show_quality(shown, quality, moment(reading.t_utc_s), updates)

    def _show_value(self, shown: _Shown, value: Native, updates: list[Update]) -> bool:
        bound = shown.bound
        if shown.zero_band and abs(number(value)) < shown.zero_band:
            value = 0.0 if isinstance(value, float) else 0
        if bound.instant is not None and value != shown.instant:
            shown.instant = value
            updates.append((bound.instant, value))
        if value == shown.value or _within(shown, value):
            return False
        shown.value = value
        updates.append((bound.value, value))
        return True

    @staticmethod
    def _show_quality(shown: _Shown, quality: Quality, t: Timestamp, updates: list[Update]) -> None:
        shown.quality = quality
        if shown.bound.quality is not None:
            updates.append((shown.bound.quality, quality))
            Projection._stamp(shown, t, updates)

    @staticmethod
    def _stamp(shown: _Shown, t: Timestamp, updates: list[Update]) -> None:
        if shown.bound.timestamp is not None:
            updates.append((shown.bound.timestamp, t))


class Subscriptions:
    """Which `SubscriptionHealth` belongs to which LGOS or LSVS node.

    A node whose GoCBRef or SvCBRef is engineered shows that control block; the other nodes take
    the remaining subscriptions of their kind in the order of their names.
    """

    def __init__(self, nodes: Mapping[tuple[str, str], str]) -> None:
        self._nodes = {key: _plain_reference(reference) for key, reference in nodes.items()}

    def of(self, device: str, node: str, snapshot: Snapshot) -> SubscriptionHealth | None:
        """Health behind a node of a device, None where nothing is subscribed."""
        kind = "goose" if node.startswith("LGOS") else "sv"
        known = {
            _plain_reference(health.control_block): health
            for health in snapshot.subscriptions
            if health.kind == kind
        }
        wanted = self._nodes.get((device, node), "")
        if wanted:
            return known.get(wanted)
        taken = set(self._nodes.values())
        free = [known[name] for name in sorted(known) if name not in taken]
        open_nodes = sorted(
            key for key, name in self._nodes.items() if not name and _same_kind(key[1], node)
        )
        place = open_nodes.index((device, node)) if (device, node) in open_nodes else len(free)
        return free[place] if place < len(free) else None


class _TimeStamper:
    """Timestamps with the clock's truth."""

    def __init__(self, synchronised: bool) -> None:
        self._quality = TimeQuality(
            clock_not_synchronised=not synchronised, accuracy_bits=10 if synchronised else 31
        )

    def __call__(self, t_utc_s: float) -> Timestamp:
        return Timestamp.from_utc_ns(max(0, round(t_utc_s * 1e9)), self._quality)


def _native(bound: BoundValue, value: bool | int | float | str) -> Native | None:
    """A field as its attribute shows it; None for a text that the mapping does not list."""
    kind = bound.leaf.b_type
    if isinstance(value, str):
        if bound.row.values:
            return bound.row.values.get(value)
        return value[: STRING_LENGTH[kind]]
    if kind is BasicType.BOOLEAN:
        return bool(value)
    number = value * bound.row.scale + bound.row.offset
    if kind in FLOAT_TYPES:
        return float(number)
    if kind is BasicType.TIMESTAMP:
        return Timestamp.from_utc_ns(max(0, round(number * 1e9)))
    return round(number)


def _within(shown: _Shown, value: Native) -> bool:
    """The value is inside the deadband around what is shown; leaving or meeting zero is not."""
    if not shown.deadband or isinstance(value, bool | str | Timestamp) or shown.value is None:
        return False
    before, after = number(shown.value), number(value)
    return abs(after - before) <= shown.deadband and bool(before) == bool(after)


def _plain_reference(text: str) -> str:
    for separator in ("$GO$", "$MS$", "$US$"):
        text = text.replace(separator, ".")
    return text


def _same_kind(first: str, second: str) -> bool:
    return first[:4] == second[:4]
