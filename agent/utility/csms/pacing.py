"""How long to wait: for an answer (from measured round trips), and before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_ALPHA: Final = 1 / 8
_BETA: Final = 1 / 4
_DEVIATIONS: Final = 4.0
MAX_DOUBLINGS: Final = 6
STEADY_S: Final = 60.0
"""A connection that held this long has worked: the next loss starts with the shortest pause."""


@dataclass(slots=True)
class RoundTrip:
    """Time to wait for an answer, as TCP measures it (RFC 6298, clause 2).

    A cellular link of three seconds gets the time it needs, a wire does not wait in vain for
    minutes. An answer that did not come in time doubles the time until one does.

    Attributes:
        least_s, most_s: Bounds of `timeout_s`.
        smoothed_s: Mean round trip; 0 before the first.
    """

    least_s: float
    most_s: float
    smoothed_s: float = 0.0
    _deviation_s: float = 0.0
    _doublings: int = 0

    def measured(self, seconds: float) -> None:
        """An answer took this long."""
        self._doublings = 0
        if self.smoothed_s == 0.0:
            self.smoothed_s, self._deviation_s = seconds, seconds / 2.0
            return
        error_s = abs(self.smoothed_s - seconds)
        self._deviation_s += _BETA * (error_s - self._deviation_s)
        self.smoothed_s += _ALPHA * (seconds - self.smoothed_s)

    def missed(self) -> None:
        """No answer came in time."""
        self._doublings = min(self._doublings + 1, MAX_DOUBLINGS)

    @property
    def timeout_s(self) -> float:
        """Time to wait for the next answer."""
        expected_s = self.smoothed_s + _DEVIATIONS * self._deviation_s
        return min(max(expected_s, self.least_s) * 2.0**self._doublings, self.most_s)


@dataclass(slots=True)
class Backoff:
    """Pauses between attempts: doubled, and drawn at random so that a fleet does not march.

    "Full jitter": any time up to the doubled pause; never less than half of the first, so that a
    server that refuses at once is not asked in a tight loop.
    """

    least_s: float
    most_s: float
    draw: Callable[[], float] = random.random
    attempts: int = 0

    def next_s(self) -> float:
        """Return the pause before the next attempt."""
        ceiling_s = min(self.least_s * 2.0 ** min(self.attempts, 30), self.most_s)
        self.attempts += 1
        return max(self.least_s / 2.0, ceiling_s * self.draw())

    def held(self, seconds: float) -> None:
        """A connection lasted this long."""
        if seconds >= STEADY_S:
            self.attempts = 0
