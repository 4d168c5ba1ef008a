"""The delay margin of a loop with delay: how much later the fleet may answer.

    L(jω) = K · G(jω) · E[exp(−jωτ)] · sinc(ωT/2) · exp(−jωT/2) / (1 + jωT_lag)

G is the area from power to frequency with its governors, τ the vehicles' delays weighted by
power, T the period at which each vehicle is told (their phases are spread, so that the mean of
the waiting time is what the sinc and the half period say), T_lag the droop's response time.

A further common delay Δ turns L by exp(−jωΔ). The loop is stable without it when the Nyquist curve
does not surround −1; it stays so until, at some ω with |L| = 1, the turn reaches −180°.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from agent.study.grid import Complex, Floats, Model

Loop = Callable[[Floats], Complex]
OMEGA: Final[Floats] = np.geomspace(1e-4, 400.0, 6_000)
BLOCK: Final = 400
BINS: Final = 256


@dataclass(frozen=True, slots=True)
class Margin:
    """What the loop allows.

    Attributes:
        stable: Without any further delay. `delay_s`: further common delay up to the boundary;
            infinite where none breaks it, 0 where it is unstable already.
        gain: Factor on K up to the boundary, at the present delays.
        omega_rad_s: Angular frequency of the oscillation at the boundary of the delay.
        phase_deg: Phase margin at that frequency.
    """

    stable: bool
    delay_s: float
    gain: float
    omega_rad_s: float
    phase_deg: float


def fleet_loop(
    model: Model,
    gain_pu: float,
    delays_s: Floats,
    weights: Floats,
    period_s: Floats | float = 0.0,
    lag_s: float = 0.0,
) -> Loop:
    """Return L for a fleet.

    Args:
        model: The area, open loop (it must be stable by itself).
        gain_pu: K: pu of the area's power by pu of frequency, steepest part of the droop.
        delays_s: Delay of each vehicle, shape (n,).
        weights: Its power.
        period_s: How often each is told; one, or shape (n,).
        lag_s: Time constant of the droop's response time.
    """
    delays_s, periods_s, weights = _binned(
        delays_s, np.broadcast_to(period_s, np.shape(delays_s)), weights
    )

    def loop(omega: Floats) -> Complex:
        turns = np.exp(-1j * np.multiply.outer(omega, delays_s + 0.5 * periods_s))
        held = np.sinc(np.multiply.outer(omega, periods_s) / (2.0 * math.pi))
        mean = (turns * held) @ weights
        result: Complex = gain_pu * model.response(omega) * mean / (1.0 + 1j * omega * lag_s)
        return result

    return loop


def lfc_loop(model: Model, kp: float, ki: float, bias_pu: float) -> Loop:
    """Return L of load-frequency control: u = −(KP + KI/s)·β·Δf into the load reference.

    The loop of Jiang et al. 2012 and Sönmez et al. 2016, with the delay left out.
    """

    def loop(omega: Floats) -> Complex:
        controller = bias_pu * (kp + ki / (1j * omega))
        result: Complex = controller * model.reference_response(omega)
        return result

    return loop


def margin_of(loop: Loop) -> Margin:
    """Return the margins of a loop; its open loop must be stable (an integrator is)."""
    values = np.concatenate(
        [loop(part) for part in np.array_split(OMEGA, math.ceil(len(OMEGA) / BLOCK))]
    )
    gain = _gain_margin(values)
    stable = not _surrounds(values)
    size = np.abs(values)
    crossings = np.flatnonzero((size[:-1] - 1.0) * (size[1:] - 1.0) < 0.0)
    if not stable:
        return Margin(False, 0.0, gain, math.nan, math.nan)
    best = Margin(True, math.inf, gain, math.nan, math.inf)
    for at in crossings.tolist():
        omega = _refined(loop, OMEGA[at], OMEGA[at + 1])
        value = complex(loop(np.array([omega]))[0])
        phase = math.remainder(math.atan2(value.imag, value.real) + math.pi, 2.0 * math.pi)
        phase = phase if phase > 0.0 else phase + 2.0 * math.pi
        if phase / omega < best.delay_s:
            best = Margin(True, phase / omega, gain, omega, math.degrees(phase))
    return best


def inertia_margin_s(inertia_s: float, damping_pu: float, gain_pu: float) -> float:
    """Return τ* of inertia and damping alone: 2H·arccos(−D/K)/√(K² − D²)."""
    if gain_pu <= damping_pu:
        return math.inf
    return (
        2.0 * inertia_s * math.acos(-damping_pu / gain_pu) / math.sqrt(gain_pu**2 - damping_pu**2)
    )


def _refined(loop: Loop, low: float, high: float) -> float:
    def excess(omega: float) -> float:
        return abs(complex(loop(np.array([omega]))[0])) - 1.0

    return float(brentq(excess, low, high, xtol=1e-12, rtol=1e-12))


def _gain_margin(values: Complex) -> float:
    """Return the smallest factor at which the curve passes −1."""
    imag, real = values.imag, values.real
    at = np.flatnonzero((imag[:-1] * imag[1:] <= 0.0) & (real[:-1] < 0.0) & (real[1:] < 0.0))
    if not at.size:
        return math.inf
    part = imag[at] / np.where(imag[at] == imag[at + 1], 1.0, imag[at] - imag[at + 1])
    crossing = real[at] + part * (real[at + 1] - real[at])
    return float(1.0 / np.abs(crossing).max())


def _surrounds(values: Complex) -> bool:
    """Return whether the Nyquist curve surrounds −1 (open loop stable, at most one integrator)."""
    phase = np.unwrap(np.angle(values + 1.0))
    # The part from 0 to the first frequency adds nothing for a stable plant and a quarter turn for
    # an integrator, of which the rounding takes care.
    return bool(round((phase[-1] - phase[0]) / math.pi) != 0)


def _binned(
    delays_s: Floats, periods_s: NDArray[np.float64], weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return delays, periods and weights; thousands of vehicles are gathered in bins."""
    delays_s, weights = np.asarray(delays_s, np.float64), np.asarray(weights, np.float64)
    if delays_s.size > BINS:
        parts = []
        for period_s in np.unique(periods_s):
            of = periods_s == period_s
            low, high = float(delays_s[of].min()), float(delays_s[of].max())
            edges = np.linspace(low, max(high, low + 1e-9), BINS + 1)
            sums, _ = np.histogram(delays_s[of], edges, weights=weights[of])
            moments, _ = np.histogram(delays_s[of], edges, weights=(weights * delays_s)[of])
            used = sums > 0.0
            parts.append((moments[used] / sums[used], np.full(used.sum(), period_s), sums[used]))
        delays_s, periods_s, weights = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
    return delays_s, np.asarray(periods_s, np.float64), weights / weights.sum()
