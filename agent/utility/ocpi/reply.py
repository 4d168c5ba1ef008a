"""The envelope of every answer, and the headers that go back (OCPI 2.2.1 clauses 4.1.7, 4.5, 5)."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response

from agent.errors import ProtocolError
from agent.utility.ocpi.times import format_time

_IDENTIFIER: Final = re.compile(r"[!-~]{1,64}")
_PARTY: Final = re.compile(r"[A-Za-z0-9]{2,3}")


class Status(IntEnum):
    """Status codes of OCPI (clause 5)."""

    SUCCESS = 1000
    CLIENT_ERROR = 2000
    INVALID_PARAMETERS = 2001
    NOT_ENOUGH_INFORMATION = 2002
    UNKNOWN_LOCATION = 2003
    SERVER_ERROR = 3000
    CANNOT_USE_CLIENT_API = 3001
    UNSUPPORTED_VERSION = 3002
    NO_MATCHING_ENDPOINTS = 3003


class OcpiError(ProtocolError):
    """A request that is answered with a status code other than success.

    What reached the OCPI layer is answered with HTTP 200 (clause 5), except where the
    specification names another status.
    """

    def __init__(self, status: Status, message: str, http: int = 200) -> None:
        super().__init__(message)
        self.status = status
        self.http = http


def reply(
    data: Any = None,
    *,
    asked: Headers,
    status: Status = Status.SUCCESS,
    message: str = "Success",
    http: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer to a request with the headers `asked`."""
    envelope: dict[str, Any] = {
        "status_code": int(status),
        "status_message": message[:255],
        "timestamp": format_time(time.time()),
    }
    if data is not None:
        envelope = {"data": data, **envelope}
    return Response(
        msgspec.json.encode(envelope),
        http,
        {**returned(asked), **(headers or {})},
        "application/json",
    )


def returned(asked: Headers) -> dict[str, str]:
    """Return the headers that an answer repeats: its ids, and the route turned round."""
    back: dict[str, str] = {}
    for name in ("X-Request-ID", "X-Correlation-ID"):
        value = asked.get(name, "")
        back[name] = value if _IDENTIFIER.fullmatch(value) else str(uuid.uuid4())
    for part in ("party-id", "country-code"):
        for mine, theirs in (("from", "to"), ("to", "from")):
            value = asked.get(f"OCPI-{theirs}-{part}", "")
            if _PARTY.fullmatch(value):
                back[f"OCPI-{mine}-{part}"] = value
    return back
