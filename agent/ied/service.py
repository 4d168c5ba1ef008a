"""The IED: joins the control's messages, the mapping and the engine.

Three kinds of threads meet here. The event loop carries the link and the clients' octets and must
never wait; the engine's threads serve clients and ask `Decider`; one thread of our own, the model
thread, is the only one that changes the engine's values. Work reaches it through `_post`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from loguru import logger

from agent.config import Settings
from agent.iec61850 import FC, ObjectReference
from agent.ied.assignment import Assignment
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
from agent.ied.projection import Projection, Subscriptions
from agent.mapping import BoundModel, Context, Scope
from agent.messages import Message, RequestOutcome, Snapshot
from agent.scl.live import IedModel

ASSIGNMENT_FILE: Final = "ied-evses.json"
_TICK_S: Final = 0.2


class IedService:
    """Decides what clients may do, shows what the control says, forwards their orders.

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
        self._bound = bound
        self._engine = engine
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending: Snapshot | None = None
        self._latest: Snapshot | None = None
        self._heard_s = -float("inf")
        self._stale = True
        self._assignment = Assignment(
            bound.of_scope(Scope.EVSE),
            settings.ied.evses,
            settings.gateway.state_dir / ASSIGNMENT_FILE,
        )
        self._orders = Orders(send, self._finish_later, settings.ied.order_lease_s)
        self._projection = Projection(
            bound.values, self._assignment, {}, _subscriptions(model), engine.read
        )
        self._thread = threading.Thread(target=self._run, name="ied-model", daemon=True)
        self.counters = {"snapshots": 0.0, "updates": 0.0, "orders": 0.0, "refused": 0.0}

    def start(self) -> None:
        """Start the engine and the model thread."""
        self._engine.start(self)
        self._thread.start()

    def stop(self) -> None:
        """End both."""
        self._jobs.put(None)
        self._thread.join(timeout=5)
        self._engine.stop()

    # From the event loop: never waits.

    def take(self, message: Message) -> None:
        """A message of the control."""
        if isinstance(message, Snapshot):
            self._offer(message)
        elif isinstance(message, RequestOutcome):
            self._post(lambda: self._orders.outcome(message))

    def control_lost(self) -> None:
        """The link to the control is down."""
        self._post(self._show_stale)
        self._post(lambda: self._orders.fail_all(AddCause.ABORTION_BY_COMMUNICATION_LOSS))

    # From the engine's threads.

    def check_control(self, order: ControlOrder) -> AddCause | None:
        """Whether a select or operate is permitted now."""
        bound = self._bound.controls.get(order.target)
        if bound is None:
            return AddCause.NOT_SUPPORTED
        if self._latest is None or self._stale:
            return AddCause.BLOCKED_BY_HEALTH
        view = self._projection.view(bound.device)
        if bound.scope is Scope.EVSE and (view is None or not view.status.online):
            return AddCause.BLOCKED_BY_PROCESS
        if order.value is None:
            return None
        context = Context(self._latest, view=view, group=self._projection.group(bound.device))
        return check_range(bound, order.value, context, self._engine.read)

    def execute(self, order: ControlOrder) -> AddCause | None:
        """Send an accepted order to the control."""
        bound = self._bound.controls[order.target]
        target = request_target(bound, self._assignment.evse(bound.device))
        if target is None:
            return AddCause.BLOCKED_BY_PROCESS
        self.counters["orders"] += 1
        self.audit(order.session, "operate", f"{order.target} = {shown(order.value)}")
        lease_s = None if bound.lease is None else number(self._engine.read(bound.lease))
        return self._orders.place(order, bound, target, lease_s)

    def check_write(
        self, session: Session, reference: ObjectReference, value: Native
    ) -> AccessError | None:
        """Whether a leaf may be written."""
        if reference.fc is FC.CF and reference.path[-1] in ("db", "zeroDb"):
            self._post(lambda: self._projection.set_deadband(reference, value))
            self.audit(session, "write", f"{reference} = {shown(value)}")
            return None
        return AccessError.ACCESS_DENIED

    def group_selected(self, session: Session, device: str, group: int) -> AccessError | None:
        """A client selects the active setting group."""
        self.audit(session, "setting group", f"{device}: {group} active")
        return None

    def group_confirmed(
        self, session: Session, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> AccessError | None:
        """A client confirms the edited values of a group."""
        self.audit(session, "setting group", f"{device}: {group} edited, {len(values)} values")
        return None

    def audit(self, session: Session, event: str, detail: str) -> None:
        """Record what happened."""
        self.counters["refused"] += event == "refused"
        logger.info("mms {}: {} {}", session, event, detail)

    # The model thread.

    def _post(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def _finish_later(self, serial: int, cause: AddCause | None) -> None:
        self._post(lambda: self._engine.finish(serial, cause))

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
        if not self._stale and now_s - self._heard_s > self._settings.ied.stale_s:
            self._show_stale()

    def _show(self) -> None:
        with self._lock:
            snapshot, self._pending = self._pending, None
        if snapshot is None:
            return
        self._latest, self._heard_s, self._stale = snapshot, time.monotonic(), False
        updates = self._projection.project(snapshot)
        self._engine.update(updates)
        self.counters["snapshots"] += 1
        self.counters["updates"] += len(updates)

    def _show_stale(self) -> None:
        if not self._stale:
            self._stale = True
            self._engine.update(self._projection.stale(time.time()))


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
