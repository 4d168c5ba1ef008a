"""The IED: joins the control's messages, the mapping and the engine.

Three kinds of threads meet here. The event loop carries the link and the clients' octets and must
never wait; the engine's threads serve clients and ask `agent.ied.decisions`; one thread of our
own, the model thread, is the only one that changes the engine's values. Work reaches it through
`_post`.
"""

from __future__ import annotations

import fnmatch
import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec
from loguru import logger

from agent.config import Settings
from agent.iec61850 import FC, ObjectReference
from agent.ied.assignment import Assignment
from agent.ied.decisions import Decisions
from agent.ied.goose import GoosePublisher
from agent.ied.modes import Modes
from agent.ied.orders import Orders
from agent.ied.port import AddCause, Engine, Native
from agent.ied.projection import Projection, Subscriptions
from agent.ied.scheduler import Schedules
from agent.ied.settings import SettingDesk
from agent.ied.state import IedState, now_stamp, static_statuses
from agent.ied.store import FILE, Store
from agent.mapping import BoundModel, Scope
from agent.messages import Message, RequestOutcome, Snapshot
from agent.scl.live import DataAttribute, IedModel

ASSIGNMENT_FILE: Final = "ied-evses.json"
_TICK_S: Final = 0.2


class IedService:
    """Shows what the control says, and forwards what clients order and set.

    Args:
        settings: Checked settings.
        model: The expanded IED. `bound`: the mapping bound to it.
        engine: Serves the model; not started yet.
        send: Hands a message to the control, from any thread; False when there is none.
    """

    def __init__(
        self,
        settings: Settings,
        model: IedModel,
        bound: BoundModel,
        engine: Engine,
        send: Callable[[Message], bool],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending: Snapshot | None = None
        self._heard_s = -float("inf")
        self._lost: frozenset[str] = frozenset()
        self.state = _state(settings, model, bound, engine)
        self._orders = Orders(send, self._finish_later, settings.ied.order_lease_s)
        self._desk = SettingDesk(send)
        self.decisions = Decisions(self.state, engine, self._orders, self._desk, self._post, send)
        self._schedules = Schedules(self.state, engine, self._post, send)
        self.decisions.schedules = self._schedules
        self._goose: GoosePublisher | None = None
        if settings.ied.goose_interface:
            self._goose = GoosePublisher(model, settings.ied.goose_interface, engine.read)
        self._thread = threading.Thread(target=self._run, name="ied-model", daemon=True)
        self._counters = {"snapshots": 0.0, "updates": 0.0}

    @property
    def counters(self) -> dict[str, float]:
        """Counters for the heartbeat."""
        return {**self._counters, **self.decisions.counters}

    def start(self) -> None:
        """Start the engine and the model thread, with what was stored in force."""
        self._engine.start(self.decisions)
        self._restore()
        if self._goose is not None:
            self._goose.start()
        self._thread.start()
        self._schedules.start()

    def stop(self) -> None:
        """End both."""
        self._schedules.stop()
        self._jobs.put(None)
        self._thread.join(timeout=5)
        if self._goose is not None:
            self._goose.stop()
        self._engine.stop()

    def take(self, message: Message) -> None:
        """A message of the control; called on the event loop, never waits."""
        if isinstance(message, Snapshot):
            self._offer(message)
        elif isinstance(message, RequestOutcome) and not self._desk.answer(message):
            self._post(lambda: self._orders.outcome(message))

    def control_lost(self) -> None:
        """The link to the control is down; called on the event loop."""
        self._post(self._show_stale)
        self._post(lambda: self._orders.fail_all(AddCause.ABORTION_BY_COMMUNICATION_LOSS))

    def _post(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def _finish_later(self, serial: int, cause: AddCause | None) -> None:
        self._post(lambda: self._engine.finish(serial, cause))

    def _restore(self) -> None:
        """Fixed statuses, modes, stored set points and setting groups."""
        state, values = self.state, dict(static_statuses(self.state.model, self.state.bound))
        values.update(state.modes.shown())
        updates = [*state.stamped(values), *state.refresh_testing()]
        for (reference, group), value in state.store.items():
            leaf = state.model.find(reference)
            if isinstance(leaf, DataAttribute) and reference.fc in (FC.SP, FC.CF) and not group:
                updates.append((reference, value))
                state.projection.set_deadband(reference, value)
        self._engine.update(updates)
        state.load_groups()
        for device, groups in state.groups.items():
            for number, settings in groups.items():
                self._engine.set_group_values(device, number, settings)
            self._engine.select_group(device, state.active_group(device))

    def _offer(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot, with the EVSEs of one that was not shown yet."""
        with self._lock:
            waiting = self._pending
            self._pending = snapshot if waiting is None else _merged(waiting, snapshot)
        if waiting is None:
            self._post(self._show)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_TICK_S)
            except queue.Empty:
                job = self._watch
            if job is None:
                return
            try:
                job()
            except Exception:
                logger.exception("a job of the model thread failed")

    def _watch(self) -> None:
        now_s = time.monotonic()
        self._orders.expire(now_s)
        if not self.state.stale and now_s - self._heard_s > self._settings.ied.stale_s:
            self._show_stale()

    def _show(self) -> None:
        with self._lock:
            snapshot, self._pending = self._pending, None
        if snapshot is None:
            return
        state = self.state
        state.latest, self._heard_s, state.stale = snapshot, time.monotonic(), False
        updates = state.projection.project(snapshot)
        lost = state.projection.lost()
        if lost != self._lost:
            updates += state.connection_quality(lost)
            self._lost = lost
        self._engine.update(updates)
        self._publish()
        self._counters["snapshots"] += 1
        self._counters["updates"] += len(updates)

    def _show_stale(self) -> None:
        if not self.state.stale:
            self.state.stale = True
            self._engine.update(self.state.projection.stale(time.time()))
            self._publish()

    def _publish(self) -> None:
        if self._goose is not None:
            latest = self.state.latest
            self._goose.refresh(now_stamp(latest is not None and latest.clock_synchronised))
            self._counters["goose_sent"] = float(self._goose.sent)


def _state(settings: Settings, model: IedModel, bound: BoundModel, engine: Engine) -> IedState:
    folder = settings.gateway.state_dir
    store = Store(folder / FILE)
    assignment = Assignment(
        bound.of_scope(Scope.EVSE), settings.ied.evses, folder / ASSIGNMENT_FILE
    )
    groups = {
        device: functools.partial(_is_member, settings.ied.groups.get(device, ()))
        for device in bound.of_scope(Scope.GROUP)
    }
    projection = Projection(bound.values, assignment, groups, _subscriptions(model), engine.read)
    stored: dict[ObjectReference, Native] = {
        reference: value for (reference, group), value in store.items() if not group
    }
    return IedState(model, bound, store, Modes(model, stored), assignment, projection)


def _is_member(patterns: tuple[str, ...], evse_id: str) -> bool:
    return any(fnmatch.fnmatchcase(evse_id, pattern) for pattern in patterns)


def _merged(older: Snapshot, newer: Snapshot) -> Snapshot:
    if newer.complete:
        return newer
    views = {view.evse_id: view for view in (*older.evses, *newer.evses)}
    return msgspec.structs.replace(newer, evses=tuple(views.values()), complete=older.complete)


def _subscriptions(model: IedModel) -> Subscriptions:
    """The LGOS and LSVS nodes with the control block that each is engineered for."""
    nodes: dict[tuple[str, str], str] = {}
    for device in model.devices:
        for node in device.nodes:
            if node.ln_class in ("LGOS", "LSVS"):
                do = node.object("GoCBRef" if node.ln_class == "LGOS" else "SvCBRef")
                leaves = () if do is None else tuple(do.leaves(FC.SP))
                texts = [leaf.values[0].text for path, leaf in leaves if leaf.values]
                nodes[device.inst, node.name] = texts[0] if texts else ""
    return Subscriptions(nodes)
