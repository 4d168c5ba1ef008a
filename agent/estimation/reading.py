"""What the filters make of one window of every stream: one matrix product for each bin in use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray
from agent.estimation.bank import BRIDGE, COLUMNS, DETECTOR, MAIN, FilterBank
from agent.estimation.phasors import frequency_and_rocof, negative_sequence, positive_sequence

PHASES = 3


class Reading:
    """Filter outputs of all streams over one window, each stream with its own bin's filters."""

    def __init__(
        self, bank: FilterBank, window: NDArray[np.float32], bins: NDArray[np.intp]
    ) -> None:
        self._bank = bank
        self._window = window
        self.bins = bins
        channels, streams, _ = window.shape
        self._outputs = np.empty((channels, streams, bank.filters.shape[-1]), dtype=np.float32)
        self._apply(np.arange(streams))

    def recentre(self, streams: NDArray[np.intp], bins: NDArray[np.intp]) -> None:
        """Read some streams again, with other bins."""
        self.bins[streams] = bins
        self._apply(streams)

    def _apply(self, streams: NDArray[np.intp]) -> None:
        channels, everyone, length = self._window.shape
        bins = self.bins[streams]
        for chosen in np.unique(bins):
            matrix = self._bank.filters[chosen]
            members = streams[bins == chosen]
            if len(members) == everyone:
                # Rows of the buffer in place: the usual case, one synchronous area.
                rows = self._window.reshape(channels * everyone, length)
                self._outputs[:] = (rows @ matrix).reshape(self._outputs.shape)
            else:
                rows = self._window[:, members].reshape(-1, length)
                self._outputs[:, members] = (rows @ matrix).reshape(channels, len(members), -1)
        self._solve()

    def _solve(self) -> None:
        real = self._outputs[..., :COLUMNS].astype(np.float64)
        imaginary = self._outputs[..., COLUMNS : 2 * COLUMNS]
        self._functionals = real + 1j * imaginary
        self._positive = positive_sequence(self._functionals[:PHASES])
        self.centre_hz = self._bank.centre_hz(self.bins)
        self.f_main, self.rocof_main = frequency_and_rocof(self._positive[:, MAIN], self.centre_hz)
        self.f_bridge, _ = frequency_and_rocof(self._positive[:, BRIDGE], self.centre_hz)

    @property
    def cycles(self) -> ComplexArray:
        """Positive-sequence p_0 of the newest three single cycles, (streams, 3)."""
        return self._positive[:, DETECTOR]

    @property
    def cycles_negative(self) -> ComplexArray:
        """Negative-sequence p_0 of the same cycles."""
        return negative_sequence(self._functionals[:PHASES, :, DETECTOR])

    @property
    def phasors(self) -> ComplexArray:
        """p_0 of each channel at the centre of the bridge, (channels, streams)."""
        return self._functionals[:, :, BRIDGE.start]

    @property
    def phase_rad(self) -> FloatArray:
        """Phase of the positive sequence at the estimation instant."""
        return np.angle(self._positive[:, MAIN.start])

    @property
    def fundamental(self) -> FloatArray:
        """Mean square of each channel's fundamental over the newest cycle, (channels, streams)."""
        pair = self._outputs[..., 2 * COLUMNS :].astype(np.float64)
        power: FloatArray = (pair**2).sum(axis=-1)
        return power
