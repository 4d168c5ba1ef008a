"""The newest second of a group's samples, each in the place that its index says.

A place belongs to one index of the second that is kept: what waits for the estimator, and behind
it what has gone there, for the record of an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import every, some

CAPACITY_S: Final = 1.0
"""Half for samples that wait, half for those a record of an event begins with."""
CONFLICT: Final = 4
"""Mark of a sample that came twice with different values."""


class SampleGrid:
    """Values, arrivals and marks of samples; an arrival of 0 is a place without a sample.

    Attributes:
        capacity: Places of a row.
        values: (capacity, rows, channels). `arrival`, `marks`: (capacity, rows).
        conflicts: Samples of each row that came twice with different values.
        pushed: Index behind the newest sample that went to the estimator.
    """

    def __init__(self, rate_hz: int, rows: int, channels: int, start: int) -> None:
        self.capacity = int(CAPACITY_S * rate_hz)
        self.values = np.zeros((self.capacity, rows, channels), dtype=np.float32)
        self.arrival = np.zeros((self.capacity, rows))
        self.marks = np.zeros((self.capacity, rows), dtype=np.uint8)
        self.conflicts = np.zeros(rows, dtype=np.int64)
        self.pushed = self._start = start
        self._rows = rows
        self._turn = np.zeros(self.capacity * rows, dtype=np.uint32)
        self._flat_values = self.values.reshape(-1, channels)
        self._flat_arrival, self._flat_marks = self.arrival.reshape(-1), self.marks.reshape(-1)

    @property
    def oldest(self) -> int:
        """Index of the oldest sample that is still there."""
        return max(self._start, self.pushed - self.capacity // 2)

    @property
    def _room(self) -> int:
        """Index behind the newest sample that finds a place."""
        return self.pushed + self.capacity // 2

    def samples(self, row: int, begin: int, end: int) -> NDArray[np.float32]:
        """Return samples of a row that went to the estimator, NaN where missing.

        Args:
            row: Row of the stream.
            begin: First index, not before `oldest`.
            end: Index behind the last, at most `pushed`.

        Returns:
            (samples, channels).
        """
        places = np.arange(max(begin, self.oldest), end) % self.capacity
        samples: NDArray[np.float32] = self.values[places, row]
        return samples

    def fits(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which samples are neither too late nor too far ahead."""
        fits: NDArray[np.bool_] = (index >= self.pushed) & (index < self._room)
        return fits

    def put_in_order(
        self,
        line: NDArray[np.int64],
        arrival_s: NDArray[np.float64],
        values: NDArray[np.float32],
        marks: NDArray[np.uint8],
    ) -> bool:
        """Write samples that come in the order of the grid; the usual case.

        Args:
            line: Place of each, row after row, if the grid went on for ever.
            arrival_s: Bus time of its frame.
            values: (n, channels).
            marks: Those of its quality and synchronisation.

        Returns:
            Whether they do: one stretch of the grid that has room and holds nothing yet.
        """
        count, rows = len(line), self._rows
        if not count:
            return True
        first, last = int(line[0]), int(line[-1])
        if last != first + count - 1 or not every(line[1:] - line[:-1] == 1):
            return False
        if first < self.pushed * rows or last >= self._room * rows:
            return False
        begin = first % (self.capacity * rows)
        run = slice(begin, begin + count)
        if run.stop > len(self._flat_arrival) or some(self._flat_arrival[run]):
            return False
        self._flat_values[run] = values
        self._flat_arrival[run] = arrival_s
        self._flat_marks[run] = marks
        return True

    def put(
        self,
        row: NDArray[np.int64],
        index: NDArray[np.int64],
        arrival_s: NDArray[np.float64],
        values: NDArray[np.float32],
        marks: NDArray[np.uint8],
    ) -> None:
        """Write samples that fit, in any order; look for those that come a second time."""
        place = (index % self.capacity) * self._rows + row
        again = self._flat_arrival[place] > 0
        if some(again):
            marks[again] |= self._conflict(place[again], row[again], values[again])
        self._flat_values[place] = values
        self._flat_arrival[place] = arrival_s
        self._flat_marks[place] = marks
        turn = np.arange(len(place), dtype=np.uint32)
        self._turn[place] = turn
        if some(self._turn[place] != turn):
            twice = self._conflict(place, row, values) > 0
            self._flat_marks[place[twice]] |= CONFLICT

    def _conflict(
        self, place: NDArray[np.int64], row: NDArray[np.int64], values: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """`CONFLICT` where a place holds other values than these: one of two is forged."""
        there = self._flat_values[place]
        same = (there.view(np.uint32) == values.view(np.uint32)).all(axis=1)
        if not every(same):
            self.conflicts += np.bincount(row[~same], minlength=self._rows)
        return np.where(same, 0, CONFLICT).astype(np.uint8)

    def stretches(self, end: int) -> Iterator[slice]:
        """Yield the stretches of places up to an index, which then has gone to the estimator."""
        begin = self.pushed % self.capacity
        stop = begin + end - self.pushed
        yield slice(begin, min(stop, self.capacity))
        if stop > self.capacity:
            yield slice(0, stop - self.capacity)
        self.pushed = end
