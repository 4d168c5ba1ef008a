"""JSON as a signed message must have it: bounded, finite, every member once."""

from __future__ import annotations

import json
from typing import Any, Final

from agent.errors import DecodeError
from agent.ocpp.limits import Limits, parse

TOKEN_LIMITS: Final = Limits(size=16 * 1024, depth=8, digits=32)


def parse_strictly(data: bytes, limits: Limits = TOKEN_LIMITS) -> Any:
    """Return the JSON value of `data`.

    Two parsers that meet the same member twice may choose differently, so that one checks what
    the other does not obey; RFC 7515 clause 4 lets a receiver refuse it.

    Raises:
        DecodeError: Too large, too deep, not finite, not JSON, or a member that comes twice.
    """
    parse(data, limits)
    return json.loads(data, object_pairs_hook=_once)


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise DecodeError(f"the member {twice[:32]!r} comes twice")
    return found
