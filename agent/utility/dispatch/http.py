"""`POST /dispatch/v1`: a signed dispatch as the body, an outcome for each order as the answer."""

from __future__ import annotations

import re
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.errors import RefusedError, SignatureError
from agent.utility.api.body import peer_of, read_body
from agent.utility.api.rate import RateLimit
from agent.utility.dispatch.desk import WAIT_MAX_S, DispatchDesk, shown
from agent.utility.dispatch.strict import TOKEN_LIMITS

PATH: Final = "/dispatch/v1"
MEDIA_TYPES: Final = ("application/jose", "application/jwt")
_WAIT: Final = re.compile(r"\bwait=(\d{1,3})\b")


def routes(desk: DispatchDesk) -> list[Route]:
    """Return the routes of signed dispatch."""
    limit = RateLimit(burst=30.0, per_s=5.0)

    async def dispatch(request: Request) -> Response:
        peer = peer_of(request)
        if not limit.allows(peer, time.monotonic()):
            return _error(429, "too many tokens; at most 5 a second")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in MEDIA_TYPES:
            return _error(415, f"the body must be {MEDIA_TYPES[0]}: one compact JWS")
        body = await read_body(request, TOKEN_LIMITS.size)
        try:
            token = body.decode("ascii").strip()
            answer = await desk.take(token, peer, _wait_s(request))
        except UnicodeDecodeError:
            return _error(400, "the body is no compact JWS")
        except SignatureError as error:
            return _error(401, str(error))
        except RefusedError as error:
            return _error(503, str(error))
        return JSONResponse(shown(answer))

    return [Route(PATH, dispatch, methods=["POST"])]


def _wait_s(request: Request) -> float:
    """Return how long the sender prefers to wait (RFC 7240 clause 4.3)."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(float(found[1]), WAIT_MAX_S) if found else 0.0


def _error(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)
