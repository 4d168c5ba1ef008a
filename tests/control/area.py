"""A single area with inertia, a reheat turbine and a delayed fleet; one row a contingency.

The turbine is Anderson and Mirheydar's (1990): power = -(1/R)·Km·(FH + (1 - FH)/(1 + s·TR))·Δf.
Everything is in per unit of the area's power and frequency, vectorised over contingencies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DT_S = 0.01
STABLE_HZ = 0.03


@dataclass(frozen=True)
class Contingencies:
    """Draws, arrays of shape (n,): inertia s, EV share, delay s, loss pu, governor droop."""

    inertia_s: Floats
    share: Floats
    delay_s: Floats
    loss: Floats
    governor: Floats
    damping: Floats

    @classmethod
    def draw(cls, count: int, seed: int) -> Contingencies:
        """Draw wide: weak and strong areas, few and many vehicles, fast and slow stations."""
        rng = np.random.default_rng(seed)
        return cls(
            inertia_s=rng.uniform(1.5, 6.0, count),
            share=rng.uniform(0.02, 0.5, count),
            delay_s=np.exp(rng.uniform(np.log(0.05), np.log(1.0), count)),
            loss=rng.uniform(0.02, 0.15, count),
            governor=rng.uniform(0.03, 0.10, count),
            damping=rng.uniform(0.0, 2.0, count),
        )


@dataclass(frozen=True)
class Run:
    """Nadir in Hz, and whether the frequency still swings at the end; shape (n,)."""

    nadir_hz: Floats
    unstable: NDArray[np.bool_]


def simulate(
    draws: Contingencies,
    gain: Floats,
    *,
    deadband: float,
    nominal_hz: float,
    seconds: float = 25.0,
) -> Run:
    """Lose `loss` at t = 0; the fleet answers with `gain` (pu/pu) after its delay."""
    count = draws.share.size
    steps = round(seconds / DT_S)
    late = np.maximum(1, np.round(draws.delay_s / DT_S).astype(np.int64))
    depth = int(late.max()) + 1
    past = np.zeros((depth, count))
    columns = np.arange(count)
    frequency = np.zeros(count)
    reheat = np.zeros(count)
    nadir = np.zeros(count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    for k in range(steps):
        past[k % depth] = frequency
        seen = past[(k - late) % depth, columns] * (k >= late)
        beyond = np.sign(seen) * np.maximum(np.abs(seen) - deadband, 0.0)
        fleet = np.clip(-gain * beyond, -draws.share, draws.share)
        turbine = -frequency / draws.governor * 0.95
        reheat += DT_S * (turbine - reheat) / 8.0
        power = 0.3 * turbine + 0.7 * reheat
        frequency = frequency + DT_S * (power + fleet - draws.loss - draws.damping * frequency) / (
            2.0 * draws.inertia_s
        )
        nadir = np.minimum(nadir, frequency)
        if k >= steps - round(5.0 / DT_S):
            low, high = np.minimum(low, frequency), np.maximum(high, frequency)
    drift = np.abs(power + fleet - draws.loss)
    return Run(nadir * nominal_hz, (high - low) * nominal_hz > STABLE_HZ + 2.0 * drift)
