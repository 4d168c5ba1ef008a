"""One frame for all viewers: written once as JSON, sent to each; the slow ones miss frames.

Every part of a frame has a version. Whoever has the version before the newest gets what changed;
whoever missed one gets the whole part, which is written at most once a version too. So a viewer
costs a copy of bytes, and a slow one never makes anything wait or grow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.hmi import frames
from agent.hmi.situation import Situation
from agent.messages import Snapshot

EVSE_PERIOD_S: Final = 0.2
HEALTH_PERIOD_S: Final = 1.0


class Part:
    """One part of the stream with its newest version."""

    def __init__(self) -> None:
        self.version = 0
        self._delta = b""
        self._whole: bytes | None = None
        self._make: Callable[[], bytes] = bytes

    def publish(self, delta: bytes, make_whole: Callable[[], bytes]) -> None:
        """Take a new version: what changed, and how the whole is made if somebody needs it."""
        self.version += 1
        self._delta, self._whole, self._make = delta, None, make_whole

    def since(self, version: int) -> bytes:
        """Return what a viewer with this version lacks."""
        if version == self.version:
            return b""
        if version == self.version - 1 and version > 0:
            return self._delta
        if self._whole is None:
            self._whole = self._make()
        return self._whole


@dataclass(slots=True, eq=False)
class Viewer:
    """One open page: what it has, and how it is doing."""

    frame: int = 0
    evses: int = 0
    alarms: int = 0
    health: int = 0
    missed: int = 0
    began_s: float = field(default_factory=time.monotonic)


class Broadcaster:
    """Makes the frames.

    Args:
        situation: Where the values come from.
        frames_per_s: Rate.

    Attributes:
        frame: Number of the newest frame. `missed`: frames that viewers missed, together.
    """

    def __init__(self, situation: Situation, frames_per_s: int) -> None:
        self._situation = situation
        self._period_s = 1.0 / frames_per_s
        self._live = b""
        self._evses, self._alarms, self._health = Part(), Part(), Part()
        self._shown: Any = None
        self._evses_due_s = self._health_due_s = 0.0
        self._next: asyncio.Future[None] | None = None
        self.viewers: set[Viewer] = set()
        self.frame = 0
        self.missed = 0

    async def run(self) -> None:
        """Publish frames at the rate; a late one is not made up for."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s = max(due_s + self._period_s, loop.time() - self._period_s)
            await asyncio.sleep(due_s - loop.time())
            self.publish(time.time(), time.monotonic())

    def publish(self, now_utc_s: float, now_s: float) -> None:
        """Make one frame; nothing is written as JSON while nobody looks."""
        situation = self._situation
        snapshot = situation.snapshot
        age_s = now_s - snapshot.mono_s if snapshot is not None else 0.0
        point = situation.trace(now_utc_s, age_s)
        self.frame += 1
        if self.viewers:
            self._live = frames.event("live", frames.live(situation, point, age_s))
            if snapshot is not None:
                self._publish_parts(snapshot, now_s)
        if self._next is not None:
            self._next.set_result(None)
            self._next = None

    async def next_frame(self) -> None:
        """Wait for a newer frame."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)

    def opening(self) -> bytes:
        """Return what a page needs first: the traces so far."""
        return frames.event("trace", frames.trace(self._situation.points))

    def since(self, viewer: Viewer) -> bytes:
        """Return what a viewer lacks, and take note that it has it."""
        if viewer.frame:
            skipped = max(0, self.frame - viewer.frame - 1)
            viewer.missed += skipped
            self.missed += skipped
        parts = (
            self._live,
            self._evses.since(viewer.evses),
            self._alarms.since(viewer.alarms),
            self._health.since(viewer.health),
        )
        viewer.frame = self.frame
        viewer.evses, viewer.alarms = self._evses.version, self._alarms.version
        viewer.health = self._health.version
        return b"".join(parts)

    def _publish_parts(self, snapshot: Snapshot, now_s: float) -> None:
        situation = self._situation
        if now_s >= self._evses_due_s:
            self._evses_due_s = now_s + EVSE_PERIOD_S - self._period_s / 2
            changed, gone = situation.take_changed()
            if changed or gone or not self._evses.version:
                delta = frames.event("evses", frames.evses(changed, gone, complete=False))
                self._evses.publish(delta, self._all_evses)
        shown = (snapshot.alarms, snapshot.requests)
        if shown != self._shown or not self._alarms.version:
            self._shown = shown
            whole = frames.event("alarms", frames.alarms(snapshot))
            self._alarms.publish(whole, lambda: whole)
        if now_s >= self._health_due_s:
            self._health_due_s = now_s + HEALTH_PERIOD_S - self._period_s / 2
            text = frames.event("health", frames.health(situation, snapshot))
            self._health.publish(text, lambda: text)

    def _all_evses(self) -> bytes:
        views = sorted(self._situation.evses.values(), key=lambda view: view.evse_id)
        return frames.event("evses", frames.evses(views, (), complete=True))
