"""What clients may do: the `Decider` of the IED. Called from the engine's threads."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Final

from loguru import logger

from agent.iec61850 import FC, ObjectReference
from agent.ied.orders import Orders, check_range, request_target
from agent.ied.port import (
    AccessError,
    AddCause,
    ControlOrder,
    Engine,
    Native,
    Session,
    number,
    shown,
)
from agent.ied.scheduler import Schedules
from agent.ied.settings import SettingDesk
from agent.ied.state import IedState
from agent.mapping import Context, Scope
from agent.messages import AuditEvent, Authority, Message
from agent.scl.live import DataAttribute

_CONFIGURABLE: Final = frozenset({"db", "zeroDb", "sboTimeout", "operTimeout"})
"""CF attributes that a client may write; ctlModel and limits come from engineering."""
_KIND: Final = {
    "associated": "association",
    "ended": "association",
    "refused": "refusal",
    "write": "setting",
    "setting group": "setting",
    "mode": "mode",
}


class Decisions:
    """Checks orders and writes against mode, authority, range and connection.

    Args:
        state: What the IED knows now.
        engine: Where present values are read.
        orders, settings: Where permitted orders and settings go.
        post: Run a job on the model thread.
        send: Hand a message to the control.
    """

    def __init__(
        self,
        state: IedState,
        engine: Engine,
        orders: Orders,
        settings: SettingDesk,
        post: Callable[[Callable[[], None]], None],
        send: Callable[[Message], bool],
    ) -> None:
        self._state = state
        self._engine = engine
        self._orders = orders
        self._settings = settings
        self._post = post
        self._send = send
        self._numbers = itertools.count(1)
        self.schedules: Schedules | None = None
        self.counters = {"orders": 0.0, "refused": 0.0, "writes": 0.0}

    def check_control(self, order: ControlOrder) -> AddCause | None:
        """Whether a select or operate is permitted now."""
        state = self._state
        cause = state.modes.check(order, local=self._is_local())
        if cause is not None or state.modes.handles(order.target):
            return cause
        if order.target in state.schedule_controls:
            return None
        bound = state.bound.controls.get(order.target)
        if bound is None:
            return AddCause.NOT_SUPPORTED
        if state.latest is None or state.stale:
            return AddCause.BLOCKED_BY_HEALTH
        view = state.projection.view(bound.device)
        if bound.scope is Scope.EVSE and (view is None or not view.status.online):
            return AddCause.BLOCKED_BY_PROCESS
        if order.value is None:
            return None
        group = state.projection.group(bound.device)
        if bound.scope is Scope.GATEWAY:
            group = state.projection.site()
        context = Context(state.latest, view=view, group=group)
        return check_range(bound, order.value, context, self._engine.read)

    def execute(self, order: ControlOrder) -> AddCause | None:
        """Start an accepted operate."""
        self.counters["orders"] += 1
        state = self._state
        if state.modes.handles(order.target):
            self._post(lambda: self._set_mode(order))
            return None
        self.audit(order.session, "operate", f"{order.target} = {shown(order.value)}")
        if order.target in state.schedule_controls and self.schedules is not None:
            cause = self.schedules.operate(order)
            if cause is None:
                self._post(lambda: self._engine.finish(order.serial, None))
            return cause
        bound = state.bound.controls[order.target]
        lease_s = None if bound.lease is None else number(self._engine.read(bound.lease))
        if bound.scope is Scope.GROUP:
            views = state.projection.members(bound.device)
            return self._orders.place_group(order, bound, views, lease_s)
        target = request_target(bound, state.assignment.evse(bound.device))
        if target is None:
            return AddCause.BLOCKED_BY_PROCESS
        return self._orders.place(order, bound, target, lease_s)

    def may_be_written(self, reference: ObjectReference) -> bool:
        """Droop settings, deadbands and timeouts, and set points that show nothing."""
        return reference in self._state.bound.settings or self._is_configurable(reference)

    def check_write(
        self, session: Session, reference: ObjectReference, value: Native
    ) -> AccessError | None:
        """Whether a leaf may take a value; None carries it out and remembers it."""
        refusal = self._write(session, reference, value)
        detail = f"{reference} = {shown(value)}"
        if refusal is None:
            self.counters["writes"] += 1
            self.audit(session, "write", detail)
        else:
            self.audit(session, "refused", f"write {detail}: {refusal.name}")
        return refusal

    def group_selected(self, session: Session, device: str, group: int) -> AccessError | None:
        """A client selects the active setting group: its settings take effect first."""
        values = self._state.group_values(device, group)
        refusal = self._apply(session, values)
        if refusal is None:
            self._remember({(self._state.group_key(device), 0): group})
            self.audit(session, "setting group", f"{device}: group {group} active")
        return refusal

    def group_confirmed(
        self, session: Session, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> AccessError | None:
        """A client confirms the edited values of a group."""
        settings = {ref.with_fc(FC.SG): value for ref, value in values.items()}
        if group == self._state.active_group(device):
            refusal = self._apply(session, settings)
            if refusal is not None:
                return refusal
        self._state.set_group_values(device, group, settings)
        refusal = self._remember({(ref, group): value for ref, value in settings.items()})
        self.audit(session, "setting group", f"{device}: group {group} edited")
        return refusal

    def audit(self, session: Session, event: str, detail: str) -> None:
        """Tell the log and, where it matters to the audit, the control."""
        self.counters["refused"] += event == "refused"
        logger.info("mms {}: {} {}", session, event, detail)
        kind = _KIND.get(event)
        if kind is not None:
            subject = f"{session} {session.role}".strip()
            text = f"{event}: {detail}"
            self._send(AuditEvent("ied", next(self._numbers), kind, subject, text, time.time()))

    def _write(
        self, session: Session, reference: ObjectReference, value: Native
    ) -> AccessError | None:
        state = self._state
        setting = state.bound.settings.get(reference)
        if setting is not None:
            nominal_hz = state.latest.loop.nominal_hz if state.latest else 0.0
            refusal = self._settings.change(session, setting, value, nominal_hz)
            self._post(lambda: state.projection.forget(reference))
            return refusal or self._remember({(reference, 0): value})
        if not self._is_configurable(reference):
            return AccessError.ACCESS_DENIED
        refusal = self._remember({(reference, 0): value})
        if refusal is None and reference.fc is FC.CF:
            self._post(lambda: state.projection.set_deadband(reference, value))
        if refusal is None and self.schedules is not None:
            self.schedules.refresh(reference)
        return refusal

    def _is_configurable(self, reference: ObjectReference) -> bool:
        """CF deadbands and timeouts, and set points that show nothing and may be set online."""
        if reference.fc is FC.CF:
            return reference.path[-1] in _CONFIGURABLE
        if reference.fc is not FC.SP or self._state.projection.shows(reference):
            return False
        leaf = self._state.model.find(reference)
        return isinstance(leaf, DataAttribute) and leaf.val_kind == "Set"

    def _apply(
        self, session: Session, values: Mapping[ObjectReference, Native]
    ) -> AccessError | None:
        """Have the control take every setting of a group that it knows."""
        state = self._state
        nominal_hz = state.latest.loop.nominal_hz if state.latest else 0.0
        for reference, value in values.items():
            setting = state.bound.settings.get(reference)
            if setting is not None:
                refusal = self._settings.change(session, setting, value, nominal_hz)
                if refusal is not None:
                    return refusal
                self._post(lambda ref=reference: state.projection.forget(ref))  # type: ignore[misc]
        return None

    def _remember(self, values: dict[tuple[ObjectReference, int], Native]) -> AccessError | None:
        try:
            self._state.store.set_many(values)
        except OSError as error:
            logger.error("a setting cannot be stored: {}", error)
            return AccessError.HARDWARE_FAULT
        return None

    def _set_mode(self, order: ControlOrder) -> None:
        """On the model thread: take a mode or an authority, show it, remember it."""
        value = order.value
        if value is None:
            return
        changes = self._state.modes.apply(order.target, value)
        reference = order.target.child("stVal").with_fc(FC.ST)
        self._remember({(reference, 0): value})
        self._engine.update([*self._state.stamped(changes), *self._state.refresh_testing()])
        self.audit(order.session, "mode", f"{order.target} = {shown(value)}")
        self._engine.finish(order.serial, None)

    def _is_local(self) -> bool:
        latest = self._state.latest
        return latest is not None and latest.loop.authority is Authority.LOCAL_OPERATOR
