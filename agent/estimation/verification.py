r"""How far a report is from an independent measurement of the same power.

The reported power r at the reporter's time t is modelled as

    r(t) = gain · a(t − lag) + offset + noise

with a the analyser's power. The lag is where the two clocks, and the reporter's averaging, differ.
For every lag the best gain and offset follow by linear regression, so one search over the lag finds
the joint optimum; a Gauss-Newton step from there gives the covariance of all three. Confidence is
widened by the autocorrelation of what is left over.

Errors that cancel in a sum are looked for one by one: gain, offset, the gain of export and import
apart, energy of either direction, each phase. A record that does not move determines neither gain
nor lag, and is called inconclusive however well its means agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE: Final = 1.959964
"""Half width of a 95 % interval in standard deviations."""
LEAST_SAMPLES: Final = 20
COARSE_S: Final = 0.1
FINE_S: Final = 1e-4
LEAST_MOTION: Final = 10.0
"""How many times its own noise a power must move to determine a gain."""
BEND_OF_NOISE: Final = 0.6745 * math.sqrt(6.0)
"""Median of |second difference| of white noise, over its standard deviation."""
LARGE_GAP_S: Final = 5.0
"""A report in a longer hole of the measurement is left out."""


class Verdict(StrEnum):
    """What a quantity's interval says about its tolerance."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is accepted.

    Attributes:
        gain: Distance of the gain from 1. `lag_s`: of the clocks.
        offset_w: Of the offset. `energy`: share of the energy in each direction.
        imbalance: Largest deviation of a phase from the mean of the three, a share.
    """

    gain: float = 0.02
    offset_w: float = 50.0
    lag_s: float = 1.0
    energy: float = 0.03
    imbalance: float = 0.1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with half the width of its 95 % interval; NaN and infinity where undetermined."""

    value: float
    half_width: float

    def judged(self, middle: float, tolerance: float) -> Verdict:
        """Return whether the whole interval lies inside the tolerance, or wholly outside."""
        distance = abs(self.value - middle)
        if not math.isfinite(distance) or not math.isfinite(self.half_width):
            return Verdict.INCONCLUSIVE
        if distance + self.half_width <= tolerance:
            return Verdict.PASS
        return Verdict.FAIL if distance - self.half_width > tolerance else Verdict.INCONCLUSIVE


UNKNOWN: Final = Estimate(math.nan, math.inf)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result, and what each part of it means.

    Attributes:
        gain, offset_w, lag_s: Of the report against the measurement; positive lag: reported late.
        gain_export, gain_import: The gain of either direction alone.
        export_wh, import_wh: (reported, measured) energy over the record, lag removed.
        variance: RMS of report minus measurement, lag removed, over RMS of the measurement.
        residual_w: RMS of what the model leaves over.
        imbalance: Largest deviation of a phase's mean from the mean of the three; NaN for unknown.
        phase_w: Mean power of L1, L2, L3 as measured.
        verdicts: By quantity. `verdict`: pass only where all pass.
    """

    samples: int
    seconds: float
    gain: Estimate
    offset_w: Estimate
    lag_s: Estimate
    gain_export: Estimate
    gain_import: Estimate
    export_wh: tuple[float, float]
    import_wh: tuple[float, float]
    variance: float
    residual_w: float
    imbalance: float
    phase_w: tuple[float, float, float]
    verdicts: dict[str, Verdict]

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        found = set(self.verdicts.values())
        if Verdict.FAIL in found:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in found else Verdict.PASS


def compare(
    reported_s: Floats,
    reported_w: Floats,
    measured_s: Floats,
    measured_w: Floats,
    *,
    phases_w: Floats | None = None,
    tolerance: Tolerance | None = None,
    max_lag_s: float = 10.0,
) -> Comparison:
    """Compare a report with a measurement.

    Args:
        reported_s: Reporter's UTC seconds, shape (n,), rising. `reported_w`: power, shape (n,).
        reported_w: See above.
        measured_s: Analyser's UTC seconds, shape (m,), rising. `measured_w`: power, shape (m,).
        measured_w: See above.
        phases_w: Measured power of L1, L2, L3, shape (m, 3).
        tolerance: What is accepted.
        max_lag_s: Largest difference of the clocks that is looked for.

    Raises:
        ValueError: Arrays of different lengths, times that do not rise, values not finite.
    """
    _check(reported_s, reported_w)
    _check(measured_s, measured_w)
    limits = tolerance or Tolerance()
    window = _overlap(reported_s, measured_s, max_lag_s)
    t_s, r_w = reported_s[window], reported_w[window]
    imbalance, means = _imbalance(phases_w)
    if t_s.size < LEAST_SAMPLES:
        return _nothing(t_s, imbalance, means)
    origin_s = float(t_s[0])
    track = _Track(measured_s - origin_s, measured_w)
    fit = _fit(t_s - origin_s, r_w, track, max_lag_s)
    here_w = track.at(t_s - origin_s - (fit.lag_s.value if fit.moves else 0.0))
    energies = _energies(t_s, r_w, here_w)
    base_w = math.sqrt(float(np.mean(here_w**2)))
    apart_w = math.sqrt(float(np.mean((r_w - here_w) ** 2)))
    export, import_ = _by_direction(r_w, here_w, fit)
    partial = Comparison(
        samples=int(t_s.size),
        seconds=float(t_s[-1] - t_s[0]),
        gain=fit.gain,
        offset_w=fit.offset_w,
        lag_s=fit.lag_s,
        gain_export=export,
        gain_import=import_,
        export_wh=energies[0],
        import_wh=energies[1],
        variance=apart_w / base_w if base_w > 0 else math.nan,
        residual_w=fit.residual_w,
        imbalance=imbalance,
        phase_w=means,
        verdicts={},
    )
    partial.verdicts.update(_verdicts(partial, limits))
    return partial


class _Track:
    """The measured power between its samples, and its slope."""

    def __init__(self, t_s: Floats, p_w: Floats) -> None:
        self._t_s, self._p_w = t_s, p_w
        # A central difference over two samples keeps the noise of the slope down.
        self._slope = np.gradient(p_w, t_s) if t_s.size > 1 else np.zeros_like(p_w)
        bends = np.abs(np.diff(p_w, 2))
        self.noise_w = float(np.median(bends)) / BEND_OF_NOISE if bends.size else 0.0
        """Standard deviation of the measurement's noise; steps and ramps are too few to count."""

    def at(self, t_s: Floats) -> Floats:
        """Return the power at these instants."""
        result: Floats = np.interp(t_s, self._t_s, self._p_w)
        return result

    def slope(self, t_s: Floats) -> Floats:
        """Return its rate of change there, W/s."""
        result: Floats = np.interp(t_s, self._t_s, self._slope)
        return result


