"""Runs the schedules (FSCH) of every schedule controller (FSCC) with APScheduler.

A running entry is a leased request to the control, like an order from SCADA: the lease ends with
the entry, so that nothing is left in force when the gateway stops or the schedule ends.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler

from agent.iec61850 import FC, ObjectReference, Timestamp
from agent.ied.orders import request_target
from agent.ied.port import AddCause, ControlOrder, Engine, Native
from agent.ied.schedule import EnablingError, Schedule, ScheduleState, read_schedule
from agent.ied.state import IedState
from agent.mapping import BoundControl
from agent.messages import Authority, ControlRequest, Message, RequestKind
from agent.scl.live import IedModel, LogicalNode

_SETTLE_S: Final = 0.1
"""The engine stores a written value after it was permitted."""
_MARGIN_S: Final = 1.0
"""An entry's lease outlives it by this, so that the next one takes over without a gap."""


@dataclass(slots=True)
class _Running:
    """One FSCH. `sent` is the entry that the control was told: value and end."""

    device: str
    node: LogicalNode
    control: BoundControl | None
    controller: tuple[str, str] | None
    enabled: bool = False
    sent: tuple[float, float] | None = None
    schedule: Schedule = field(default_factory=lambda: Schedule((), 0.0, (), 0, False))


class Schedules:
    """Every schedule of the IED.

    Args:
        state: The IED's state. `engine`: where set points are read and states shown.
        post: Run a job on the model thread; every method but `operate` runs there.
        send: Hand a message to the control.
    """

    def __init__(
        self,
        state: IedState,
        engine: Engine,
        post: Callable[[Callable[[], None]], None],
        send: Callable[[Message], bool],
    ) -> None:
        self._state = state
        self._engine = engine
        self._post = post
        self._send = send
        self._runs = _find(state.model, state.bound.controls)
        self._timer = BackgroundScheduler(timezone=UTC)
        state.schedule_controls = frozenset(
            ObjectReference(run.device, run.node.name, (name,))
            for run in self._runs
            for name in ("EnaReq", "DsaReq")
            if run.node.object(name) is not None
        )

    def start(self) -> None:
        """Start the clock; schedules that were enabled before a restart run on."""
        if not self._runs:
            return
        self._timer.start()
        for run in self._runs:
            run.enabled = bool(self._state.store.get(_status(run, "EnaReq")))
        self._post(self._step)

    def stop(self) -> None:
        """Stop the clock."""
        if self._timer.running:
            self._timer.shutdown(wait=False)

    def operate(self, order: ControlOrder) -> AddCause | None:
        """EnaReq or DsaReq of a schedule; called from the engine's threads."""
        run = next(
            run
            for run in self._runs
            if (run.device, run.node.name) == (order.target.ld, order.target.ln)
        )
        enable = order.target.path[-1] == "EnaReq"
        if not order.value:
            return None
        if enable:
            error = read_schedule(run.device, run.node, self._engine.read).error()
            if error is not EnablingError.NONE:
                self._post(lambda: self._show(run, {"SchdEnaErr": int(error)}))
                return AddCause.INCONSISTENT_PARAMETERS
        self._post(lambda: self._enable(run, enable))
        return None

    def refresh(self, written: ObjectReference) -> None:
        """A client has written a set point: look again, if it is one of a schedule's."""
        nodes = {(run.device, run.node.name) for run in self._runs}
        if (written.ld, written.ln) in nodes:
            when = datetime.now(UTC) + timedelta(seconds=_SETTLE_S)
            self._plan("written", when)

    def _enable(self, run: _Running, enable: bool) -> None:
        run.enabled = enable
        if not enable:
            run.sent = None
        self._state.store.set(_status(run, "EnaReq"), enable)
        self._show(run, {"SchdEnaErr": int(EnablingError.NONE), "EnaReq": enable})
        self._step()

    def _step(self) -> None:
        """Bring every schedule to the present instant, and plan the next."""
        now_s = time.time()
        for run in self._runs:
            run.schedule = read_schedule(run.device, run.node, self._engine.read)
            self._show_state(run, now_s)
        for control in {id(run.control): run.control for run in self._runs}.values():
            self._rule([run for run in self._runs if run.control is control], now_s)
        changes = [
            change
            for run in self._runs
            if run.enabled and (change := run.schedule.next_change(now_s)) is not None
        ]
        if changes:
            when = datetime.fromtimestamp(min(changes), UTC)
            self._plan("next", when)

    def _plan(self, name: str, when: datetime) -> None:
        self._timer.add_job(
            lambda: self._post(self._step),
            "date",
            run_date=when,
            id=name,
            replace_existing=True,
            misfire_grace_time=None,
        )

    def _rule(self, runs: list[_Running], now_s: float) -> None:
        """Of the schedules that run for one control, the one of the highest priority rules."""
        running = [run for run in runs if run.enabled and run.schedule.value(now_s)]
        ruler = max(running, key=lambda run: run.schedule.priority, default=None)
        for run in runs:
            if run is not ruler:
                run.sent = None
        self._show_controller(runs[0], ruler, now_s)
        if ruler is None:
            return
        entry = ruler.schedule.value(now_s)
        if entry is not None and entry != ruler.sent and self._order(ruler, entry, now_s):
            ruler.sent = entry

    def _order(self, run: _Running, entry: tuple[float, float], now_s: float) -> bool:
        bound = run.control
        if bound is None:
            return False
        target = request_target(bound, self._state.assignment.evse(bound.device))
        if target is None:
            return False
        value, end_s = entry
        return self._send(
            ControlRequest(
                request_id=f"schedule-{uuid.uuid4().hex}",
                authority=Authority.SCADA,
                origin=f"schedule {run.device}/{run.node.name}",
                kind=RequestKind.WATT_SETPOINT,
                target=target,
                value=value * bound.row.scale,
                lease_s=end_s - now_s + _MARGIN_S,
                received_s=time.monotonic(),
                t_utc_s=now_s,
            )
        )

    def _show_state(self, run: _Running, now_s: float) -> None:
        schedule = run.schedule
        state = schedule.state(now_s) if run.enabled else ScheduleState.NOT_READY
        values: dict[str, Native] = {"SchdSt": int(state)}
        following = schedule.next_start(now_s) if run.enabled else None
        values["NxtStrTm"] = Timestamp.from_utc_ns(round((following or 0.0) * 1e9))
        entry = schedule.value(now_s) if run.enabled else None
        values["ValMV"] = entry[0] if entry is not None else 0.0
        self._show(run, values)

    def _show(self, run: _Running, values: dict[str, Native]) -> None:
        self._show_node(run.device, run.node, values)

    def _show_controller(self, any_run: _Running, ruler: _Running | None, now_s: float) -> None:
        if any_run.controller is None:
            return
        device = self._state.model.device(any_run.controller[0])
        node = None if device is None else device.node(any_run.controller[1])
        entry = ruler.schedule.value(now_s) if ruler is not None else None
        reference = f"{ruler.device}/{ruler.node.name}" if ruler is not None else ""
        if device is not None and node is not None:
            values: dict[str, Native] = {"ActSchdRef": reference}
            values["ValMV"] = entry[0] if entry is not None else 0.0
            self._show_node(device.name, node, values)

    def _show_node(self, device: str, node: LogicalNode, values: dict[str, Native]) -> None:
        shown: dict[ObjectReference, Native] = {}
        for name, value in values.items():
            do = node.object(name)
            if do is None:
                continue
            if name == "ValMV":
                shown[ObjectReference(device, node.name, (name, "mag", "f"), FC.MX)] = value
            else:
                shown[ObjectReference(device, node.name, (name, "stVal"), FC.ST)] = value
        self._engine.update(self._state.stamped(shown))


