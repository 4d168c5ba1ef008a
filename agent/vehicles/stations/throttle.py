"""Token buckets: how often something may happen."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

BURST_S: Final = 10.0
"""Every bucket holds ten seconds' worth."""
MAX_KEYS: Final = 8192


class Bucket:
    """One token bucket; full when made.

    Args:
        rate: Tokens a second.
        capacity: Tokens it holds; ten seconds' worth where None.
    """

    __slots__ = ("_at_s", "_capacity", "_level", "_rate")

    def __init__(self, rate: float, capacity: float | None = None) -> None:
        self._rate = rate
        self._capacity = rate * BURST_S if capacity is None else capacity
        self._level = self._capacity
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Take one token; False when there is none."""
        elapsed_s = now_s - self._at_s
        self._level = min(self._capacity, self._level + elapsed_s * self._rate)
        self._at_s = now_s
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Throttle:
    """A bucket for each key (an address); keys long unused are forgotten."""

    def __init__(self, rate: float, capacity: float | None = None) -> None:
        self._rate = rate
        self._capacity = capacity
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, key: str, now_s: float) -> bool:
        """Take one token of `key`; False when there is none."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate, self._capacity)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now_s)
