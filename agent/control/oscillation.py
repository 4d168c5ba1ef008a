"""Limit-cycle detection: the net under the stability limit.

A loop with more delay or less inertia than configured swings steadily. Half-swings of the
frequency around its slow mean that do not die out halve the gain; calm doubles it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MEAN_S: Final = 5.0
"""Time constant of the slow mean."""
HALVES: Final = 6
"""Half-swings in a row that make a limit cycle."""
LEAST_HZ: Final = 0.010
PERIOD_S: Final = (0.08, 8.0)
"""Shortest and longest half-swing that counts."""
DECAY: Final = 0.85
"""Peaks that shrink faster than this from one half-swing to the next are damped."""
CALM_S: Final = 30.0
LEAST_GAIN: Final = 0.125


@dataclass(frozen=True, slots=True)
class Oscillation:
    """What the detector remembers.

    Attributes:
        mean_hz, sign, peak_hz, since_s: Slow mean; the half-swing now under way.
        peaks_hz: Peaks of the last half-swings in a row.
        gain: Factor on the droop's slope, 1 when calm.
        changed_s: Monotonic instant of the last change of `gain`.
    """

    mean_hz: float = math.nan
    sign: int = 0
    peak_hz: float = 0.0
    since_s: float = -math.inf
    peaks_hz: tuple[float, ...] = ()
    gain: float = 1.0
    changed_s: float = -math.inf

    @property
    def swinging(self) -> bool:
        """The last half-swings do not die out."""
        peaks = self.peaks_hz
        return len(peaks) >= HALVES and peaks[-1] >= peaks[0] * DECAY ** (HALVES - 1)


def observe(state: Oscillation, f_hz: float, now_s: float, dt_s: float) -> Oscillation:
    """Return the state after one more frequency (NaN while it is lost)."""
    if math.isnan(f_hz):
        return Oscillation(gain=state.gain, changed_s=state.changed_s)
    if math.isnan(state.mean_hz):
        return Oscillation(f_hz, 0, 0.0, now_s, (), state.gain, state.changed_s)
    mean_hz = state.mean_hz + (f_hz - state.mean_hz) * min(dt_s / MEAN_S, 1.0)
    deviation_hz = f_hz - mean_hz
    sign = 1 if deviation_hz > 0.0 else -1
    if sign == state.sign:
        peak_hz = max(state.peak_hz, abs(deviation_hz))
        peaks, since_s = state.peaks_hz, state.since_s
    else:
        lasted_s = now_s - state.since_s
        counts = state.peak_hz >= LEAST_HZ and PERIOD_S[0] <= lasted_s <= PERIOD_S[1]
        peaks = (*state.peaks_hz, state.peak_hz)[-HALVES:] if counts else ()
        peak_hz, since_s = abs(deviation_hz), now_s
    fresh = Oscillation(mean_hz, sign, peak_hz, since_s, peaks, state.gain, state.changed_s)
    return _adapted(fresh, now_s)


def _adapted(state: Oscillation, now_s: float) -> Oscillation:
    peaks: tuple[float, ...]
    if state.swinging and state.gain > LEAST_GAIN:
        gain, peaks = state.gain / 2.0, ()
    elif state.gain < 1.0 and now_s - state.changed_s >= CALM_S and not state.swinging:
        gain, peaks = min(1.0, state.gain * 2.0), state.peaks_hz
    else:
        return state
    return Oscillation(state.mean_hz, state.sign, state.peak_hz, state.since_s, peaks, gain, now_s)
