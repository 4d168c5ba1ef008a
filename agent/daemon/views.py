"""Make the snapshot that HMI, IED, audit and tools see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from agent.audit import Head
from agent.clock import ClockState
from agent.control import Now, Outputs
from agent.daemon.inbox import Inbox
from agent.link import Peer
from agent.messages import (
    Alarm,
    EvseView,
    LatencyView,
    Measurement,
    Snapshot,
    WorkerHealth,
    WorkerState,
)

COMPLETE_PERIOD_S: Final = 1.0


class SnapshotMaker:
    """Keeps the last view of every EVSE; sends changes at once and all of them every second."""

    def __init__(self) -> None:
        self._views: dict[str, EvseView] = {}
        self._measurement: Measurement | None = None
        self._latency = LatencyView()
        self._complete_at_s = 0.0

    def complete_due(self, now: Now) -> bool:
        """The next snapshot holds every EVSE."""
        return now.mono_s >= self._complete_at_s

    def send_complete_next(self) -> None:
        """Somebody joined and has seen nothing yet."""
        self._complete_at_s = 0.0

    def make(
        self,
        outputs: Outputs,
        now: Now,
        *,
        alarms: tuple[Alarm, ...],
        workers: Sequence[WorkerHealth],
        inbox: Inbox,
        peers: Sequence[Peer],
        latency: LatencyView | None,
        clock: ClockState,
        missed_ticks: int,
        audit: Head,
        simulation: bool,
    ) -> Snapshot:
        """Return the snapshot of this tick."""
        self._measurement = outputs.measurement or self._measurement
        self._latency = latency or self._latency
        self._views.update((view.evse_id, view) for view in outputs.evses)
        complete = self.complete_due(now)
        if complete:
            self._complete_at_s = now.mono_s + COMPLETE_PERIOD_S
        return Snapshot(
            t_utc_s=now.utc_s,
            mono_s=now.mono_s,
            measurement=self._measurement,
            loop=msgspec.structs.replace(outputs.loop, missed_ticks=missed_ticks),
            evses=tuple(self._views.values()) if complete else outputs.evses,
            complete=complete,
            alarms=alarms,
            workers=_with_links(workers, inbox, peers, now),
            subscriptions=tuple(inbox.subscriptions.values()),
            requests=outputs.requests,
            software_latency=self._latency,
            settings=outputs.settings,
            clock_synchronised=now.clock_synchronised,
            clock_source=clock.source,
            clock_reason=clock.reason,
            audit_seq=audit.seq,
            audit_mac=audit.mac,
            sources=tuple(inbox.sources.values()) if complete else (),
            verifications=tuple(inbox.verifications.values()),
            simulation=simulation,
        )

    def complete(self, snapshot: Snapshot) -> Snapshot:
        """Return the same snapshot with every EVSE in it."""
        return msgspec.structs.replace(snapshot, evses=tuple(self._views.values()), complete=True)


def _with_links(
    workers: Sequence[WorkerHealth], inbox: Inbox, peers: Sequence[Peer], now: Now
) -> tuple[WorkerHealth, ...]:
    """Add what the links know: age and counters; and workers that systemd started."""
    linked = {p.hello.name: p for p in peers if p.hello is not None and not p.watching}
    known = {worker.name: worker for worker in workers}
    for name, peer in linked.items():
        if name not in known and peer.hello is not None and name in inbox.counters:
            known[name] = WorkerHealth(name, peer.hello.role, WorkerState.RUNNING, peer.pid)
    return tuple(
        msgspec.structs.replace(
            worker,
            age_s=now.mono_s - linked[name].heard_s if name in linked else worker.age_s,
            counters=inbox.counters.get(name, {}),
        )
        for name, worker in known.items()
    )
