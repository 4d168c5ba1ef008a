r"""The event gate: a step of phase or amplitude is not a change of frequency.

Three one-cycle phasors of the positive sequence X, one cycle T apart, give

.. math:: e = \frac{X_k / X_{k-1}}{X_{k-1} / X_{k-2}}

For a steady frequency both ratios are the same turn and e = 1, whatever the frequency; a ramp
leaves arg e = 2π·ROCOF·T², 1° at 7 Hz/s and 50 Hz. A step makes |arg e| or |ln|e|| large for three
cycles. An unsymmetrical fault also changes the unbalance u = V2/V1, which turns with neither
sequence: |u_k - u_{k-2}| is the third measure.

A step of which the newest cycle has a sample or two moves none of these yet, but already the main
filter where that looks ahead (the low-latency one): it disagrees with the bridge. That begins an
event too; once one has begun, the others tell how it goes on.

A step is often the start of a ramp: a loss of generation, an island. While the frequency is held,
the change of arg e from tick to tick decides, which the ramp leaves at zero.

Persistent modulation must not hold the frequency for ever. Each measure is compared with three
times its own median over 0.6 s, if that is more than the fixed threshold; ticks within an event
do not count towards the median until the event has lasted longer than a step can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.estimation.arrays import ComplexArray, FloatArray, Mask, every, some

THRESHOLDS: Final = np.array([[np.deg2rad(1.0)], [0.03], [0.03], [0.05]])
"""|arg e|, |ln|e||, |Δu| and the disagreement in Hz that begin an event."""
_DISAGREEMENT: Final = 3

RELEASE: Final = 0.5
"""Share of the thresholds that keeps an event going."""

ABOVE_MEDIAN: Final = 3.0
MEDIAN_S: Final = 0.6
MEDIAN_REFRESH_S: Final = 0.1

UNMEASURABLE: Final = np.pi
"""Of every measure where a phasor is zero."""

HOLD_CYCLES: Final = 2.0
"""From the last sign of a step until the bridge's three cycles are free of it."""

BRIDGE_CYCLES: Final = 2.0
"""Beyond main window less bridge: until the main window is free of the step too."""

LONGEST_HOLD_S: Final = 0.5

NEVER: Final = -(1 << 60)


@dataclass(frozen=True, slots=True)
class Phase:
    """Where each stream stands after its last step."""

    began: Mask
    """An event starts now: the frequency to hold is the one before it."""
    hold: Mask
    """The step is in every window: publish the frequency from before."""
    bridge: Mask
    """The step has left the bridge but not the main window."""
    overdue: Mask
    """Holding for longer than ``LONGEST_HOLD_S``: nothing is known about the frequency."""
    calm: bool = False
    """No stream is in any of these: nearly always so, and most of the work is not to be done."""

    @classmethod
    def quiet(cls, streams: int) -> Phase:
        """No stream in any phase."""
        never = np.zeros(streams, dtype=bool)
        return cls(never, never, never, never, calm=True)


