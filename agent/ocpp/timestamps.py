"""Times of OCPP: RFC 3339 text in UTC."""

from __future__ import annotations

import functools
import math
from datetime import UTC, datetime


def format_utc(t_utc_s: float) -> str:
    """Return `2026-01-01T00:00:00.000Z`; at most three decimals (2.0.1 part 2, 3.1.3)."""
    return _format_ms(math.floor(t_utc_s * 1000.0))


@functools.lru_cache(maxsize=8)
def _format_ms(t_utc_ms: int) -> str:
    """Orders of one burst share few milliseconds."""
    moment = datetime.fromtimestamp(t_utc_ms / 1000.0, UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_utc(text: object) -> float | None:
    """Return UTC seconds, or None where `text` is no time; a missing zone is UTC."""
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None