@dataclass(frozen=True, slots=True)
class _Fit:
    gain: Estimate
    offset_w: Estimate
    lag_s: Estimate
    residual_w: float
    moves: bool
    correlation: float


def _fit(t_s: Floats, r_w: Floats, track: _Track, max_lag_s: float) -> _Fit:
    lag_s = _best_lag(t_s, r_w, track, max_lag_s)
    a_w = track.at(t_s - lag_s)
    gain, offset_w, left_w = _line(a_w, r_w)
    jacobian = np.column_stack([a_w, np.ones_like(a_w), -gain * track.slope(t_s - lag_s)])
    widths, correlation = _widths(jacobian, left_w)
    residual_w = math.sqrt(float(np.mean(left_w**2)))
    spread_w = float(np.std(a_w))
    moves = spread_w > max(residual_w, LEAST_MOTION * track.noise_w)
    if not moves:
        # Nothing moved: only the sum of both errors shows, and it is neither gain nor offset.
        return _Fit(UNKNOWN, UNKNOWN, UNKNOWN, residual_w, False, correlation)
    return _Fit(
        # Noise of the measurement itself pulls the gain towards zero, by at most this share.
        Estimate(gain, widths[0] + abs(gain) * (track.noise_w / spread_w) ** 2),
        Estimate(offset_w, widths[1]),
        Estimate(lag_s, widths[2]),
        residual_w,
        True,
        correlation,
    )


def _best_lag(t_s: Floats, r_w: Floats, track: _Track, max_lag_s: float) -> float:
    """Search the whole range coarsely, then the neighbourhood of the best by golden section."""

    def cost(lag_s: float) -> float:
        left_w = _line(track.at(t_s - lag_s), r_w)[2]
        return float(left_w @ left_w)

    lags_s = np.arange(-max_lag_s, max_lag_s + COARSE_S / 2, COARSE_S)
    best_s = float(lags_s[int(np.argmin([cost(float(lag_s)) for lag_s in lags_s]))])
    low_s, high_s = best_s - COARSE_S, best_s + COARSE_S
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    while high_s - low_s > FINE_S:
        one_s, other_s = high_s - ratio * (high_s - low_s), low_s + ratio * (high_s - low_s)
        if cost(one_s) < cost(other_s):
            high_s = other_s
        else:
            low_s = one_s
    return (low_s + high_s) / 2.0


def _line(a_w: Floats, r_w: Floats) -> tuple[float, float, Floats]:
    """Return slope, intercept and what is left over, by least squares."""
    centred = a_w - a_w.mean()
    spread = float(centred @ centred)
    gain = float(centred @ r_w) / spread if spread > 0 else 1.0
    offset_w = float(r_w.mean() - gain * a_w.mean())
    left_w: Floats = r_w - gain * a_w - offset_w
    return gain, offset_w, left_w


def _widths(jacobian: Floats, left_w: Floats) -> tuple[list[float], float]:
    """Return half widths of the 95 % intervals, widened for the residual's autocorrelation."""
    count, unknowns = jacobian.shape
    energy = float(left_w @ left_w)
    correlation = float(left_w[1:] @ left_w[:-1]) / energy if energy > 0 else 0.0
    correlation = min(max(correlation, 0.0), 0.99)
    inflation = (1.0 + correlation) / (1.0 - correlation)
    variance = energy / max(1, count - unknowns) * inflation
    scale = np.linalg.norm(jacobian, axis=0)
    scale[scale == 0] = 1.0
    scaled = jacobian / scale
    normal = scaled.T @ scaled
    if np.linalg.cond(normal) > 1e10:
        return [math.inf] * unknowns, correlation
    covariance = np.linalg.inv(normal) * variance / np.outer(scale, scale)
    return [COVERAGE * math.sqrt(value) for value in np.diag(covariance)], correlation


