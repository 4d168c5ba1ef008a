"""The state after a tick, as every reader sees it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from agent.errors import AlarmCode
from agent.messages.base import Message
from agent.messages.evses import EvseStatus
from agent.messages.measurements import Measurement, SubscriptionHealth, Verification
from agent.messages.requests import ControlRequest
from agent.messages.words import Authority, Role, WorkerState


class Alarm(Message, frozen=True):
    """A condition that someone must know of, with what to do about it."""

    _key_fields: ClassVar[tuple[str, ...]] = ("code", "source")

    code: AlarmCode
    active: bool
    source: str
    text: str
    advice: str
    since_utc_s: float
    acknowledged: bool = False


class WorkerHealth(Message, frozen=True):
    """State of one worker; `age_s` is the time since it was last heard."""

    _key_fields: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    role: Role
    state: WorkerState
    pid: int = 0
    restarts: int = 0
    age_s: float = 0.0
    counters: dict[str, float] = msgspec.field(default_factory=dict)


class EvseView(Message, frozen=True):
    """One EVSE in a `Snapshot`: what it said and what it was told."""

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id",)

    status: EvseStatus
    ordered_w: float
    reason: str
    up_w: float
    """Headroom for more export now. `down_w`: for more import (both magnitudes)."""
    down_w: float

    @property
    def evse_id(self) -> str:
        """Identity of the EVSE."""
        return self.status.evse_id


class LatencyView(Message, frozen=True):
    """Percentiles of the loop's own latency, in milliseconds; NaN before the first order."""

    count: int = 0
    p50_ms: float = float("nan")
    p99_ms: float = float("nan")


class LoopView(Message, frozen=True):
    """The control loop's inside, for HMI, MMS, audit and `v2g-ctl`."""

    mode: str
    nominal_hz: float
    deadband_hz: float
    droop_pu: float
    droop_w: float
    """Power that the droop asks for. `target_w`: after arbitration and limits."""
    target_w: float
    ordered_w: float
    delivered_w: float
    up_w: float
    down_w: float
    gain_w_per_hz: float
    gain_limit_w_per_hz: float
    gain_reason: str
    delay_s: float
    authority: Authority | None
    ticks: int
    missed_ticks: int
    setpoints_sent: int
    reason: str = ""
    own_limit_w_per_hz: float = float("inf")
    """What the delays alone allow, without a region's share of the gain."""


class Snapshot(Message, frozen=True):
    """The state after one tick.

    `evses` holds those that changed since the last snapshot, and all of them once a second
    (`complete` is then true).
    """

    t_utc_s: float
    mono_s: float
    measurement: Measurement | None
    loop: LoopView
    evses: tuple[EvseView, ...]
    complete: bool
    alarms: tuple[Alarm, ...]
    workers: tuple[WorkerHealth, ...]
    subscriptions: tuple[SubscriptionHealth, ...] = ()
    requests: tuple[ControlRequest, ...] = ()
    software_latency: LatencyView = LatencyView()
    settings: dict[str, float] = msgspec.field(default_factory=dict)
    clock_synchronised: bool = False
    clock_source: str = ""
    clock_reason: str = ""
    """Why the clock is not synchronised; empty where it is."""
    audit_seq: int = 0
    """Last record of the audit log that is on the disk. `audit_mac`: its code, hexadecimal."""
    audit_mac: str = ""
    sources: tuple[Measurement, ...] = ()
    """Newest report of every source; in complete snapshots only."""
    verifications: tuple[Verification, ...] = ()
    simulation: bool = False
    """Simulated sampled values and GOOSE are taken (LPHD.Sim)."""
