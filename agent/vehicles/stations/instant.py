"""One moment in both clocks, taken once for each event."""

from __future__ import annotations

import time
from typing import NamedTuple


class Instant(NamedTuple):
    """`mono_s` for every timer and age, `utc_s` for data."""

    mono_s: float
    utc_s: float

    @staticmethod
    def now() -> Instant:
        """The present."""
        return Instant(time.monotonic(), time.time())
