"""ROCOF for a trip: averaged, because a single window spikes to tens of Hz/s in a phase step."""

from __future__ import annotations

import numpy as np

from agent.estimation.arrays import FloatArray, Mask, every


class RocofAverage:
    """Mean ROCOF over a fixed time: (f(t) - f(t - w)) / w of the published frequency."""

    def __init__(self, streams: int, window_s: float, ticks_per_second: float) -> None:
        self._ticks = max(1, round(window_s * ticks_per_second))
        self._f_hz = np.full((self._ticks + 1, streams), np.nan)
        self._instant_s = np.zeros(self._ticks + 1)
        self._count = 0
        self._unbroken = 0
        """Newest frequencies that were measured of every stream."""

    def average(self, instant_s: float, f_hz: FloatArray, measured: Mask) -> FloatArray:
        """Add one frequency and give the mean ROCOF; NaN until the window is all measured."""
        length = self._ticks + 1
        newest, oldest = self._count % length, (self._count + 1) % length
        whole = every(measured)
        self._unbroken = self._unbroken + 1 if whole else 0
        self._f_hz[newest] = f_hz if whole else np.where(measured, f_hz, np.nan)
        self._instant_s[newest] = instant_s
        self._count += 1
        if self._count < length:
            return np.full(f_hz.shape, np.nan)
        elapsed_s = instant_s - self._instant_s[oldest]
        rate: FloatArray = (self._f_hz[newest] - self._f_hz[oldest]) / elapsed_s
        if self._unbroken >= length:
            return rate
        return np.where(np.isfinite(self._f_hz).all(axis=0), rate, np.nan)
