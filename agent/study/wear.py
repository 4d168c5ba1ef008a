"""What the answers cost the batteries, by two published models.

- Schmalstieg et al., A holistic aging model for Li(NiMnCo)O2 based 18650 lithium-ion batteries,
  J. Power Sources 257 (2014): capacity C = 1 − α·t^0.75 − β·√Q, t in days, Q in Ah of a cell.
- Xu et al., Modeling of lithium-ion battery degradation for cell life assessment, IEEE Trans.
  Smart Grid 9(2) (2018): every cycle of depth δ costs 1/(1.4e5·δ^−0.501 − 1.23e5).

Both are read second-hand (verified = "secondary"); they were fitted to NMC and LMO cells.
"""

from __future__ import annotations

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


def xu_loss(depth: Floats) -> Floats:
    """Return the life lost by half a cycle of each depth (0 to 1), share of the whole, shape (n,).

    An answer to one event discharges, or charges: half a cycle. Its throughput taken as one depth
    is the careful side, because the loss rises faster than the depth.
    """
    depth = np.clip(depth, REST_DEPTH, 1.0)
    return np.where(depth > REST_DEPTH, 0.5 / (1.4e5 * depth**-0.501 - 1.23e5), 0.0)
