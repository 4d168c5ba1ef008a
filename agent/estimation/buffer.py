"""The newest samples of every stream as one matrix that a matrix product can read in place."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SLACK: Final = 4
"""Capacity in windows: one copy of the window for every three windows received."""


class SampleBuffer:
    """A sliding window over channels-major storage (channels, streams, samples).

    Appending writes to the right; when the storage is full the last window moves to its left
    end. A window is always one contiguous stretch of each row.
    """

    def __init__(self, channels: int, streams: int, window: int) -> None:
        self._window = window
        self._data = np.zeros((channels, streams, SLACK * window), dtype=np.float32)
        self._missing = np.zeros((2, streams, SLACK * window), dtype=bool)
        self._end = window

    def append(self, block: NDArray[np.float32], missing: NDArray[np.bool_] | bool) -> None:
        """Add the newest samples.

        Args:
            block: (channels, streams, n), every value finite, n at most one window.
            missing: (2, streams, n): which voltage and which current samples were predicted;
                False where none was.
        """
        count = block.shape[-1]
        if self._end + count > self._data.shape[-1]:
            self._move_left()
        place = slice(self._end, self._end + count)
        self._data[:, :, place] = block
        self._missing[:, :, place] = missing
        self._end += count

    def newest(self, count: int) -> NDArray[np.float32]:
        """View of the newest ``count`` samples, (channels, streams, count)."""
        return self._data[:, :, self._end - count : self._end]

    def missing(self, count: int) -> NDArray[np.bool_]:
        """Which of the newest ``count`` samples were predicted, (voltage | current, streams, n)."""
        return self._missing[:, :, self._end - count : self._end]

    def _move_left(self) -> None:
        kept = slice(self._end - self._window, self._end)
        for storage in (self._data, self._missing):
            storage[:, :, : self._window] = storage[:, :, kept]
        self._end = self._window
