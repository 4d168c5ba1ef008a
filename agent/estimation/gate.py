r"""The event gate: a step of phase or amplitude is not a change of frequency.

Three one-cycle phasors X of the positive sequence, one cycle T apart, give

.. math:: e = \frac{X_k / X_{k-1}}{X_{k-1} / X_{k-2}}

For a steady frequency both ratios are the same turn and e = 1, whatever the frequency; a ramp
leaves arg e = 2π·ROCOF·T², 1.4° at 10 Hz/s. A step makes |arg e| or |ln|e|| large for three
cycles. Persistent modulation raises the thresholds instead of the gate: three times the median
over 0.6 s, which a step of three cycles does not move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.estimation.arrays import ComplexArray, FloatArray, Mask

PHASE_STEP_RAD: Final = np.deg2rad(2.5)
LOG_AMPLITUDE_STEP: Final = 0.05
ABOVE_MEDIAN: Final = 3.0
MEDIAN_S: Final = 0.6
MEDIAN_REFRESH_S: Final = 0.1
NEVER: Final = -(1 << 60)

UNMEASURABLE_STEP: Final = np.pi
"""Reported for both measures where a phasor is zero."""


class StepDetector:
    """Compares each stream's newest cycles with its own recent past."""

    def __init__(self, streams: int, ticks_per_second: float) -> None:
        length = max(8, round(MEDIAN_S * ticks_per_second))
        self._refresh = max(1, round(MEDIAN_REFRESH_S * ticks_per_second))
        self._history = np.zeros((2, length, streams))
        self._medians = np.zeros((2, streams))
        self._ticks = 0

    def steps(self, cycles: ComplexArray) -> Mask:
        """Which streams contain a step.

        Args:
            cycles: (streams, 3): positive-sequence phasors X_k, X_{k-1}, X_{k-2}.
        """
        measures = step_measures(cycles)
        self._history[:, self._ticks % self._history.shape[1]] = measures
        if self._ticks % self._refresh == 0:
            self._medians = np.median(self._history, axis=1)
        self._ticks += 1
        floors = np.array([[PHASE_STEP_RAD], [LOG_AMPLITUDE_STEP]])
        exceeded = measures > np.maximum(floors, ABOVE_MEDIAN * self._medians)
        found: Mask = exceeded.any(axis=0)
        return found


def step_measures(cycles: ComplexArray) -> FloatArray:
    """(2, streams): |arg e| and |ln|e||."""
    newest, middle, oldest = cycles.T
    # e = X_k X_{k-2} / X_{k-1}²; the products are zero where a phasor is.
    numerator, denominator = newest * oldest, middle**2
    measurable = (numerator != 0) & (denominator != 0)
    ratio = np.where(measurable, numerator, 1.0) / np.where(measurable, denominator, 1.0)
    measures = np.abs([np.angle(ratio), np.log(np.abs(ratio))])
    return np.where(measurable, measures, UNMEASURABLE_STEP)


HELD_AFTER_STEP_CYCLES: Final = 2.0
"""From the last sign of a step until the bridge's three cycles are free of it."""

BRIDGED_AFTER_STEP_CYCLES: Final = 2.0
"""Beyond main window less bridge: until the main window is free of it."""

LONGEST_HOLD_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Phase:
    """Where each stream stands after its last step; at most one of the first three is set."""

    began: Mask
    """An event starts now: the frequency to hold is the one before it."""
    hold: Mask
    bridge: Mask
    overdue: Mask
    """Steps have gone on for longer than ``LONGEST_HOLD_S``: no step then, but a way of life."""


class EventTimeline:
    """From the last step: hold, then bridge, then back to the main window.

    Args:
        streams: Number of streams.
        samples_per_cycle: Engine samples in a nominal cycle.
        window: Engine samples of the main window.
        bridge: Engine samples of the bridge.
        longest_hold: ``LONGEST_HOLD_S`` in engine samples.
    """

    def __init__(
        self, streams: int, samples_per_cycle: float, window: int, bridge: int, longest_hold: int
    ) -> None:
        self._hold = round(HELD_AFTER_STEP_CYCLES * samples_per_cycle)
        self._bridge = window - bridge + round(BRIDGED_AFTER_STEP_CYCLES * samples_per_cycle)
        self._window = window
        self._longest_hold = longest_hold
        self._last_step = np.full(streams, NEVER, dtype=np.int64)
        self._event_start = np.full(streams, NEVER, dtype=np.int64)

    def advance(self, newest: int, stepped: Mask, low_voltage: Mask) -> Phase:
        """Take note of the streams with a step in their newest three cycles.

        Args:
            newest: Engine sample index of the newest sample.
            stepped: Streams in which a step is in the newest three cycles.
            low_voltage: Streams without enough voltage to measure; never overdue.
        """
        disturbed = stepped | low_voltage
        began = disturbed & (newest - self._last_step > self._window)
        self._event_start = np.where(began | low_voltage, newest, self._event_start)
        self._last_step = np.where(disturbed, newest, self._last_step)
        age = newest - self._last_step
        hold = age < self._hold
        overdue = hold & (newest - self._event_start > self._longest_hold)
        return Phase(
            began=began,
            hold=hold & ~overdue,
            bridge=~hold & (age < self._bridge),
            overdue=overdue,
        )
