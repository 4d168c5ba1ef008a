"""Times of OCPP: RFC 3339 text in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def format_utc(t_utc_s: float) -> str:
    """Return `2026-01-01T00:00:00.000Z`; at most three decimals (2.0.1 part 2, 3.1.3)."""
    return datetime.fromtimestamp(t_utc_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


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
