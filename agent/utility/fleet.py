"""The fleet as the control's snapshots show it, complete and with its age."""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent.messages import EvseView, Snapshot


class FleetView:
    """Every EVSE and the state of the control.

    A snapshot holds what changed; once a second it holds everything, and what is not in it any
    more is gone.

    Attributes:
        snapshot: The newest one; None before the first.
        heard_s: Monotonic arrival of the newest one.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.heard_s = -math.inf
        self._evses: dict[str, EvseView] = {}
        self._complete = False

    def __iter__(self) -> Iterator[EvseView]:
        return iter(tuple(self._evses.values()))

    def __len__(self) -> int:
        return len(self._evses)

    @property
    def complete(self) -> bool:
        """Every EVSE that the control knows has been seen."""
        return self._complete

    def get(self, evse_id: str) -> EvseView | None:
        """Return one EVSE, or None where the control does not know it."""
        return self._evses.get(evse_id)

    def age_s(self, now_s: float) -> float:
        """Return the time since the control was last heard."""
        return now_s - self.heard_s

    @property
    def delivered_w(self) -> float:
        """Power of all EVSEs, positive exports; those that say nothing count as zero."""
        return sum(view.status.p_w or 0.0 for view in self._evses.values())

    def take(self, snapshot: Snapshot, now_s: float) -> None:
        """Take one snapshot."""
        self.snapshot, self.heard_s = snapshot, now_s
        if snapshot.complete:
            self._evses = {view.evse_id: view for view in snapshot.evses}
            self._complete = True
        else:
            self._evses.update((view.evse_id, view) for view in snapshot.evses)

    def forget(self) -> None:
        """The control is gone; a new one may know other EVSEs."""
        self._complete = False
