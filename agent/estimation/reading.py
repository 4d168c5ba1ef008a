"""What the filters make of one window of every stream: one matrix product for each bin in use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray, every
from agent.estimation.bank import BRIDGE, COLUMNS, DETECTOR, MAIN, FilterBank
from agent.estimation.phasors import frequency, frequency_and_rocof, sequences

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
        self._outputs = np.empty((PHASES, streams, bank.filters.shape[-1]), dtype=np.float32)
        self._currents = np.empty((channels - PHASES, streams, 2), dtype=np.float32)
        self._apply(np.arange(streams))

    def recentre(self, streams: NDArray[np.intp], bins: NDArray[np.intp]) -> None:
        """Read some streams again, with other bins."""
        self.bins[streams] = bins
        self._apply(streams)

    def _apply(self, streams: NDArray[np.intp]) -> None:
        bins = self.bins[streams]
        first = int(bins[0])
        if every(bins == first):
            self._apply_one(first, streams)
        else:
            for chosen in np.unique(bins).tolist():
                self._apply_one(chosen, streams[bins == chosen])
        self._solve()

    def _apply_one(self, chosen: int, streams: NDArray[np.intp]) -> None:
        """All filters to the voltages; of the currents only the phasors are wanted."""
        matrix, phasor = self._bank.filters[chosen], self._bank.filters.phasor(chosen)
        newest = self._window[PHASES:, :, -len(phasor) :]
        for rows, filters, outputs in (
            (self._window[:PHASES], matrix, self._outputs),
            (newest, phasor, self._currents),
        ):
            channels, everyone, length = rows.shape
            if not channels:
                continue
            if len(streams) == everyone:
                # Rows of the buffer in place: the usual case, one synchronous area.
                product = rows.reshape(channels * everyone, length) @ filters
                outputs[:] = product.reshape(outputs.shape)
            else:
                product = rows[:, streams].reshape(-1, length) @ filters
                outputs[:, streams] = product.reshape(channels, len(streams), -1)

    def _solve(self) -> None:
        self._functionals = _complex(self._outputs, COLUMNS)
        self._sequences: ComplexArray = sequences(self._functionals)
        self._positive: ComplexArray = self._sequences[0]
        self.centre_hz = self._bank.centre_hz(self.bins)
        self.f_main, self.rocof_main = frequency_and_rocof(self._positive[:, MAIN], self.centre_hz)
        self.f_bridge = frequency(self._positive[:, BRIDGE], self.centre_hz)

    @property
    def cycles(self) -> ComplexArray:
        """Positive-sequence p_0 of the newest three single cycles, (streams, 3)."""
        return self._positive[:, DETECTOR]

    @property
    def cycles_negative(self) -> ComplexArray:
        """Negative-sequence p_0 of the same cycles."""
        negative: ComplexArray = self._sequences[1][:, DETECTOR]
        return negative

    @property
    def phasors(self) -> ComplexArray:
        """p_0 of each channel at the centre of the bridge, (channels, streams)."""
        voltages = self._functionals[:, :, BRIDGE.start]
        if not len(self._currents):
            return voltages
        return np.concatenate([voltages, _complex(self._currents, 1)[:, :, 0]])

    @property
    def sequences(self) -> ComplexArray:
        """p_0 of the positive, negative and zero sequence there, (3, streams)."""
        return self._sequences[:, :, BRIDGE.start]

    @property
    def phase_rad(self) -> FloatArray:
        """Phase of the positive sequence at the estimation instant."""
        return np.angle(self._positive[:, MAIN.start])

    @property
    def fundamental(self) -> FloatArray:
        """Mean square of each voltage's fundamental over the newest cycle, (phases, streams)."""
        pair = self._outputs[..., 2 * COLUMNS :].astype(np.float64)
        power: FloatArray = (pair**2).sum(axis=-1)
        return power


def _complex(outputs: NDArray[np.float32], columns: int) -> ComplexArray:
    """Real parts and, behind them, imaginary parts as complex numbers."""
    numbers = np.empty((*outputs.shape[:-1], columns), dtype=np.complex128)
    numbers.real = outputs[..., :columns]
    numbers.imag = outputs[..., columns : 2 * columns]
    return numbers
