"""Calls to partners: bounded in time and size, never redirected, only where the guard allows."""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec

from agent.config.utility import Ocpi
from agent.errors import ConfigurationError, DecodeError, Finding, RefusedError
from agent.ocpp.limits import Limits, parse
from agent.utility.ocpi.guard import Guard
from agent.utility.ocpi.objects import Endpoint, Version
from agent.utility.ocpi.registry import Partner
from agent.utility.ocpi.reply import OcpiError, Status

VERSION: Final = "2.2.1"
CALL_S: Final = 10.0
ANSWER_LIMITS: Final = Limits(size=64 * 1024, depth=16)


@dataclass(frozen=True, slots=True)
class Route:
    """Who calls whom, in the headers (clause 4.4)."""

    country_code: str
    party_id: str


class Caller:
    """Calls partners.

    Args:
        settings: `[ocpi]`.

    Raises:
        ConfigurationError: `ca` cannot be used.
    """

    def __init__(self, settings: Ocpi) -> None:
        self.guard = Guard(settings.callback_hosts)
        self._us = Route(settings.country_code, settings.party_id)
        try:
            trust = ssl.create_default_context(cafile=settings.ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError((Finding("ocpi.ca", f"cannot be used: {error}"),)) from error
        self._client = httpx.AsyncClient(
            verify=trust, timeout=CALL_S, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def discover(self, url: str, token: str) -> tuple[Endpoint, ...]:
        """Return what a party serves in version 2.2.1 (clause 7.1.1).

        Raises:
            OcpiError: 3001 when it cannot be asked, 3002 without our version, 3003 without modules.
        """
        try:
            data = await self.call("GET", url, token)
            versions = msgspec.convert(data, list[Version])
            address = next((item.url for item in versions if item.version == VERSION), "")
            if not address:
                raise OcpiError(Status.UNSUPPORTED_VERSION, f"only {VERSION} is spoken here")
            details = msgspec.convert(await self.call("GET", address, token, own=url), _Details)
        except (RefusedError, msgspec.ValidationError) as error:
            raise OcpiError(Status.CANNOT_USE_CLIENT_API, f"{url}: {error}") from error
        endpoints: list[Endpoint] = []
        for item in details.endpoints:
            try:
                endpoints.append(msgspec.convert(item, Endpoint))
            except msgspec.ValidationError:  # a module of its own is none of our business
                continue
        if all(item.identifier != "credentials" for item in endpoints):
            raise OcpiError(Status.NO_MATCHING_ENDPOINTS, "there is no credentials module")
        return tuple(endpoints)

    async def tell(self, partner: Partner, method: str, url: str, body: Any) -> None:
        """Send a result or an update to a partner.

        Raises:
            RefusedError: Not allowed, not reached, or not taken.
        """
        route = Route(partner.roles[0].country_code, partner.roles[0].party_id)
        await self.call(method, url, partner.token, body, own=partner.url, to=route)

    async def call(
        self,
        method: str,
        url: str,
        token: str,
        body: Any = None,
        *,
        own: str = "",
        to: Route | None = None,
    ) -> Any:
        """Return the `data` of the answer.

        Raises:
            RefusedError: Not allowed, not reached, too long, or without success.
        """
        headers = self._headers(token, to)
        content = None
        if body is not None:
            content, headers["content-type"] = msgspec.json.encode(body), "application/json"
        try:
            async with asyncio.timeout(CALL_S):
                target = await self.guard.target(url, own)
                request = self._client.build_request(
                    method, target.url, content=content, headers=headers
                )
                if target.address:
                    request.url = target.url.copy_with(host=target.address)
                    request.extensions["sni_hostname"] = target.host
                answer = await self._client.send(request, stream=True)
                try:
                    return _data(answer.status_code, await _body(answer))
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            raise RefusedError("no answer in time") from error
        except httpx.HTTPError as error:
            raise RefusedError(str(error) or type(error).__name__) from error

    def _headers(self, token: str, to: Route | None) -> dict[str, str]:
        headers = {
            "accept-encoding": "identity",  # what is counted is what was sent
            "authorization": f"Token {base64.b64encode(token.encode()).decode()}",
            "x-request-id": str(uuid.uuid4()),
            "x-correlation-id": str(uuid.uuid4()),
            "ocpi-from-country-code": self._us.country_code,
            "ocpi-from-party-id": self._us.party_id,
        }
        if to is not None:
            headers["ocpi-to-country-code"] = to.country_code
            headers["ocpi-to-party-id"] = to.party_id
        return headers


class _Details(msgspec.Struct, frozen=True):
    endpoints: list[dict[str, Any]]


async def _body(answer: httpx.Response) -> bytes:
    parts = bytearray()
    async for part in answer.aiter_raw():
        parts += part
        if len(parts) > ANSWER_LIMITS.size:
            raise RefusedError("the answer is too long")
    return bytes(parts)


def _data(http: int, body: bytes) -> Any:
    if not 200 <= http < 300:
        raise RefusedError(f"answered with HTTP {http}")
    try:
        envelope = parse(body, ANSWER_LIMITS)
    except DecodeError as error:
        raise RefusedError(str(error)) from error
    code = envelope.get("status_code") if isinstance(envelope, dict) else None
    if not isinstance(code, int) or not 1000 <= code < 2000:
        raise RefusedError(f"answered with status_code {code}")
    return envelope.get("data")