def _by_direction(r_w: Floats, a_w: Floats, fit: _Fit) -> tuple[Estimate, Estimate]:
    """Return the gain of export and of import apart, where both moved."""
    if not fit.moves:
        return UNKNOWN, UNKNOWN
    floor_w = 3.0 * fit.residual_w
    export, import_ = np.maximum(a_w, 0.0), np.minimum(a_w, 0.0)
    has = [
        bool(np.count_nonzero(abs(part) > floor_w) >= LEAST_SAMPLES) for part in (export, import_)
    ]
    if not all(has):
        return (fit.gain if has[0] else UNKNOWN), (fit.gain if has[1] else UNKNOWN)
    jacobian = np.column_stack([export, import_, np.ones_like(a_w)])
    solution, *_ = np.linalg.lstsq(jacobian, r_w, rcond=None)
    widths, _ = _widths(jacobian, r_w - jacobian @ solution)
    return Estimate(float(solution[0]), widths[0]), Estimate(float(solution[1]), widths[1])


def _energies(
    t_s: Floats, r_w: Floats, a_w: Floats
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (reported, measured) energy of export and import, in Wh."""

    def energy_wh(p_w: Floats) -> float:
        return float(np.trapezoid(p_w, t_s)) / 3600.0

    exported = energy_wh(np.maximum(r_w, 0.0)), energy_wh(np.maximum(a_w, 0.0))
    imported = energy_wh(np.maximum(-r_w, 0.0)), energy_wh(np.maximum(-a_w, 0.0))
    return exported, imported


def _imbalance(phases_w: Floats | None) -> tuple[float, tuple[float, float, float]]:
    nothing = (math.nan, math.nan, math.nan)
    if phases_w is None or phases_w.size == 0:
        return math.nan, nothing
    used = phases_w[np.isfinite(phases_w).all(axis=1)]
    if not used.size:
        return math.nan, nothing
    sizes = np.abs(used).mean(axis=0)
    mean = float(sizes.mean())
    one, two, three = (float(value) for value in used.mean(axis=0))
    share = float(np.abs(sizes - mean).max()) / mean if mean > 0 else 0.0
    return share, (one, two, three)


def _verdicts(found: Comparison, limits: Tolerance) -> dict[str, Verdict]:
    verdicts = {
        "gain": found.gain.judged(1.0, limits.gain),
        "offset": found.offset_w.judged(0.0, limits.offset_w),
        "lag": found.lag_s.judged(0.0, limits.lag_s),
    }
    for name, estimate in (("gain export", found.gain_export), ("gain import", found.gain_import)):
        if math.isfinite(estimate.value):
            verdicts[name] = estimate.judged(1.0, limits.gain)
    largest_wh = max(found.export_wh[1], found.import_wh[1])
    for name, (reported, measured) in (
        ("energy export", found.export_wh),
        ("energy import", found.import_wh),
    ):
        if measured > 0.02 * largest_wh:
            inside = abs(reported - measured) <= limits.energy * measured
            verdicts[name] = Verdict.PASS if inside else Verdict.FAIL
    if math.isfinite(found.imbalance):
        even = found.imbalance <= limits.imbalance
        verdicts["phase imbalance"] = Verdict.PASS if even else Verdict.FAIL
    return verdicts


def _overlap(reported_s: Floats, measured_s: Floats, margin_s: float) -> NDArray[np.bool_]:
    """Return which reports lie, for every lag that is tried, inside the measurement."""
    inside = (reported_s >= measured_s[0] + margin_s) & (reported_s <= measured_s[-1] - margin_s)
    gaps = np.flatnonzero(np.diff(measured_s) > LARGE_GAP_S)
    for at in gaps.tolist():
        start_s, end_s = measured_s[at] - margin_s, measured_s[at + 1] + margin_s
        inside &= (reported_s < start_s) | (reported_s > end_s)
    result: NDArray[np.bool_] = inside
    return result


def _check(t_s: Floats, p_w: Floats) -> None:
    if t_s.ndim != 1 or t_s.shape != p_w.shape or t_s.size == 0:
        raise ValueError("times and powers are two arrays of one length")
    if not (np.isfinite(t_s).all() and np.isfinite(p_w).all()):
        raise ValueError("times and powers must be finite")
    if (np.diff(t_s) <= 0).any():
        raise ValueError("times must rise")


def _nothing(t_s: Floats, imbalance: float, means: tuple[float, float, float]) -> Comparison:
    seconds = float(t_s[-1] - t_s[0]) if t_s.size else 0.0
    unknown = dict.fromkeys(("gain", "offset", "lag"), Verdict.INCONCLUSIVE)
    nothing = (math.nan, math.nan)
    return Comparison(
        int(t_s.size), seconds, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, nothing, nothing,
        math.nan, math.nan, imbalance, means, unknown,
    )  # fmt: skip
