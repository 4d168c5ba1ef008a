"""What the vehicles hold: energy that may be given or taken, from what the stations report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.messages import EvseView


@dataclass(frozen=True, slots=True)
class Stock:
    """Sum over plugged vehicles whose battery is known.

    Attributes:
        soc_pct: Mean weighted by capacity; None while no battery is known.
        stored_wh: Energy in the batteries.
        up_wh: Energy above the lower SoC limits. `down_wh`: room below the upper ones.
    """

    soc_pct: float | None = None
    stored_wh: float = 0.0
    up_wh: float = 0.0
    down_wh: float = 0.0


def stock(views: Iterable[EvseView], min_soc_pct: float, max_soc_pct: float) -> Stock:
    """Return the energy of the fleet within the tighter of the site's and each vehicle's window."""
    capacity_wh = stored_wh = up_wh = down_wh = 0.0
    for view in views:
        status = view.status
        if not status.plugged or not status.capacity_wh or status.soc_pct is None:
            continue
        low = max(min_soc_pct, status.soc_min_pct or 0.0)
        high = min(max_soc_pct, 100.0 if status.soc_max_pct is None else status.soc_max_pct)
        share = status.capacity_wh / 100.0
        capacity_wh += status.capacity_wh
        stored_wh += share * status.soc_pct
        up_wh += share * max(0.0, status.soc_pct - low)
        down_wh += share * max(0.0, high - status.soc_pct)
    soc_pct = 100.0 * stored_wh / capacity_wh if capacity_wh else None
    return Stock(soc_pct, stored_wh, up_wh, down_wh)