def _status(run: _Running, name: str) -> ObjectReference:
    return ObjectReference(run.device, run.node.name, (name, "stVal"), FC.ST)


def _find(model: IedModel, controls: dict[ObjectReference, BoundControl]) -> list[_Running]:
    """Every FSCH, with what the FSCC that refers to it controls."""
    owners: dict[str, tuple[tuple[str, str], BoundControl | None]] = {}
    for device in model.devices:
        for node in device.nodes:
            if node.ln_class != "FSCC":
                continue
            entity = _reference(model, node, "CtlEnt")
            control = next((b for t, b in controls.items() if t.acsi == entity), None)
            for do in node.objects:
                if do.name.startswith("Schd") and do.cdc == "ORG":
                    owners[_reference(model, node, do.name)] = ((device.name, node.name), control)
    runs: list[_Running] = []
    for device in model.devices:
        for node in device.nodes:
            if node.ln_class == "FSCH":
                owner, control = owners.get(f"{device.name}/{node.name}", (None, None))
                runs.append(_Running(device.name, node, control, owner))
    return runs


def _reference(model: IedModel, node: LogicalNode, name: str) -> str:
    """An engineered ORG; ``@`` stands for our own IED (IEC 61850-7-2 Ed. 2.1, 22.2)."""
    do = node.object(name)
    texts = [
        leaf.values[0].text
        for path, leaf in (do.leaves(FC.SP) if do is not None else ())
        if path == ("setSrcRef",) and leaf.values
    ]
    text = texts[0] if texts else ""
    if not text.startswith("@"):
        return text
    inst, slash, rest = text[1:].partition("/")
    device = model.device_by_inst(inst)
    return f"{device.name if device else inst}{slash}{rest}"
