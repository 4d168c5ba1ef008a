"""Share a fleet target among EVSEs with the fewest changed setpoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.control.fleet import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """What each EVSE may do now; arrays of shape (n,), W, positive exports.

    Attributes:
        usable: It can carry out an order.
        base_w: What it does without the droop: its own charging, or what a request asks of it.
        low_w, high_w: Most import and most export; both zero where unusable.
        step_w: Smallest change the device makes.
    """

    usable: Bools
    base_w: Floats
    low_w: Floats
    high_w: Floats
    step_w: Floats


def share(
    ranges: Ranges, now_w: Floats, target_w: float, tolerance_w: float, free: Bools
) -> Floats:
    """Return the power of each EVSE so that the usable ones together make `target_w`.

    All contributions have the sign of the fleet's: nobody charges more so that another may
    discharge. Those with the largest room go first and all the way, so that few change.

    Args:
        ranges: Limits of each EVSE.
        now_w: What each does by its last order, shape (n,).
        target_w: Power of all usable EVSEs together.
        tolerance_w: A smaller deviation changes nothing.
        free: EVSEs that may be given another order now.
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
        return power_w + _pick(high_w - power_w, free, missing_w)
    return power_w - _pick(power_w - low_w, free, -missing_w)


def _pick(room_w: Floats, free: Bools, missing_w: float) -> Floats:
    """Return how far each moves: greedy by room, the last one by what is left."""
    candidates = np.flatnonzero(free & (room_w > 0.0))
    order = candidates[np.argsort(-room_w[candidates], kind="stable")]
    before_w = np.cumsum(room_w[order]) - room_w[order]
    moves_w: Floats = np.zeros_like(room_w)
    moves_w[order] = np.clip(missing_w - before_w, 0.0, room_w[order])
    return moves_w
