"""What the filters make of one window of every stream: one matrix product for each bin in use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray, alike
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
        self.common = int(bins[0]) if alike(bins) else None
        """The bin of all streams where they share one: one synchronous area, the usual case."""
        if self.common is not None:
            self._outputs, self._currents = self._products(self.common)
            self._solve()
            return
        channels, streams, _ = window.shape
        self._outputs = np.empty((PHASES, streams, bank.filters.shape[-1]), dtype=np.float32)
        self._currents = np.empty((channels - PHASES, streams, 2), dtype=np.float32)
        self._apply(np.arange(streams))

    def recentre(self, streams: NDArray[np.intp], bins: NDArray[np.intp]) -> None:
        """Read some streams again, with other bins."""
        self.bins[streams] = bins
        self.common = int(self.bins[0]) if alike(self.bins) else None
        self._apply(streams)

    def _apply(self, streams: NDArray[np.intp]) -> None:
        bins = self.bins[streams]
        for chosen in np.unique(bins).tolist():
            mine = streams[bins == chosen]
            self._outputs[:, mine], self._currents[:, mine] = self._products(chosen, mine)
        self._solve()

    def _products(
        self, chosen: int, streams: NDArray[np.intp] | slice = slice(None)
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """All filters on the voltages; of the currents only the phasors are wanted."""
        matrix, phasor = self._bank.filters[chosen], self._bank.filters.phasor(chosen)
        voltages = self._window[:PHASES, streams]
        currents = self._window[PHASES:, streams, -len(phasor) :]
        return _product(voltages, matrix), _product(currents, phasor)

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
        positive = self._positive[:, MAIN.start]
        return np.arctan2(positive.imag, positive.real)

    @property
    def fundamental_pair(self) -> NDArray[np.float32]:
        """Two numbers of each voltage over the newest cycle, (phases, streams, 2).

        Their squares sum to the mean square of its fundamental.
        """
        return self._outputs[..., 2 * COLUMNS :]


def _product(rows: NDArray[np.float32], filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (channels, streams, n) times filters (n, columns); in place where rows are whole."""
    channels, streams, length = rows.shape
    flat = rows.reshape(channels * streams, length)
    return (flat @ filters).reshape(channels, streams, filters.shape[-1])


def _complex(outputs: NDArray[np.float32], columns: int) -> ComplexArray:
    """Real parts and, behind them, imaginary parts as complex numbers."""
    numbers = np.empty((*outputs.shape[:-1], columns), dtype=np.complex128)
    numbers.real = outputs[..., :columns]
    numbers.imag = outputs[..., columns : 2 * columns]
    return numbers
