"""Token buckets: so many at once, so many a second, for each name."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

NAMES_MAX: Final = 4096


@dataclass(slots=True)
class RateLimit:
    """Bounds how often each name may do something.

    Attributes:
        burst: So many at once. `per_s`: refilled so fast.
    """

    burst: float
    per_s: float
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def allows(self, name: str, now_s: float) -> bool:
        """Take one from the bucket of `name`; False where it is empty."""
        left, then_s = self._buckets.pop(name, (self.burst, now_s))
        left = min(self.burst, left + (now_s - then_s) * self.per_s)
        allowed = left >= 1.0
        self._buckets[name] = (left - 1.0 if allowed else left, now_s)
        if len(self._buckets) > NAMES_MAX:
            self._buckets.popitem(last=False)
        return allowed
