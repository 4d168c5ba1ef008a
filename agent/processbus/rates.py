"""Find a stream's sampling rate from its counter and its arrival, where nobody says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.processbus.sv.layout import SvLayout

SAMPLES_PER_CYCLE: Final = (80, 96, 256)
"""9-2LE protection, IEC 61869-9 preferred (general), 9-2LE metering."""
ABSOLUTE_RATES_HZ: Final = (4000, 4800, 5760, 12800, 14400, 15360)
NEEDED_S: Final = 0.03
_TOLERANCE: Final = 0.08
_LONGEST_STEP: Final = 1000
_MOST_OUT_OF_STEP: Final = 64
"""Frames that overtake each other, and a few that are lost, move the counter by no more."""
_PAUSE_S: Final = 0.02
"""After a pause as long as this, or samples that are lost, counting begins again."""


def rate_from_layout(layout: SvLayout, nominal_hz: int) -> int:
    """Return the rate that the frame itself states (smpRate, smpMod), 0 where it does not.

    smpMod is 0 samples per nominal period (the default), 1 samples per second, 2 seconds per
    sample (IEC 61850-7-2 Ed. 2.1, 19.2.2.2).
    """
    if not layout.smp_rate:
        return 0
    return declared_rate_hz(layout.smp_rate, layout.smp_mod or 0, nominal_hz)


def declared_rate_hz(smp_rate: int, smp_mod: int, nominal_hz: int) -> int:
    """Return samples per second of a declared smpRate and smpMod; 0 where it is no use here."""
    rate_hz = {0: smp_rate * nominal_hz, 1: smp_rate}.get(smp_mod, 0)
    return rate_hz if 3200 <= rate_hz <= 16000 else 0


@dataclass(slots=True)
class RateFinder:
    """Counts one stream's samples against the clock until the rate is clear.

    Attributes:
        nominal_hz: Frequency of the network, for the rates that 9-2LE ties to it.
        above: Largest counter seen: it begins again every second, so the rate is greater.
    """

    nominal_hz: int
    above: int = 0
    _counts: list[NDArray[np.int64]] = field(default_factory=list)
    _times: list[NDArray[np.float64]] = field(default_factory=list)

    def feed(self, smp_cnt: NDArray[np.int64], bus_s: NDArray[np.float64]) -> int:
        """Take samples in order of arrival; return the rate once it is known, else 0."""
        self._counts.append(smp_cnt[:_LONGEST_STEP])
        self._times.append(bus_s[:_LONGEST_STEP])
        if self._times[-1][-1] - self._times[0][0] < NEEDED_S:
            many = sum(map(len, self._counts)) >= 4 * _LONGEST_STEP
            return 80 * self.nominal_hz if many else 0
        counts, times = np.concatenate(self._counts), np.concatenate(self._times)
        self.above = max(self.above, int(counts.max()))
        broken = np.flatnonzero((np.diff(times) > _PAUSE_S) | _lost(counts))
        if len(broken):
            begin = int(broken[-1]) + 1
            self._counts, self._times = [counts[begin:]], [times[begin:]]
            return 0
        return self._nearest(_slope_hz(counts, times))

    def _nearest(self, measured_hz: float) -> int:
        candidates = {n * self.nominal_hz for n in SAMPLES_PER_CYCLE} | set(ABSOLUTE_RATES_HZ)
        possible = [rate for rate in candidates if rate > self.above]
        measured_hz = max(measured_hz, self.above)
        best = min(possible, key=lambda rate: abs(rate - measured_hz), default=0)
        if abs(best - measured_hz) <= _TOLERANCE * measured_hz:
            return best
        self._counts, self._times = [], []
        return 0


def _lost(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where the counter leaves out samples; a step of a second is its start, in order or not."""
    steps = np.abs(np.diff(counts))
    lost: NDArray[np.bool_] = (steps > _MOST_OUT_OF_STEP) & (steps < _LONGEST_STEP)
    return lost


def _slope_hz(counts: NDArray[np.int64], times: NDArray[np.float64]) -> float:
    """Samples a second: the slope of the counter over the arrivals.

    Frames that overtake each other and frames that come twice cancel out of a slope; a counter
    that begins again, in order or not, is one step.
    """
    steps = np.diff(counts)
    steps = np.where(np.abs(steps) < _LONGEST_STEP, steps, -np.sign(steps))
    place = np.concatenate(([0], np.cumsum(steps)))
    since_s = times - times.mean()
    spread = float(since_s @ since_s)
    return float(since_s @ (place - place.mean())) / spread if spread else 0.0
