"""Share a fleet target among EVSEs with the fewest changed setpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from agent.control.fleet import Bools, Floats
from agent.control.ranges import Ranges, snapped

PASSES: Final = 4
"""How often what some devices cannot make exactly is shared among the others."""


def fixed(ranges: Ranges, still: Bools) -> Ranges:
    """Return the ranges with the EVSEs of `still` fixed at their base."""
    return replace(
        ranges,
        low_w=np.where(still, ranges.base_w, ranges.low_w),
        high_w=np.where(still, ranges.base_w, ranges.high_w),
    )


def settle(
    ranges: Ranges,
    now_w: Floats,
    target_w: float,
    tolerance_w: float,
    free: Bools,
    rank: Callable[[], Floats],
) -> Floats:
    """Return powers that the devices can make and that together make `target_w`.

    A device that cannot do exactly what its share asks (its smallest power is larger, its steps
    are coarse) does the nearest it can; those that can do the rest exactly make up for it.
    Arguments as for `share`.
    """
    for _ in range(PASSES):
        asked_w = share(ranges, now_w, target_w, tolerance_w, free, rank)
        now_w = snapped(asked_w, ranges)
        if np.array_equal(now_w, asked_w):
            break
        alone_w = np.clip(now_w + target_w - now_w.sum(), ranges.low_w, ranges.high_w)
        free = free & (snapped(alone_w, ranges) == alone_w)
    return now_w


def share(
    ranges: Ranges,
    now_w: Floats,
    target_w: float,
    tolerance_w: float,
    free: Bools,
    rank: Callable[[], Floats],
) -> Floats:
    """Return the power of each EVSE so that the usable ones together make `target_w`.

    All contributions have the sign of the fleet's: nobody charges more so that another may
    discharge. The fastest latency class goes first, then the least worn, then those with the
    largest room, and all the way, so that few change.

    Args:
        ranges: Limits of each EVSE.
        now_w: What each does by its last order, shape (n,).
        target_w: Power of all usable EVSEs together.
        tolerance_w: A smaller deviation changes nothing.
        free: EVSEs that may be given another order now.
        rank: Gives the order of asking, lowest first; called only when somebody is asked.
    """
    answer_w = target_w - float(ranges.base_w.sum())
    if abs(answer_w) <= tolerance_w:
        return ranges.base_w
    low_w = ranges.base_w if answer_w > 0 else ranges.low_w
    high_w = ranges.high_w if answer_w > 0 else ranges.base_w
    power_w: Floats = np.clip(now_w, low_w, high_w)
    missing_w = target_w - float(power_w.sum())
    if abs(missing_w) <= tolerance_w:
        return power_w
    if missing_w > 0:
        return power_w + _pick(high_w - power_w, free, rank(), missing_w)
    return power_w - _pick(power_w - low_w, free, rank(), -missing_w)


def _pick(room_w: Floats, free: Bools, rank: Floats, missing_w: float) -> Floats:
    """Return how far each moves: greedy in the order of asking, the last by what is left."""
    moves_w: Floats = np.zeros_like(room_w)
    candidates = np.flatnonzero(free & (room_w > 0.0))
    if candidates.size == 0:
        return moves_w
    room = room_w[candidates]
    order = np.argsort(rank[candidates] - room / (room.max() * 32.0), kind="stable")
    before_w = np.cumsum(room[order]) - room[order]
    moves_w[candidates[order]] = np.clip(missing_w - before_w, 0.0, room[order])
    return moves_w
