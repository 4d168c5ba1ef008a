"""Date and time as OCPI writes them: RFC 3339, always UTC, with or without the `Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from agent.errors import DecodeError

_FORM: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z?", re.ASCII)


def parse_time(text: str) -> float:
    """Return UTC seconds since 1970.

    Raises:
        DecodeError: Not a DateTime of OCPI 2.2.1 (clause 17.5); `+00:00` is none.
    """
    if not _FORM.fullmatch(text):
        raise DecodeError(f"{text[:32]!r} is no DateTime, as in 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise DecodeError(f"{text!r}: {error}") from error


def format_time(utc_s: float) -> str:
    """Return a DateTime with milliseconds."""
    moment = datetime.fromtimestamp(utc_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
