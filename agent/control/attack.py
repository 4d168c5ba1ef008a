"""Bounds on what remote orders may do to the grid: load-altering attacks.

Whoever takes over a CSMS could make thousands of vehicles push and pull together. The fleet
follows orders from afar only with a bounded ramp, turns only so often, and comes back at a time
of its own. The answer to frequency and the local operator are not bounded by this.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Final

from agent.control.parameters import Parameters

WINDOW_S: Final = 60.0
NOTABLE: Final = 0.01
"""A wish closer than this share of the fleet's power is no reversal."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far remote orders have moved the fleet.

    Attributes:
        value_w: The offset now, positive exports.
        direction: Sign of the last movement.
        turns_s: Monotonic instants of the reversals of the last minute.
    """

    value_w: float = 0.0
    direction: int = 0
    turns_s: tuple[float, ...] = ()


def follow(
    offset: Offset, wanted_w: float, rated_w: float, now_s: float, dt_s: float, p: Parameters
) -> Offset:
    """Return the offset after `dt_s` on its way to `wanted_w`.

    Args:
        offset: As it was.
        wanted_w: What remote orders ask for; 0 when none is in force, which is always allowed.
        rated_w: Power of the fleet.
        now_s: Monotonic instant.
        dt_s: Time since the last step.
        p: Ramp share and reversals.
    """
    turns_s = tuple(t for t in offset.turns_s if now_s - t < WINDOW_S)
    missing_w = wanted_w - offset.value_w
    step_w = p.ramp_share_per_s * rated_w * dt_s
    if missing_w == 0.0 or (abs(missing_w) <= step_w and offset.direction == 0):
        return Offset(wanted_w, offset.direction, turns_s)
    direction = 1 if missing_w > 0.0 else -1
    notable = abs(missing_w) > NOTABLE * rated_w
    if offset.direction and direction != offset.direction and notable:
        if len(turns_s) >= p.reversals_per_min and wanted_w != 0.0:
            return Offset(offset.value_w, offset.direction, turns_s)
        turns_s = (*turns_s, now_s)
    elif not notable:
        direction = offset.direction
    moved_w = offset.value_w + math.copysign(min(step_w, abs(missing_w)), missing_w)
    return Offset(moved_w, direction, turns_s)


def random_delay_s(p: Parameters, count: int) -> float:
    """Return the random part of a return, 0 to `random_return_s`; the same for the same count.

    Two gateways differ by their names, so that they do not come back at the same instant.
    """
    word = zlib.crc32(f"{p.name}/{count}".encode())
    return p.random_return_s * word / 2**32
