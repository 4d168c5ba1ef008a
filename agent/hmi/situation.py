"""What the page shows now, gathered from the snapshots; the newest value wins."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from agent.messages import EvseView, Measurement, Snapshot

TRACE_S: Final = 120.0


class TracePoint(NamedTuple):
    """One point of the traces; None where nothing is known.

    Attributes:
        t_utc_s: The page's instant.
        delivered_w: Positive exports, as all powers.
    """

    t_utc_s: float
    f_hz: float | None
    target_w: float | None
    ordered_w: float | None
    delivered_w: float | None


class Situation:
    """The newest snapshot, every EVSE, and the traces of the last two minutes.

    Args:
        frames_per_s: `trace` is called this often.
    """

    def __init__(self, frames_per_s: int) -> None:
        self.snapshot: Snapshot | None = None
        self.evses: dict[str, EvseView] = {}
        self.sources: tuple[Measurement, ...] = ()
        self.sources_s = 0.0
        self.points: deque[TracePoint] = deque(maxlen=round(TRACE_S * frames_per_s))
        self._changed: set[str] = set()
        self._gone: set[str] = set()

    def take(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot."""
        views = {view.evse_id: view for view in snapshot.evses}
        self._changed.update(n for n, view in views.items() if self.evses.get(n) != view)
        if snapshot.complete:
            gone = self.evses.keys() - views.keys()
            self._gone |= gone
            self._changed -= gone
            self.evses = views
            self.sources, self.sources_s = snapshot.sources, snapshot.mono_s
        else:
            self.evses |= views
        self._gone -= views.keys()
        self.snapshot = snapshot

    def take_changed(self) -> tuple[Sequence[EvseView], Sequence[str]]:
        """Return the EVSEs that changed since the last call, and the names of those gone."""
        changed = [self.evses[name] for name in sorted(self._changed)]
        gone = sorted(self._gone)
        self._changed, self._gone = set(), set()
        return changed, gone

    def trace(self, now_utc_s: float, age_s: float) -> TracePoint:
        """Add a point of the traces and return it.

        Args:
            now_utc_s: The wall clock.
            age_s: Age of the snapshot; an old one leaves a gap.
        """
        snapshot = self.snapshot
        if snapshot is None or age_s > STALE_S:
            point = TracePoint(now_utc_s, None, None, None, None)
        else:
            loop, measured = snapshot.loop, snapshot.measurement
            fresh = measured is not None and snapshot.mono_s - measured.published_s <= STALE_S
            f_hz = measured.f_hz if measured is not None and fresh else None
            powers = (loop.target_w, loop.ordered_w, loop.delivered_w)
            point = TracePoint(now_utc_s, f_hz, *powers)
        self.points.append(point)
        return point


STALE_S: Final = 1.0
"""Without a snapshot or a report for so long, the page shows that it knows nothing."""