class EventGate:
    """From a step: hold, then bridge, then back to the main window.

    Args:
        streams: Number of streams.
        samples_per_cycle: Engine samples in a nominal cycle.
        window: Engine samples of the main window.
        bridge: Engine samples of the bridge.
        rate_hz: Engine samples a second.
        ticks_per_second: How often ``advance`` is called.
    """

    def __init__(
        self,
        streams: int,
        samples_per_cycle: float,
        window: int,
        bridge: int,
        rate_hz: float,
        ticks_per_second: float,
    ) -> None:
        self._hold = round(HOLD_CYCLES * samples_per_cycle)
        self._bridge = window - bridge + round(BRIDGE_CYCLES * samples_per_cycle)
        self._window = window
        self._longest_hold = round(LONGEST_HOLD_S * rate_hz)
        kept = max(8, round(MEDIAN_S * ticks_per_second))
        self._history = np.zeros((kept, len(THRESHOLDS), streams))
        self._refresh = max(1, round(MEDIAN_REFRESH_S * ticks_per_second))
        self._medians = np.zeros((len(THRESHOLDS), streams))
        self._limits = np.broadcast_to(THRESHOLDS, self._medians.shape)
        """Of the measures while nothing is held."""
        self._last_step = np.full(streams, NEVER, dtype=np.int64)
        self._event_start = np.full(streams, NEVER, dtype=np.int64)
        self._holding = np.zeros(streams, dtype=bool)
        self._idle = np.ones(streams, dtype=bool)
        self._learning = np.ones(streams, dtype=bool)
        self._turn_before = np.zeros(streams)
        self._ticks = 0
        self.quiet = Phase.quiet(streams)
        """What `advance` returns while nothing happens."""
        self._calm = True
        """Neither hold nor bridge at the last tick: what a step changes is as it began."""

    def learn(self, measures: FloatArray) -> None:
        """Before the first tick that may begin an event: start from the liveliest seen."""
        np.maximum(self._history, np.abs(measures), out=self._history)

    def advance(self, newest: int, measures: FloatArray, low_voltage: Mask) -> Phase:
        """Take note of this tick.

        Args:
            newest: Engine sample index of the newest sample.
            measures: ``step_measures`` of every stream.
            low_voltage: Streams without enough voltage to measure.
        """
        disturbed = self._stepped(measures) | low_voltage
        if self._calm and not some(disturbed):
            return self.quiet
        began = disturbed & (newest - self._last_step > self._window)
        self._event_start = np.where(began, newest, self._event_start)
        self._last_step = np.where(disturbed, newest, self._last_step)
        age = newest - self._last_step
        self._holding = age < self._hold
        overdue = self._holding & (newest - self._event_start > self._longest_hold)
        self._learning = ~self._holding | (overdue & ~low_voltage)
        bridge = ~self._holding & (age < self._bridge)
        self._idle = ~(self._holding | bridge)
        self._calm = every(self._idle)
        return Phase(began, self._holding, bridge, overdue)

    def _stepped(self, measures: FloatArray) -> Mask:
        sizes = np.abs(measures)
        if not self._calm:
            # Once holding, a constant turn is the ramp that the step was the start of.
            turn = np.abs(measures[0] - self._turn_before)
            sizes[0] = np.where(self._holding, turn, sizes[0])
        self._turn_before = measures[0]
        row = self._history[self._ticks % len(self._history)]
        np.copyto(row, sizes, where=self._learning)
        if self._ticks % self._refresh == 0:
            self._refresh_medians()
        self._ticks += 1
        if self._calm:
            above = sizes > self._limits
        else:
            fixed = THRESHOLDS * np.where(self._holding, RELEASE, 1.0)
            above = sizes > np.maximum(fixed, ABOVE_MEDIAN * self._medians)
            # It begins events only; the history has it all the same, or its median would sink.
            above[_DISAGREEMENT] &= self._idle
        return np.asarray(above.any(axis=0)) if some(above) else self.quiet.began

    def _refresh_medians(self) -> None:
        ordered = np.sort(self._history, axis=0)
        middle = len(ordered) // 2
        self._medians = (ordered[-1 - middle] + ordered[middle]) / 2
        self._limits = np.maximum(THRESHOLDS, ABOVE_MEDIAN * self._medians)


def step_measures(
    positive: ComplexArray, negative: ComplexArray, disagreement_hz: FloatArray
) -> FloatArray:
    """The measures arg e, ln|e|, |Δu| and disagreement of each stream, (4, streams).

    Args:
        positive: (streams, 3): positive-sequence phasors X_k, X_{k-1}, X_{k-2}.
        negative: (streams, 3): the negative sequence's.
        disagreement_hz: Of bridge and main window, referred to the same instant.
    """
    if not every(positive):
        measurable = (positive != 0).all(axis=1)
        safe = np.where(measurable[:, np.newaxis], positive, 1.0)
        measures = step_measures(safe, negative, disagreement_hz)
        measures[:_DISAGREEMENT, ~measurable] = UNMEASURABLE
        return measures
    # e = X_k X_{k-2} / X_{k-1}².
    turn = positive[:, 0] * positive[:, 2] / positive[:, 1] ** 2
    ends = negative[:, ::2] / positive[:, ::2]
    measures = np.empty((len(THRESHOLDS), len(turn)))
    np.arctan2(turn.imag, turn.real, out=measures[0])
    np.log(np.abs(turn), out=measures[1])
    np.abs(ends[:, 0] - ends[:, 1], out=measures[2])
    measures[_DISAGREEMENT] = disagreement_hz
    return measures
