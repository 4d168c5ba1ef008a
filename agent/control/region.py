"""What many gateways of one area agree on, as this gateway's control takes it.

Four settings, each of which can only narrow the local envelope: the area's inertia, this
gateway's part of the gain that the area admits, and its part of the reserve, up and down. They
come as requests with a lease like every other; without any, the local values hold.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from agent.control.parameters import Parameters
from agent.control.stability import Limit

INERTIA: Final = "inertia_s"
GAIN: Final = "gain_w_per_hz"
RESERVE_UP: Final = "reserve_up_w"
RESERVE_DOWN: Final = "reserve_down_w"
NAMES: Final = (INERTIA, GAIN, RESERVE_UP, RESERVE_DOWN)
LEAST: Final = {INERTIA: 0.01, GAIN: 0.0, RESERVE_UP: 0.0, RESERVE_DOWN: 0.0}


def local_values(p: Parameters) -> dict[str, float]:
    """Return the local envelope; infinity where it has no limit of its own."""
    up_w, down_w = p.contract_up_w, p.contract_down_w
    return {
        INERTIA: p.inertia_s,
        GAIN: math.inf,
        RESERVE_UP: math.inf if up_w is None else up_w,
        RESERVE_DOWN: math.inf if down_w is None else down_w,
    }


def narrowed(p: Parameters, settings: dict[str, float]) -> Parameters:
    """Return the parameters with the area's inertia and the reserve in force."""
    inertia_s = min(p.inertia_s, settings[INERTIA])
    up_w, down_w = settings[RESERVE_UP], settings[RESERVE_DOWN]
    if (inertia_s, up_w, down_w) == (p.inertia_s, p.reserve_up_w, p.reserve_down_w):
        return p
    return replace(p, inertia_s=inertia_s, reserve_up_w=up_w, reserve_down_w=down_w)


def within(limit: Limit, settings: dict[str, float]) -> Limit:
    """Return the tighter of the limit of our own delays and our part of the area's gain."""
    slope = min(settings[GAIN], limit.own_w_per_hz)
    return limit if slope == limit.slope_w_per_hz else replace(limit, slope_w_per_hz=slope)
