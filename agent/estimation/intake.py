"""From pushed samples to a whole window: averaging to the engine's rate, gaps, clock state."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation import gaps
from agent.estimation.arrays import FloatArray, every, some
from agent.estimation.bank import SPAN_HZ
from agent.estimation.buffer import SampleBuffer
from agent.estimation.settings import Settings

VOLTAGES: Final = 3
CLOCK_FREE: Final = 0
CLOCK_GLOBAL: Final = 2
NEVER: Final = -(1 << 60)
IMPLAUSIBLE: Final = np.float32(1e9)
"""V or A that nothing on a bus carries; left out, so that no square of a sample overflows."""


class Intake:
    """Takes samples as they come; its window is always whole and finite."""

    def __init__(self, settings: Settings, channels: int, streams: int) -> None:
        self._decimation = settings.decimation
        self._rate_hz = settings.engine_rate_hz
        self._length = settings.window_samples
        self._period = math.ceil(self._rate_hz / (settings.nominal_hz - SPAN_HZ)) + 2
        self._buffer = SampleBuffer(channels, streams, self._length)
        self._rest = np.empty((channels, streams, 0), dtype=np.float32)
        self._last_gap = NEVER
        self._last_free = np.full(streams, NEVER, dtype=np.int64)
        self._last_local = np.full(streams, NEVER, dtype=np.int64)
        self._remarkable = NEVER
        """When anything but a sample of a global clock was last noted, for any stream."""
        self.count = 0
        """Engine samples received."""
        self.prediction = gaps.Prediction(
            phasor=np.zeros((channels, streams), dtype=np.complex128),
            f_hz=np.full(streams, float(settings.nominal_hz)),
            instant=0,
        )
        """What missing samples are predicted from; renewed after every report."""

    @property
    def raw_count(self) -> int:
        """Pushed samples that the window reflects; a part of an averaged group waits."""
        return self.count * self._decimation

    def take(self, samples: NDArray[np.float32]) -> None:
        """Add samples, (channels, streams, n); not finite or implausible means missing."""
        block = self._average(samples)
        if block.shape[-1] == 0:
            return
        missing: NDArray[np.bool_] | bool = False
        usable = np.abs(block) < IMPLAUSIBLE  # false where it is no number
        if not every(usable):
            whole = usable[:VOLTAGES].all(axis=0), usable[VOLTAGES:].all(axis=0)
            missing = ~np.stack(whole)
            history = self._buffer.newest(self._period)
            block = np.where(usable, block, np.float32(np.nan))
            block = gaps.fill(history, block, self.prediction, self.count, self._rate_hz)
            self._last_gap = self._remarkable = self.count + block.shape[-1]
        self._buffer.append(block, missing)
        self.count += block.shape[-1]

    def note_clock(self, smp_synch: NDArray[np.integer]) -> None:
        """Remember which streams' samples were taken without a global clock, as of now."""
        local = smp_synch != CLOCK_GLOBAL
        if some(local):
            self._last_free[smp_synch == CLOCK_FREE] = self.count
            self._last_local[local] = self.count
            self._remarkable = max(self._remarkable, self.count)

    @property
    def calm(self) -> bool:
        """Whether the window holds nothing but samples of a global clock, of every stream."""
        return self.count - self._remarkable >= self._length

    @property
    def clock_free(self) -> NDArray[np.bool_]:
        """Streams whose window holds samples of a free-running clock."""
        free: NDArray[np.bool_] = self.count - self._last_free < self._length
        return free

    @property
    def clock_local(self) -> NDArray[np.bool_]:
        """Streams whose window holds samples not synchronised to a global clock."""
        local: NDArray[np.bool_] = self.count - self._last_local < self._length
        return local

    @property
    def window(self) -> NDArray[np.float32]:
        """The main window, (channels, streams, N)."""
        return self._buffer.newest(self._length)

    def newest(self, count: int) -> NDArray[np.float32]:
        """The newest ``count`` engine samples."""
        return self._buffer.newest(count)

    def missing_shares(self) -> FloatArray:
        """Share of the main window that is predicted, (voltage | current, streams)."""
        missing = self._buffer.missing(self._length)
        if self.count - self._last_gap >= self._length:
            return np.zeros(missing.shape[:2])
        shares: FloatArray = missing.mean(axis=-1)
        return shares

    def _average(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Means of whole groups; a group with a missing sample is missing."""
        if self._decimation == 1:
            return samples
        pending = np.concatenate([self._rest, samples], axis=-1)
        groups = pending.shape[-1] // self._decimation
        used = groups * self._decimation
        self._rest = pending[..., used:]
        grouped = pending[..., :used].reshape(*pending.shape[:2], groups, self._decimation)
        means: NDArray[np.float32] = grouped.mean(axis=-1)
        return means
