"""Snapshots → telemetry at even rates."""

from __future__ import annotations

import math
from collections.abc import Callable

from agent.config.bus import Bus
from agent.messages import EvseView, Snapshot
from agent.utility.bus import profiles
from agent.utility.bus.energy import Stock, stock
from agent.utility.bus.identity import EVSE_READING, EVSE_STATUS, READING, STATUS, Identity

Put = Callable[[float, str, bytes], None]


class Sampler:
    """Decides which snapshot becomes which message.

    Samples lie on a grid of UTC: the first snapshot in each period is taken. A clock that is
    stepped moves the grid and stops nothing.

    Args:
        settings: Periods.
        soc_window_pct: The site's lowest and highest state of charge.
        put: Takes (UTC seconds, profile, payload).
    """

    def __init__(
        self,
        settings: Bus,
        identity: Identity,
        soc_window_pct: tuple[float, float],
        put: Put,
    ) -> None:
        self._identity, self._put = identity, put
        self._window = soc_window_pct
        self._reading = _Grid(1.0 / settings.reading_hz)
        self._evses = _Grid(settings.evse_s)
        self._status = _Grid(settings.status_s)
        self._views: dict[str, EvseView] = {}
        self._told: dict[str, tuple[object, ...]] = {}
        self.samples = 0

    @property
    def views(self) -> tuple[EvseView, ...]:
        """The last known state of every EVSE."""
        return tuple(self._views.values())

    def stock(self) -> Stock:
        """Return the energy of the vehicles."""
        return stock(self._views.values(), *self._window)

    def take(self, snapshot: Snapshot) -> None:
        """Take one snapshot and put what is due."""
        if snapshot.complete:
            self._views.clear()
        self._views.update((view.evse_id, view) for view in snapshot.evses)
        if self._reading.due(snapshot.t_utc_s):
            self.samples += 1
            self._put(snapshot.t_utc_s, READING, profiles.site_reading(self._identity, snapshot))
        if not self._views:
            return
        evses, status = self._evses.due(snapshot.t_utc_s), self._status.due(snapshot.t_utc_s)
        if status:
            self._told.clear()
            payload = profiles.site_status(self._identity, snapshot, self.stock())
            self._put(snapshot.t_utc_s, STATUS, payload)
        if evses:
            for payload in profiles.evse_readings(self._identity, snapshot, self.views):
                self._put(snapshot.t_utc_s, EVSE_READING, payload)
        if evses or status:
            self._tell_changed(snapshot)

    def _tell_changed(self, snapshot: Snapshot) -> None:
        """Tell the states of EVSEs that changed since they were told; of all when none was."""
        states = {name: _state(view) for name, view in self._views.items()}
        changed = [self._views[name] for name, s in states.items() if self._told.get(name) != s]
        self._told = states
        for payload in profiles.evse_states(self._identity, snapshot, changed):
            self._put(snapshot.t_utc_s, EVSE_STATUS, payload)


def _state(view: EvseView) -> tuple[object, ...]:
    status = view.status
    return (
        status.online,
        status.plugged,
        status.fault,
        status.departure_utc_s,
        profiles.charging_state(view),
    )


class _Grid:
    """Periods of UTC."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._last = -1

    def due(self, utc_s: float) -> bool:
        """Whether `utc_s` lies in another period than the last one that was due."""
        # A snapshot of the very instant of a border must not fall before it by rounding.
        number = math.floor(utc_s / self._period_s + 1e-4)
        if number == self._last:
            return False
        self._last = number
        return True
