"""The door of OCPI: who calls, how often, and one answer for whatever goes wrong."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from agent.errors import DecodeError, RefusedError
from agent.ocpp.limits import Limits, parse
from agent.utility.api.body import peer_of, read_body
from agent.utility.api.rate import RateLimit
from agent.utility.context import Context
from agent.utility.ocpi.registry import Partner, Registry
from agent.utility.ocpi.reply import OcpiError, Status, reply

BODY_LIMITS: Final = Limits(size=128 * 1024, depth=16)


@dataclass(frozen=True, slots=True)
class Call:
    """A request of somebody we know.

    Attributes:
        token: That it came with. `partner`: whose it is; None for a token A.
    """

    request: Request
    token: str
    partner: Partner | None

    @property
    def registered(self) -> Partner:
        """The partner; only behind `Front.partner`."""
        assert self.partner is not None  # noqa: S101 - the front let nobody else in
        return self.partner

    async def body(self, kind: type[Any]) -> Any:
        """Return the body as a document.

        Raises:
            HTTPException: 400, not JSON (clause 5).
            OcpiError: 2001, not this document; with the field.
        """
        data = await read_body(self.request, BODY_LIMITS.size)
        try:
            value = parse(data, BODY_LIMITS)
        except DecodeError as error:
            raise HTTPException(400, str(error)) from error
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise OcpiError(Status.INVALID_PARAMETERS, str(error)) from error

    def query(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises:
            OcpiError: 2001, it is missing.
        """
        value = self.request.query_params.get(name, "")
        if not value:
            raise OcpiError(Status.INVALID_PARAMETERS, f"{name} is missing")
        return value


Handler = Callable[[Call], Awaitable[Response]]
Plain = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Front:
    """Lets known callers in.

    Attributes:
        registry: Who is known.
    """

    context: Context
    registry: Registry
    _rate: RateLimit = field(default_factory=lambda: RateLimit(burst=60.0, per_s=10.0))
    _failures: RateLimit = field(default_factory=lambda: RateLimit(burst=10.0, per_s=0.2))

    def partner(self, handler: Handler) -> Plain:
        """Wrap a handler that serves registered partners only."""
        return self._wrap(handler, invited=False)

    def invited(self, handler: Handler) -> Plain:
        """Wrap a handler that also serves who comes with a token A (clause 4.1.2)."""
        return self._wrap(handler, invited=True)

    def _wrap(self, handler: Handler, *, invited: bool) -> Plain:
        async def serve(request: Request) -> Response:
            self.context.count("ocpi_requests")
            try:
                return await handler(self._let_in(request, invited=invited))
            except OcpiError as error:
                return _refusal(request, error.status, str(error), error.http)
            except HTTPException as error:
                return _refusal(request, Status.CLIENT_ERROR, error.detail, error.status_code)
            except RefusedError as error:
                return _refusal(request, Status.SERVER_ERROR, str(error))
            except OSError as error:
                logger.error("OCPI: {}", error)
                return _refusal(request, Status.SERVER_ERROR, "the gateway cannot keep this now")
            except Exception:
                logger.exception("OCPI")
                return _refusal(request, Status.SERVER_ERROR, "internal error")

        return serve

    def _let_in(self, request: Request, *, invited: bool) -> Call:
        peer, now_s = peer_of(request), time.monotonic()
        if not self._rate.allows(peer, now_s):
            raise OcpiError(Status.CLIENT_ERROR, "too many requests; at most 10 a second", 429)
        token = credentials_token(request.headers.get("authorization", ""))
        partner = self.registry.find(token) if token else None
        if partner is None and not (invited and token and self.registry.is_invited(token)):
            self._refuse(peer, now_s)
        return Call(request, token, partner)

    def _refuse(self, peer: str, now_s: float) -> None:
        self.context.count("ocpi_unauthorised")
        if not self._failures.allows(peer, now_s):
            raise OcpiError(Status.CLIENT_ERROR, "too many attempts", 429)
        self.context.audit("refusal", peer, "OCPI: no valid credentials token")
        raise OcpiError(Status.CLIENT_ERROR, "no valid credentials token", 401)


def credentials_token(header: str) -> str:
    """Return the token in an Authorization header: Base64 of UTF-8 (clause 4.1.2); else empty."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "token" or len(encoded) > 256:
        return ""
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8").rstrip("\n")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _refusal(request: Request, status: Status, message: str, http: int = 200) -> Response:
    return reply(asked=request.headers, status=status, message=message, http=http)
