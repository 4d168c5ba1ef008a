"""Lists in pages (OCPI 2.2.1 clause 4.1.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from agent.errors import DecodeError
from agent.utility.ocpi.reply import OcpiError, Status
from agent.utility.ocpi.times import parse_time

LIMIT: Final = 50
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which objects are asked for.

    Attributes:
        from_utc_s, to_utc_s: Of `last_updated`; the first counts, the last does not.
    """

    offset: int
    limit: int
    from_utc_s: float
    to_utc_s: float

    def of(
        self,
        objects: Sequence[T],
        updated_utc_s: Callable[[T], float],
        url: str,
        asked: QueryParams,
    ) -> tuple[list[T], dict[str, str]]:
        """Return the objects of this page, and the headers that lead to the next one."""
        matching = [o for o in objects if self.from_utc_s <= updated_utc_s(o) < self.to_utc_s]
        shown = matching[self.offset : self.offset + self.limit]
        headers = {"X-Total-Count": str(len(matching)), "X-Limit": str(LIMIT)}
        following = self.offset + self.limit
        if following < len(matching):
            named: dict[str, Any] = {
                name: asked[name] for name in ("date_from", "date_to") if name in asked
            }
            query = urlencode({**named, "offset": following, "limit": self.limit}, safe=":")
            headers["Link"] = f'<{url}?{query}>; rel="next"'
        return shown, headers


def page_of(asked: QueryParams) -> Page:
    """Return the page that the parameters ask for.

    Raises:
        OcpiError: 2001, a parameter is no number or no DateTime.
    """
    return Page(
        _number(asked, "offset", 0),
        max(1, min(_number(asked, "limit", LIMIT), LIMIT)),
        _time(asked, "date_from", -math.inf),
        _time(asked, "date_to", math.inf),
    )


def _number(asked: QueryParams, name: str, default: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise OcpiError(Status.INVALID_PARAMETERS, f"{name} is no number")
    return int(text)


def _time(asked: QueryParams, name: str, default: float) -> float:
    text = asked.get(name)
    if text is None:
        return default
    try:
        return parse_time(text)
    except DecodeError as error:
        raise OcpiError(Status.INVALID_PARAMETERS, f"{name}: {error}") from error
