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

GROUPS: Final = 48
"""EVSEs of a large fleet are taken together, those of similar delay; this many groups."""
CUT_MARGIN: Final = 1.1
TICK_S: Final = 0.02
KEEP_CUT: Final = 1.05
"""A different set of stations must bring this much more before it replaces the old one."""
POINTS_BELOW: Final = 16
"""Frequencies below the lowest at which one delay alone could bring the loop to -180°."""
BEYOND: Final = 4.0
"""The grid ends at this many times the frequency at which the shortest delay alone does."""
BLOCK: Final = 32
MOST_BLOCKS: Final = 64
"""Bounds the time of a limit to half a tick, where delays differ more than 30-fold."""


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
    late_s, power_w = _grouped(delays_s, weights)
    omega = _grid(late_s, lag_s)
    mean: Complexes = (power_w / power_w.sum()) @ _phasors(late_s, omega)
    return float(_gain_limits(inertia_s, mean[np.newaxis], omega, lag_s, factor)[0])


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
    slope, cut_s = _best_cut(before, delay_s, weight, wanted_share_per_hz, lag_s, unit, p)
    used = delay_s <= cut_s
    kept_w = float(weight[used].sum())
    mean_s = float((delay_s[used] * weight[used]).sum()) / kept_w
    everybody = bool(used.all())
    if everybody and slope >= wanted:
        return Limit(slope, mean_s)
    reason = (
        f"gain {wanted:.3g} W/Hz limited to {slope:.3g} W/Hz: delay {mean_s:.2f} s, "
        f"inertia {p.inertia_s:g} s, factor {p.stability_factor:g}"
    )
    if not everybody:
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
) -> tuple[float, float]:
    """Return (slope limit W/Hz, cut) of the set of fast stations that answers most.

    Every set is one group larger than the one before it, and so are the sums over its phasors.
    """
    late_s, power_w = _grouped(delay_s, weight)
    kept_w = np.cumsum(power_w)
    omega = _grid(late_s, lag_s)
    phasors = power_w[:, np.newaxis] * _phasors(late_s, omega)
    means: Complexes = np.cumsum(phasors, axis=0) / kept_w[:, np.newaxis]
    limits = unit * _gain_limits(p.inertia_s, means, omega, lag_s, p.stability_factor)
    gains = np.minimum(limits, share_per_hz * kept_w)
    usual = np.isclose(CUT_MARGIN * (late_s - _loop_s(p)), before.cut_s, rtol=0.05)
    best = int(np.argmax(np.where(usual, KEEP_CUT * gains, gains)))
    return float(limits[best]), float(late_s[best])


def _gain_limits(
    inertia_s: float, means: Complexes, omega: Floats, lag_s: float, factor: float
) -> Floats:
    """Return the largest K for each mean phasor, shape (sets,); `means` has (sets, len(omega)).

    What lies beyond the grid counts with the most that it could be: phasors all in one direction.
    """
    plant = 1.0 / (2.0 * inertia_s * 1j * omega * (1.0 + 1j * omega * lag_s))
    loops = means * plant
    real, imag = loops.real, loops.imag
    below = imag < 0.0
    rows, at = np.nonzero((below[:, :-1] != below[:, 1:]) & (real[:, :-1] < 0.0))
    part = imag[rows, at] / (imag[rows, at] - imag[rows, at + 1])
    size = np.full(len(loops), abs(plant[-1]))
    np.maximum.at(size, rows, -(real[rows, at] + part * (real[rows, at + 1] - real[rows, at])))
    limits: Floats = 1.0 / (factor * size)
    return limits


def _margin_s(cut_s: float, p: Parameters) -> float:
    """Return the delay of a station itself at the cut, with room for its next measurements."""
    return CUT_MARGIN * (cut_s - _loop_s(p))


def _loop_s(p: Parameters) -> float:
    """Return the part of the delay that all stations share: measurement, hold and tick."""
    return p.measurement_delay_s + 1.5 * TICK_S


def _grid(late_s: Floats, lag_s: float) -> Floats:
    """Return equally spaced frequencies, rad/s, that resolve every turn of the slowest delay."""
    first, last = _turning(float(late_s[-1]), lag_s), _turning(float(late_s[0]), lag_s)
    blocks = math.ceil(BEYOND * last * POINTS_BELOW / (first * BLOCK))
    if blocks > MOST_BLOCKS:
        blocks, first = MOST_BLOCKS, BEYOND * last * POINTS_BELOW / (MOST_BLOCKS * BLOCK)
    return np.arange(1.0, blocks * BLOCK + 1.0) * (first / POINTS_BELOW)


def _turning(delay_s: float, lag_s: float) -> float:
    """Return about the ω at which integrator, lag and one delay make -180°: cot(ωτ) = ωT."""
    delay_s = max(delay_s, 1e-3)
    return 1.0 / math.sqrt(delay_s * (lag_s + 0.4 * delay_s))


def _phasors(delays_s: Floats, omega: Floats) -> Complexes:
    """Return exp(-jωτ), shape (delays, len(omega)), ω equally spaced from its first step."""
    turns = -1j * delays_s[:, np.newaxis]
    steps = np.exp(turns * omega[:BLOCK])
    blocks = np.exp(turns * (omega[::BLOCK] - omega[0]))
    result: Complexes = blocks[:, :, np.newaxis] * steps[:, np.newaxis, :]
    return result.reshape(len(delays_s), len(omega))


def _grouped(delays_s: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return delays in rising order and their weights; many are gathered in groups first.

    A group counts with its longest delay: the careful side. Groups hold equal numbers, so that
    a few very late EVSEs do not make the others' groups coarse.
    """
    if delays_s.size <= GROUPS:
        order = np.argsort(delays_s)
        return delays_s[order], weights[order]
    ends_s = np.unique(np.quantile(delays_s, np.linspace(1.0 / GROUPS, 1.0, GROUPS)))
    ends_s[-1] = delays_s.max()
    group = np.searchsorted(ends_s, delays_s)
    return ends_s, np.bincount(group, weights, len(ends_s)).astype(np.float64)
