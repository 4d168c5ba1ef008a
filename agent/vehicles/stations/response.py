"""Measures how long a vehicle takes to deliver what it was ordered."""

from __future__ import annotations

import math
from typing import Final

TOLERANCE_W: Final = 100.0
TOLERANCE: Final = 0.05
"""Delivered means within this share of the ordered power, or `TOLERANCE_W` if that is more."""
GIVE_UP_S: Final = 30.0


class ResponseTimer:
    """Time from an order on the wire to the first measurement that shows it delivered.

    A newer order restarts the measurement, and an order that the vehicle already meets measures
    nothing. What counts is when the measurement arrives: the control cannot know earlier.
    """

    __slots__ = ("_order_w", "_sent_s", "latency_s")

    def __init__(self) -> None:
        self.latency_s = math.nan
        self._order_w: float | None = None
        self._sent_s = 0.0

    def ordered(self, p_w: float, sent_s: float, present_w: float | None) -> None:
        """An order of `p_w` was written at `sent_s` while the vehicle delivered `present_w`."""
        delivered = present_w is not None and is_delivered(p_w, present_w)
        self._order_w = None if delivered else p_w
        self._sent_s = sent_s

    def measured(self, p_w: float, arrived_s: float) -> None:
        """The station reported `p_w`; the report arrived at `arrived_s`."""
        if self._order_w is None:
            return
        if arrived_s - self._sent_s > GIVE_UP_S:
            self._order_w = None
        elif is_delivered(self._order_w, p_w):
            self.latency_s = arrived_s - self._sent_s
            self._order_w = None

    def cancel(self) -> None:
        """The order was refused or the station is gone."""
        self._order_w = None


def is_delivered(ordered_w: float, p_w: float) -> bool:
    """Whether `p_w` is what was ordered, within the tolerance."""
    return abs(p_w - ordered_w) <= max(TOLERANCE_W, TOLERANCE * abs(ordered_w))
