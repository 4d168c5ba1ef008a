"""All filters of one setting: one real matrix for each 0.1 Hz bin, designed when first needed.

Multiplying a window of real samples (channels in rows) with a bin's matrix gives every number
that a report needs, so one matrix product serves all streams whose frequency is in that bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray
from agent.estimation.blue import Designer, Window
from agent.estimation.interference import BIN_HZ
from agent.estimation.settings import Settings, odd_length

SPAN_HZ: Final = 5.6
"""Bins reach this far from nominal; class M is tested to ±5 Hz."""

READY_HZ: Final = 0.3
"""Bins this near to nominal are designed at once: where a grid is when a process starts."""

BRIDGE_CYCLES: Final = 3
BRIDGE_NOISE: Final = 1e-5
DETECTOR_NOISE: Final = 1e-4

# Complex columns, in this order.
DETECTOR = slice(0, 3)
"""One-cycle phasors: newest, one and two cycles earlier."""
BRIDGE = slice(3, 6)
"""p0, p1, p2 of the newest three cycles."""
MAIN = slice(6, 9)
"""p0, p1, p2 of the main window at the estimation instant."""
COLUMNS: Final = 9


class BinDesigner:
    """Designs the filters of one bin: detector, bridge, main window and fundamental."""

    def __init__(self, settings: Settings) -> None:
        spacing_s = 1 / settings.engine_rate_hz
        nominal_hz = settings.nominal_hz
        self._settings = settings
        self._spacing_s = spacing_s
        self.rows = settings.window_samples
        self.bridge = bridge_samples(settings)
        self._detector = Designer(
            Window(odd_length(settings.samples_per_cycle), spacing_s, settings.decimation),
            nominal_hz,
            DETECTOR_NOISE,
            orders=(0,),
        )
        self._bridge = Designer(
            Window(bridge_samples(settings), spacing_s, settings.decimation),
            nominal_hz,
            BRIDGE_NOISE,
            orders=(1, 2, 2),
        )
        self._main = Designer(
            main_window(settings),
            nominal_hz,
            settings.preset.noise,
            orders=(2, 2, 2),
            out_of_band=True,
        )
        self._lags = [round(cycles * settings.samples_per_cycle) for cycles in range(3)]

    def matrix(self, centre_hz: float) -> FloatArray:
        """Return the matrix of the bin around ``centre_hz``, (N, 2·COLUMNS + 2)."""
        columns = np.zeros((self.rows, COLUMNS), dtype=np.complex128)
        one_cycle = self._detector.filters(centre_hz)[0]
        for column, lag in enumerate(self._lags):
            place(columns[:, column], one_cycle, lag)
        for column, row in enumerate(self._bridge.filters(centre_hz)):
            place(columns[:, BRIDGE.start + column], row)
        columns[:, MAIN] = self._main.filters(centre_hz).T
        fundamental = np.zeros((self.rows, 2))
        pair = fundamental_pair(
            cycle_weights(self._settings, centre_hz), centre_hz * self._spacing_s
        )
        fundamental[-len(pair) :] = pair
        return np.hstack([columns.real, columns.imag, fundamental])


class BinMatrices:
    """One matrix a bin. A bin that is asked for before its turn is designed there and then.

    Safe to fill from a second thread: a matrix is complete before it can be seen, and two
    threads that design the same bin write the same numbers.
    """

    def __init__(self, designer: BinDesigner, centres_hz: FloatArray) -> None:
        self._designer = designer
        self._centres_hz = centres_hz
        self._matrices: list[NDArray[np.float32] | None] = [None] * len(centres_hz)
        self._phasors: dict[int, NDArray[np.float32]] = {}
        self._order = np.argsort(np.abs(centres_hz - centres_hz[len(centres_hz) // 2]))
        self.shape = (len(centres_hz), designer.rows, 2 * COLUMNS + 2)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        matrix = self._matrices[index]
        if matrix is None:
            designed = self._designer.matrix(float(self._centres_hz[index]))
            matrix = self._matrices[index] = designed.astype(np.float32)
        return matrix

    def phasor(self, index: int) -> NDArray[np.float32]:
        """Return the pair of columns that gives p0 of the bridge, (samples of the bridge, 2)."""
        pair = self._phasors.get(index)
        if pair is None:
            columns = self[index][-self._designer.bridge :, [BRIDGE.start, COLUMNS + BRIDGE.start]]
            pair = self._phasors[index] = np.ascontiguousarray(columns)
        return pair

    def design_next(self) -> bool:
        """Design the missing bin that is nearest to nominal; False when none is missing."""
        missing = next((i for i in self._order if self._matrices[i] is None), None)
        if missing is None:
            return False
        self[int(missing)]
        return True


@dataclass(frozen=True, slots=True)
class FilterBank:
    """Filters and one-cycle weights for every bin.

    Attributes:
        filters: By bin, (N, 2·COLUMNS + 2): real parts, imaginary parts, then the pair of columns
            whose squares sum to the mean square of the fundamental over the newest cycle.
        cycle_weights: (bins, samples of the longest cycle): weights of the mean over one actual
            cycle, aligned on the newest sample.
        bridge_delay: Engine samples from the centre of the bridge to the newest sample.
        nominal_bin: Index of the bin at nominal frequency.
        nominal_hz: Its frequency.
    """

    filters: BinMatrices
    cycle_weights: NDArray[np.float32]
    bridge_delay: int
    nominal_bin: int
    nominal_hz: float

    def centre_hz(self, bins: NDArray[np.intp]) -> FloatArray:
        """f̂ of each bin."""
        centre: FloatArray = self.nominal_hz + BIN_HZ * (bins - self.nominal_bin)
        return centre

    def nearest(self, f_hz: FloatArray) -> NDArray[np.intp]:
        """The bin nearest to each frequency, clipped to the span."""
        offset = np.rint((f_hz - self.nominal_hz) / BIN_HZ)
        limited = np.clip(np.nan_to_num(offset), -self.nominal_bin, self.nominal_bin)
        bins: NDArray[np.intp] = self.nominal_bin + limited.astype(np.intp)
        return bins


@lru_cache(maxsize=8)
def filter_bank(nominal_hz: int, samples_per_second: int, filter_name: str) -> FilterBank:
    """Return the bank, with the bins around nominal designed; shared by all of one setting."""
    settings = Settings(
        nominal_hz=nominal_hz,
        samples_per_second=samples_per_second,
        filter="low-latency" if filter_name == "low-latency" else "default",
    )
    half = round(SPAN_HZ / BIN_HZ)
    centres_hz = nominal_hz + BIN_HZ * np.arange(-half, half + 1)
    matrices = BinMatrices(BinDesigner(settings), centres_hz)
    for _ in range(2 * round(READY_HZ / BIN_HZ) + 1):
        matrices.design_next()
    return FilterBank(
        filters=matrices,
        cycle_weights=np.stack([cycle_weights(settings, centre) for centre in centres_hz]).astype(
            np.float32
        ),
        bridge_delay=bridge_samples(settings) // 2,
        nominal_bin=half,
        nominal_hz=float(nominal_hz),
    )


def design_all(settings: Settings) -> None:
    """Design every bin that is still missing, the nearest to nominal first.

    Call it from a thread of its own: an estimator that works meanwhile designs the one that it
    needs itself, and is late by that once (some 20 ms).
    """
    bank = filter_bank(settings.nominal_hz, settings.samples_per_second, settings.filter)
    while bank.filters.design_next():
        pass


def bridge_samples(settings: Settings) -> int:
    """Engine samples of the three-cycle window; odd."""
    return odd_length(BRIDGE_CYCLES * settings.samples_per_cycle)


def main_window(settings: Settings) -> Window:
    """The window whose estimation instant is ``delay_samples`` before its newest raw sample."""
    raw_spacing_s = 1 / settings.samples_per_second
    newest_raw_s = (settings.window_samples * settings.decimation - 1) / 2 * raw_spacing_s
    return Window(
        samples=settings.window_samples,
        spacing_s=1 / settings.engine_rate_hz,
        averaged=settings.decimation,
        instant_s=newest_raw_s - settings.delay_samples * raw_spacing_s,
    )


def place(column: ComplexArray, row: ComplexArray, samples_back: int = 0) -> None:
    """Write a short filter into a column of the full window, ``samples_back`` before its end."""
    end = len(column) - samples_back
    column[end - len(row) : end] = row


def cycle_weights(settings: Settings, centre_hz: float) -> FloatArray:
    """Weights of the mean over exactly one cycle of ``centre_hz``: whole samples, then a part.

    The remainder weighs the oldest sample, so that one cycle need not be a whole number of
    samples.
    """
    longest = math.ceil(settings.engine_rate_hz / (settings.nominal_hz - SPAN_HZ)) + 1
    cycle = settings.engine_rate_hz / centre_hz
    age = np.arange(longest)[::-1]
    weights: FloatArray = np.clip(cycle - age, 0.0, 1.0) / cycle
    return weights


def fundamental_pair(weights: FloatArray, cycles_per_sample: float) -> FloatArray:
    """Two columns whose outputs squared sum to the fundamental's share of Σ w v².

    Weighted least squares on B = [cos, sin]: with the Cholesky factor L Lᵀ = Bᵀ W B, the
    fitted part has the mean square ‖L⁻¹ Bᵀ W v‖².
    """
    angle = 2 * np.pi * cycles_per_sample * np.arange(len(weights))
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    weighted = weights[:, np.newaxis] * basis
    factor = np.linalg.cholesky(basis.T @ weighted)
    return np.linalg.solve(factor, weighted.T).T
