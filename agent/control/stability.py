"""How steep the droop may be, given the delay from a frequency change to the vehicles' power.

The open loop, with the area as an integrator of inertia H and the fleet as gain, lag and delay:

    L(jω) = K · E[exp(-jωτ)] / (2H·jω · (1 + jωT))

K is in per unit of area power by per unit of frequency, E is the mean over the fleet's delays
weighted by power, T the lag of the open-loop response time. Damping and governors are left out:
they help. Without lag and with one delay the limit of K is πH/τ, divided by the stability factor:
K ≤ πH/(factor·τ), πH/(2τ) with a factor of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.control.fleet import Floats
from agent.control.parameters import Parameters

Complexes = NDArray[np.complex128]

BINS: Final = 48
CUTS: Final = 8
CUT_MARGIN: Final = 1.1
TICK_S: Final = 0.02
KEEP_CUT: Final = 1.05
"""A different set of stations must bring this much more before it replaces the old one."""
OMEGA: Final[Floats] = np.geomspace(0.01, 300.0, 600)


@dataclass(frozen=True, slots=True)
class Limit:
    """The gain that the delays allow.

    Attributes:
        slope_w_per_hz: Most power by frequency of the whole fleet.
        delay_s: Mean delay of the EVSEs that answer, with measurement and tick.
        cut_s: Slower EVSEs do not answer, because they would cost more gain than they bring.
        reason: One sentence while the gain is limited; empty while it is not.
        inertia_s: Inertia of the area that it was computed for.
        own_w_per_hz: What the delays alone allow, where something else narrowed the slope.
    """

    slope_w_per_hz: float = math.inf
    delay_s: float = math.nan
    cut_s: float = math.inf
    reason: str = ""
    inertia_s: float = math.nan
    own_w_per_hz: float = math.inf


def single_delay_limit(inertia_s: Floats, delay_s: Floats, factor: float) -> Floats:
    """Return the largest K for one common delay: πH/(factor·τ); shapes as given."""
    limit: Floats = math.pi * inertia_s / (factor * np.maximum(delay_s, 1e-6))
    return limit


def gain_limit(
    inertia_s: float, delays_s: Floats, weights: Floats, lag_s: float, factor: float
) -> float:
    """Return the largest K for a distribution of delays.

    The gain margin at every crossing of -180° is at least `factor`.

    Args:
        inertia_s: H of the area, s.
        delays_s: Delays, shape (n,).
        weights: The power of each, shape (n,).
        lag_s: Time constant of a first-order lag in front; 0 for none.
        factor: Gain margin.
    """
    mean = _mean_phasor(delays_s, weights)
    loop = mean / (2.0 * inertia_s * 1j * OMEGA * (1.0 + 1j * OMEGA * lag_s))
    crossing = (loop.imag[:-1] * loop.imag[1:] <= 0.0) & (loop.real[:-1] < 0.0)
    if not crossing.any():
        return math.inf
    return 1.0 / (factor * float(np.abs(loop[:-1][crossing]).max()))


def limit_slope(
    before: Limit,
    delays_s: Floats,
    power_w: Floats,
    *,
    wanted_share_per_hz: float,
    lag_s: float,
    p: Parameters,
) -> Limit:
    """Return the limit for the EVSEs that answer.

    Args:
        before: The last limit; a set of stations is kept unless another is clearly better.
        delays_s: Delay of each EVSE, shape (n,).
        power_w: Power of each, 0 where it does not answer.
        wanted_share_per_hz: The droop's slope, share of rated power by Hz.
        lag_s: Time constant of the droop's lag.
        p: Inertia, area power, factor, delay of measurement.
    """
    total_w = float(power_w.sum())
    if total_w <= 0.0:
        return Limit()
    unit = p.area_power_w / (p.nominal_hz * p.fleet_scale)  # W/Hz of K = 1
    answering = power_w > 0.0
    delay_s, weight = delays_s[answering] + _loop_s(p), power_w[answering]
    mean_s = float((delay_s * weight).sum()) / total_w
    wanted = wanted_share_per_hz * total_w
    worst = gain_limit(
        p.inertia_s, delay_s.max(keepdims=True), np.ones(1), lag_s, p.stability_factor
    )
    if wanted <= worst * unit:
        return Limit(worst * unit, mean_s)
    best = _best_cut(before, delay_s, weight, wanted_share_per_hz, lag_s, unit, p)
    slope, cut_s, kept_w = best
    used = delay_s <= cut_s
    mean_s = float((delay_s[used] * weight[used]).sum() / weight[used].sum())
    if slope >= wanted_share_per_hz * kept_w and kept_w >= total_w:
        return Limit(slope, mean_s)
    reason = (
        f"gain {wanted:.3g} W/Hz limited to {slope:.3g} W/Hz: delay {mean_s:.2f} s, "
        f"inertia {p.inertia_s:g} s, factor {p.stability_factor:g}"
    )
    if kept_w < total_w:
        reason += f"; stations slower than {_margin_s(cut_s, p):.2f} s do not answer"
        return Limit(slope, mean_s, _margin_s(cut_s, p), reason)
    return Limit(slope, mean_s, math.inf, reason)


def _best_cut(
    before: Limit,
    delay_s: Floats,
    weight: Floats,
    share_per_hz: float,
    lag_s: float,
    unit: float,
    p: Parameters,
) -> tuple[float, float, float]:
    """Return (slope limit W/Hz, cut, power kept) of the set of fast stations that answers most."""
    quantiles = np.quantile(delay_s, np.linspace(1.0 / CUTS, 1.0, CUTS))
    cuts = np.unique(np.append(quantiles, delay_s.max()))
    best, best_gain = (0.0, math.inf, 0.0), -math.inf
    for cut_s in cuts.tolist():
        used = delay_s <= cut_s
        kept_w = float(weight[used].sum())
        limit = unit * gain_limit(
            p.inertia_s, delay_s[used], weight[used], lag_s, p.stability_factor
        )
        gain = min(limit, share_per_hz * kept_w)
        if math.isclose(_margin_s(cut_s, p), before.cut_s, rel_tol=0.05):
            gain *= KEEP_CUT
        if gain > best_gain:
            best, best_gain = (limit, cut_s, kept_w), gain
    return best


def _margin_s(cut_s: float, p: Parameters) -> float:
    """Return the delay of a station itself at the cut, with room for its next measurements."""
    return CUT_MARGIN * (cut_s - _loop_s(p))


def _loop_s(p: Parameters) -> float:
    """Return the part of the delay that all stations share: measurement, hold and tick."""
    return p.measurement_delay_s + 1.5 * TICK_S


def _mean_phasor(delays_s: Floats, weights: Floats) -> Complexes:
    """Return E[exp(-jωτ)] over `OMEGA`; many delays are gathered in bins first."""
    if delays_s.size <= BINS:
        turns, shares = np.outer(OMEGA, delays_s), weights / weights.sum()
        few: Complexes = np.cos(turns) @ shares - 1j * (np.sin(turns) @ shares)
        return few
    low, high = float(delays_s.min()), float(delays_s.max())
    edges = np.linspace(low, max(high, low + 1e-9), BINS + 1)
    sums, _ = np.histogram(delays_s, edges, weights=weights)
    turn = np.exp(-1j * OMEGA * (edges[1] - edges[0]))
    mean: Complexes = np.zeros(OMEGA.shape, np.complex128)
    for weight in (sums / sums.sum())[::-1].tolist():  # Horner: bins lie at equal distances
        mean = mean * turn + weight
    # the upper edge of a bin: the careful side
    late: Complexes = mean * np.exp(-1j * OMEGA * edges[1])
    return late
