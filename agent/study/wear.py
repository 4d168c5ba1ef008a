"""What the answers cost the batteries, by two published models.

- Schmalstieg et al., A holistic aging model for Li(NiMnCo)O2 based 18650 lithium-ion batteries,
  J. Power Sources 257 (2014): capacity C = 1 − α·t^0.75 − β·√Q, t in days, Q in Ah of a cell.
- Xu et al., Modeling of lithium-ion battery degradation for cell life assessment, IEEE Trans.
  Smart Grid 9(2) (2018): every rainflow cycle of depth δ costs 1/(1.4e5·δ^−0.501 − 1.23e5).

Both are read second-hand (verified = "secondary"); they were fitted to NMC and LMO cells.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from agent.study.grid import Floats

CELL_AH: Final = 2.05
"""Of the cell that Schmalstieg et al. aged (Sanyo UR18650E)."""
CELL_V: Final = 3.67
AGE_Q_AH: Final = 300.0 * CELL_AH
"""Charge that has passed a cell before: some 150 full cycles, a car of a few years."""
REST_DEPTH: Final = 1e-4


def schmalstieg_loss(throughput_wh: Floats, capacity_wh: Floats, soc_pct: Floats) -> Floats:
    """Return the capacity lost by a throughput, share of the new one, shape (n,).

    The cyclic part only: the calendar's goes on with or without the service.
    """
    charge_ah = throughput_wh / capacity_wh * CELL_AH
    depth = np.minimum(throughput_wh / capacity_wh, 1.0)
    voltage = CELL_V + 0.007 * (soc_pct - 50.0)
    beta = 7.348e-3 * (voltage - 3.667) ** 2 + 7.6e-4 + 4.081e-3 * depth
    result: Floats = beta * (np.sqrt(AGE_Q_AH + charge_ah) - np.sqrt(AGE_Q_AH))
    return result


def xu_loss(soc: Floats) -> float:
    """Return the life lost by a course of SoC (0 to 1), shape (t,), share of the whole."""
    return sum(count * xu_cycle(depth) for depth, count in rainflow(soc))


def xu_cycle(depth: float) -> float:
    """Return the life that one full cycle of a depth (0 to 1) takes."""
    if depth < REST_DEPTH:
        return 0.0
    return 1.0 / (1.4e5 * math.pow(min(depth, 1.0), -0.501) - 1.23e5)


def rainflow(values: Floats) -> list[tuple[float, float]]:
    """Return (range, count) of the cycles in a course: ASTM E1049-85, 5.4.4; halves count 0.5."""
    cycles: list[tuple[float, float]] = []
    stack: list[float] = []
    for point in _turning_points(values):
        stack.append(point)
        while len(stack) >= 3:
            newest, before = abs(stack[-1] - stack[-2]), abs(stack[-2] - stack[-3])
            if newest < before:
                break
            if len(stack) == 3:
                cycles.append((before, 0.5))
                stack.pop(0)
            else:
                cycles.append((before, 1.0))
                del stack[-3:-1]
    cycles += [(abs(b - a), 0.5) for a, b in pairwise(stack)]
    return cycles


def _turning_points(values: Floats) -> list[float]:
    moved = values[np.concatenate([[True], np.diff(values) != 0.0])]
    if len(moved) < 3:
        return [float(value) for value in moved]
    turns = np.sign(np.diff(moved))
    kept = np.concatenate([[True], turns[1:] != turns[:-1], [True]])
    return [float(value) for value in moved[kept]]
