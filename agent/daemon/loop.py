"""The control process: read what arrived, one `control.step`, send what follows.

One tick for each measurement, and one when none came in time. Nothing in here waits for a
worker, a disk or a network; the audit has its own thread.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Final

from loguru import logger

from agent.audit import AuditLog
from agent.config import Settings
from agent.control import Inputs, Now, Outputs, Parameters, State, initial_state, step
from agent.daemon.alarms import AlarmBoard
from agent.daemon.clock import ClockWatch
from agent.daemon.desk import AuditDesk
from agent.daemon.inbox import Inbox
from agent.daemon.latency import LatencyMeter
from agent.daemon.memory import StateFile
from agent.daemon.operator import OperatorDesk
from agent.daemon.passage import Passage
from agent.daemon.views import SnapshotMaker
from agent.daemon.workers import Supervisor
from agent.errors import AlarmCode
from agent.heap import Reserve
from agent.link import Hub, Peer
from agent.messages import Alarm, ModeOrder, Role, Setpoint, Shutdown, WorkerState
from agent.notify import Notifier

LATE_TICK_S: Final = 0.025
"""A tick happens at the latest this long after the last one, measurement or not."""
MISSED_TICK_S: Final = 0.060
"""A longer pause between two ticks is counted as a missed tick."""
SLOW_PERIOD_S: Final = 0.5
"""State file and worker alarms are looked after this often."""
SOURCE_FORGOTTEN_S: Final = 60.0
LISTENERS: Final = (Role.IED, Role.HMI, Role.UTILITY, Role.BUS, Role.FIELD)
"""Roles that hear every snapshot; operators' tools hear them when they ask."""


