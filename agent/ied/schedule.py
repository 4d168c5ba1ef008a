"""One schedule (FSCH) as numbers: its entries, its state, its value at an instant. Pure.

IEC 61850-7-4:2020, 6.8.3 and IEC TR 61850-90-10: a schedule has entries of equal length from a
start time; it is enabled by EnaReq when it is consistent, and ends by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from agent.iec61850 import FC, ObjectReference, Timestamp
from agent.ied.port import Native, number, whole
from agent.scl.live import DataAttribute, LogicalNode


class ScheduleState(IntEnum):
    """ScheduleStateKind."""

    NOT_READY = 1
    START_TIME_REQUIRED = 2
    READY = 3
    RUNNING = 4


class EnablingError(IntEnum):
    """ScheduleEnablingErrorKind."""

    NONE = 1
    NUM_ENTR = 2
    SCHD_INTV = 3
    VALUES = 4
    START_TIME = 6


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a schedule's set points say.

    Attributes:
        values_w: Entries, watts. `interval_s`: length of each.
        starts_s: UTC start times, ascending. `priority`: the higher number rules.
        reuse: After its end it waits for another start time instead of being done.
    """

    values_w: tuple[float, ...]
    interval_s: float
    starts_s: tuple[float, ...]
    priority: int
    reuse: bool

    @property
    def length_s(self) -> float:
        """From start to end."""
        return self.interval_s * len(self.values_w)

    def error(self) -> EnablingError:
        """Why it cannot be enabled."""
        if not self.values_w:
            return EnablingError.NUM_ENTR
        if self.interval_s <= 0:
            return EnablingError.SCHD_INTV
        if not all(math.isfinite(value) for value in self.values_w):
            return EnablingError.VALUES
        return EnablingError.NONE

    def start_before(self, t_utc_s: float) -> float | None:
        """The start of the run that covers an instant."""
        begun = [s for s in self.starts_s if s <= t_utc_s < s + self.length_s]
        return max(begun, default=None)

    def next_start(self, t_utc_s: float) -> float | None:
        """The next start after an instant."""
        return min((s for s in self.starts_s if s > t_utc_s), default=None)

    def state(self, t_utc_s: float) -> ScheduleState:
        """State of the enabled schedule at an instant."""
        if self.start_before(t_utc_s) is not None:
            return ScheduleState.RUNNING
        if self.next_start(t_utc_s) is not None:
            return ScheduleState.READY
        has_run = bool(self.starts_s)
        waits = self.reuse or not has_run
        return ScheduleState.START_TIME_REQUIRED if waits else ScheduleState.NOT_READY

    def value(self, t_utc_s: float) -> tuple[float, float] | None:
        """Value at an instant and UTC end of its entry; None while it does not run."""
        start_s = self.start_before(t_utc_s)
        if start_s is None:
            return None
        index = min(int((t_utc_s - start_s) / self.interval_s), len(self.values_w) - 1)
        return self.values_w[index], start_s + (index + 1) * self.interval_s

    def next_change(self, t_utc_s: float) -> float | None:
        """The next instant at which state or value changes."""
        running = self.value(t_utc_s)
        return running[1] if running is not None else self.next_start(t_utc_s)


def read_schedule(
    device: str, node: LogicalNode, read: Callable[[ObjectReference], Native]
) -> Schedule:
    """The schedule that a node's set points describe now."""

    def setting(name: str, *path: str) -> Native | None:
        do = node.object(name)
        leaf = None if do is None else do.child(path[0])
        for below in path[1:]:
            leaf = leaf.child(below) if isinstance(leaf, DataAttribute) else None
        if not isinstance(leaf, DataAttribute):
            return None
        return read(ObjectReference(device, node.name, (name, *path), FC.SP))

    numbered = sorted(
        (do.name for do in node.objects if do.name.startswith(("ValASG", "ValING"))),
        key=lambda name: int(name[len("ValASG") :] or 1),
    )
    values = [
        setting(name, "setMag", "f") if name.startswith("ValASG") else setting(name, "setVal")
        for name in numbered
    ]
    count = whole(setting("NumEntr", "setVal") or 0)
    starts = [
        stamp.t_utc_s
        for do in node.objects
        if do.name.startswith("StrTm")
        and isinstance(stamp := setting(do.name, "setTm"), Timestamp)
        and stamp.seconds
    ]
    entries = values[:count] if 0 < count <= len(values) else []
    return Schedule(
        tuple(number(value) for value in entries if value is not None),
        number(setting("SchdIntv", "setVal") or 0),
        tuple(sorted(starts)),
        whole(setting("SchdPrio", "setVal") or 0),
        bool(setting("SchdReuse", "setVal")),
    )
