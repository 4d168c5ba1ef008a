"""How long a share of the region holds, and how it ends; pure: age is an argument.

Within its lease and `hold_s` beyond it a share holds as it is. Then it moves evenly, within
`decay_s`, to what the local configuration allows by itself, and is gone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.control.region import GAIN, INERTIA, RESERVE_DOWN, RESERVE_UP
from agent.utility.bus.fleet_model import Share


@dataclass(frozen=True, slots=True)
class Terms:
    """`[fleet]` as far as it concerns a share."""

    hold_s: float
    decay_s: float


def phase(share: Share, age_s: float, terms: Terms) -> str:
    """Return `fresh`, `held`, `decaying` or `over`."""
    beyond_s = max(age_s, 0.0) - share.lease_s
    if beyond_s <= 0.0:
        return "fresh"
    if beyond_s <= terms.hold_s:
        return "held"
    return "decaying" if beyond_s < terms.hold_s + terms.decay_s else "over"


def remaining_s(share: Share, age_s: float, terms: Terms) -> float:
    """Return the time until nothing is left of a share."""
    return max(0.0, share.lease_s + terms.hold_s + terms.decay_s - max(age_s, 0.0))


def values(share: Share, age_s: float, local: dict[str, float], terms: Terms) -> dict[str, float]:
    """Return the settings that a share means now; only those narrower than the local ones.

    Args:
        share: As it was received.
        age_s: Since it was received, on a clock that nobody steps.
        local: What holds without the region, by the names of `agent.control.region`; infinity
            where there is no such limit.
        terms: Settings.
    """
    if phase(share, age_s, terms) == "over":
        return {}
    beyond_s = max(0.0, age_s - share.lease_s - terms.hold_s)
    gone = beyond_s / terms.decay_s if terms.decay_s > 0.0 else 0.0
    wanted = {
        INERTIA: share.inertia_s,
        GAIN: share.gain_w_per_hz,
        RESERVE_UP: share.reserve_up_w,
        RESERVE_DOWN: share.reserve_down_w,
    }
    found: dict[str, float] = {}
    for name, value in wanted.items():
        if value is None or value >= local[name]:
            continue
        end = local[name]
        found[name] = value + gone * (end - value) if math.isfinite(end) else value
    return found
