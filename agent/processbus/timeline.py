"""One time axis for the process bus that a stepped clock cannot bend.

Frames carry UTC stamps of this machine's clock. When someone steps that clock, samples must not
seem to jump: bus time is the monotonic clock plus an offset fixed at the start. What the step
tells about UTC goes into the labels of the reports only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Instants = TypeVar("Instants", float, NDArray[np.float64])
"""One instant or many, in seconds."""
NS: Final = 1e-9
STEP_S: Final = 1e-3
"""A clock that moves so far between two looks was set."""
LONGEST_QUEUE_S: Final = 5.0
"""A frame is taken out of the ring at most this long after it came."""


class FileTimeline:
    """Bus time of a capture file: its own time stamps."""

    def bus_s(self, time_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return stamps in bus time."""
        stamps_s: NDArray[np.float64] = time_ns.astype(np.float64) * NS
        return stamps_s

    def utc_s(self, bus_s: float) -> float:
        """Return the UTC label of a bus time."""
        return bus_s

    def monotonic_s(self, bus_s: Instants) -> Instants:
        """Return a bus time as an instant to subtract from others of this file."""
        return bus_s


class LiveTimeline:
    """Bus time of a running capture.

    Args:
        monotonic: CLOCK_MONOTONIC, seconds. `utc`: CLOCK_REALTIME, seconds.
    """

    def __init__(self, monotonic: Callable[[], float], utc: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._utc = utc
        self._fixed_s = self._offset_s = utc() - monotonic()
        self._before_s = self._fixed_s
        self._stepped_s = -math.inf
        """When the clock was seen to have been set, and its offset until then."""

    def now_s(self) -> float:
        """Return the bus time now."""
        return self._monotonic() + self._fixed_s

    def bus_s(self, time_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return stamps in bus time; those from before a step are read with the old offset."""
        now_s = self._monotonic()
        offset_s = self._utc() - now_s
        if abs(offset_s - self._offset_s) > STEP_S:
            self._before_s, self._stepped_s = self._offset_s, now_s
        self._offset_s = offset_s
        latest_s = now_s + self._fixed_s
        stamps_s: NDArray[np.float64] = time_ns.astype(np.float64) * NS
        bus_s = stamps_s + (self._fixed_s - offset_s)
        if now_s - self._stepped_s < LONGEST_QUEUE_S:
            stale = (bus_s > latest_s + STEP_S) | (bus_s < latest_s - LONGEST_QUEUE_S)
            np.copyto(bus_s, stamps_s + (self._fixed_s - self._before_s), where=stale)
        return np.minimum(bus_s, latest_s, out=bus_s)

    def utc_s(self, bus_s: float) -> float:
        """Return the UTC label of a bus time: whole seconds come from the clock as it is now.

        The fraction of a second is the merging unit's and stays.
        """
        return bus_s + round(self._offset_s - self._fixed_s)

    def monotonic_s(self, bus_s: Instants) -> Instants:
        """Return a bus time on CLOCK_MONOTONIC."""
        return bus_s - self._fixed_s


Timeline = FileTimeline | LiveTimeline