class ControlLoop:
    """Everything that the daemon does after its start."""

    def __init__(
        self,
        settings: Settings,
        parameters: Parameters,
        hub: Hub,
        supervisor: Supervisor,
        audit: AuditLog,
        notifier: Notifier,
        *,
        external_workers: bool,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._supervisor = supervisor
        self._notifier = notifier
        self._inbox = Inbox()
        self._alarms = AlarmBoard()
        self._latency = LatencyMeter()
        self._clock = ClockWatch()
        self._desk = AuditDesk(audit, self._inbox, hub)
        self._operator = OperatorDesk(
            settings, hub, supervisor, self._alarms, self._desk, external_workers=external_workers
        )
        self._passage = Passage(hub, self._inbox.reaches)
        hub.watch(audit.fileno(), audit.clear_wake)
        self._memory = StateFile(settings.gateway.state_dir / "control.state", parameters)
        self._views = SnapshotMaker()
        self._state: State = self._memory.load() or initial_state(parameters)
        self._stopping = ""
        self._last_tick_s = time.monotonic()
        self._next_tick_s = self._last_tick_s
        self._next_slow_s = 0.0
        self._missed_ticks = 0
        self._audit_head = self._desk.head
        self._reserve = Reserve(self._last_tick_s)

    def run(self) -> None:
        """Tick until `stop` or until a worker cannot start at all."""
        logger.info("control runs at {} Hz nominal", self._settings.grid.nominal_hz)
        while not self._stopping and self._supervisor.start_failure is None:
            self._turn()
        for peer in self._hub.peers:
            self._hub.send(peer, Shutdown(self._stopping or "a worker could not start"))
        self._memory.save(self._state)

    def stop(self, reason: str) -> None:
        """End `run` at its next turn."""
        self._stopping = reason

    def _turn(self) -> None:
        wake_s = min(self._next_tick_s, self._supervisor.due_s())
        events = self._hub.poll(wake_s - time.monotonic())
        for peer in events.joined:
            if peer.hello is not None:
                self._supervisor.mark_running(peer.hello.name)
                self._views.send_complete_next()
                self._operator.simulation.tell(peer)
        self._inbox.put(events)
        self._passage.carry(self._inbox.take_passing())
        for message in self._inbox.take_operator():
            self._state = self._operator.handle(message, self._state)
        self._supervisor.restart_due()
        self._desk.release()
        if self._inbox.measurements or time.monotonic() >= self._next_tick_s:
            self._tick()

    def _tick(self) -> None:
        now = Now(time.monotonic(), time.time(), self._clock.synchronised)
        self._notifier.feed(now.mono_s)
        self._count_missed(now)
        inputs = self._refuse_without_audit(self._inbox.take(), now)
        self._state, outputs = step(self._state, inputs, now)
        self._send((*outputs.setpoints, *outputs.modes))
        self._desk.record(inputs, outputs)
        self._alarm(outputs.alarms)
        self._alarm(self._inbox.take_alarms())
        self._publish(outputs, now)
        self._next_tick_s = min(max(outputs.next_wake_s, now.mono_s), now.mono_s + LATE_TICK_S)
        if now.mono_s >= self._next_slow_s:
            self._next_slow_s = now.mono_s + SLOW_PERIOD_S
            self._look_after(now)

    def _count_missed(self, now: Now) -> None:
        if now.mono_s - self._last_tick_s > MISSED_TICK_S:
            self._missed_ticks += 1
        self._last_tick_s = now.mono_s

    def _refuse_without_audit(self, inputs: Inputs, now: Now) -> Inputs:
        """Without a writable audit no remote order is taken; the droop goes on."""
        if not inputs.requests or self._desk.writable:
            return inputs
        kept = self._desk.refuse_remote(inputs.requests, now)
        return dataclasses.replace(inputs, requests=kept)

    def _send(self, orders: tuple[Setpoint | ModeOrder, ...]) -> None:
        batches: dict[int, tuple[Peer, list[Setpoint | ModeOrder]]] = {}
        for order in orders:
            owner = self._inbox.owner(order.evse_id)
            if owner is not None:
                batches.setdefault(id(owner), (owner, []))[1].append(order)
        for owner, batch in batches.values():
            self._hub.send_all(owner, batch)

    def _alarm(self, alarms: tuple[Alarm, ...] | list[Alarm]) -> None:
        for alarm in self._alarms.update(alarms):
            self._desk.alarm(alarm)

    def _publish(self, outputs: Outputs, now: Now) -> None:
        orders, readings = self._inbox.take_orders(), self._inbox.take_readings()
        for order in orders:
            self._latency.add(order)
        snapshot = self._views.make(
            outputs,
            now,
            alarms=self._alarms.active,
            workers=self._supervisor.health(),
            inbox=self._inbox,
            peers=self._hub.peers,
            latency=self._latency.view() if self._views.complete_due(now) else None,
            clock=self._clock.state,
            missed_ticks=self._missed_ticks,
            audit=self._audit_head,
            simulation=self._operator.simulation.accept,
        )
        for peer in self._hub.peers:
            if peer.hello is not None and (peer.watching or peer.hello.role in LISTENERS):
                self._hub.send(peer, snapshot)
                for message in (*orders, *readings) if peer.watching else ():
                    self._hub.send(peer, message)
        for peer in self._inbox.take_queries():
            self._hub.send(peer, self._views.complete(snapshot))

    def _look_after(self, now: Now) -> None:
        self._memory.save(self._state)
        self._reserve.look(now.mono_s)
        self._audit_head = self._desk.head
        self._inbox.forget_sources(now.mono_s - SOURCE_FORGOTTEN_S)
        if step_s := self._clock.step_s(now.utc_s, now.mono_s):
            self._desk.clock_step(step_s)
        for code, source, active, text, advice in self._own_conditions():
            changed = self._alarms.set(code, source, active, now.utc_s, text, advice)
            if changed is not None:
                self._desk.alarm(changed)

    def _own_conditions(self) -> Iterator[tuple[AlarmCode, str, bool, str, str]]:
        """Yield code, source, whether it holds, text and advice of the daemon's own alarms."""
        yield (
            AlarmCode.AUDIT_FAILED,
            "audit",
            not self._desk.writable,
            f"the audit log cannot be written ({self._desk.error}); remote orders are refused",
            "make room on the disk, or replace it; the log tries again by itself",
        )
        yield (
            AlarmCode.CLOCK_UNSYNCHRONISED,
            "clock",
            not self._clock.synchronised,
            f"the clock is not synchronised: {self._clock.state.reason}",
            "timedatectl set-ntp true, or a PTP service; signed dispatch is refused meanwhile",
        )
        yield (
            AlarmCode.SIMULATION,
            "LPHD.Sim",
            self._operator.simulation.accept,
            "simulated sampled values and GOOSE count as real ones",
            "operate LD0/LPHD1.Sim to false when the test is over",
        )
        for worker in self._supervisor.health():
            yield (
                AlarmCode.WORKER_DOWN,
                worker.name,
                worker.state is WorkerState.BACKOFF,
                f"worker {worker.name} is down ({worker.restarts} restarts)",
                "see the journal of this worker; the control goes on without its input",
            )
