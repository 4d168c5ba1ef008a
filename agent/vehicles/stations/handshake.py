"""From an HTTP upgrade request to a connection, or to the status that says why not."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import ssl
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

from loguru import logger
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSListener,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from agent.errors import HandshakeTimeoutError
from agent.ocpp import PREFERRED, Session, Version, choose
from agent.vehicles.stations.connection import MAX_MESSAGE, Connection
from agent.vehicles.stations.fleet import Fleet
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.security import (
    CHALLENGE,
    Credentials,
    Gatekeeper,
    NotAdmittedError,
)

READ_BUFFER: Final = 2048
"""First size of a connection's read buffer; it grows with what the station sends."""
_LOGGER: Final = logging.LoggerAdapter(logging.getLogger("picows.stations"), {})
"""An adapter is shared by all connections; of a plain logger picows makes a child for each."""
_IDENTITY: Final = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")
"""identifierString of 2.0.1 part 4, 3.1.1, and its length; the colon would break Basic auth."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Of one listener.

    Attributes:
        security_profile: That peers must fulfil here.
        handshake_timeout_s: Time from the socket to the complete upgrade.
        call_timeout_s, messages_per_s: Given to every connection.
        max_stations: Identities that are remembered at most.
        versions: Spoken here, most wanted first.
    """

    security_profile: int = 0
    handshake_timeout_s: float = 10.0
    call_timeout_s: float = 10.0
    messages_per_s: float = 50.0
    max_stations: int = 10_000
    versions: tuple[Version, ...] = PREFERRED


class Door:
    """Makes the protocol objects of new sockets and decides who becomes a station.

    Args:
        fleet: Where the stations live.
        gatekeeper: Verifies identities.
        settings: Of the listener.
        on_timeout: Hears of handshakes that did not end in time.
    """

    def __init__(
        self,
        fleet: Fleet,
        gatekeeper: Gatekeeper,
        settings: DoorSettings,
        on_timeout: Callable[[HandshakeTimeoutError], None] = lambda _error: None,
    ) -> None:
        self.settings = settings
        self.on_timeout = on_timeout
        self.refused = 0
        self._fleet = fleet
        self._gatekeeper = gatekeeper

    def make_protocol(self, peer: str) -> asyncio.BaseProtocol:
        """Return the protocol of a new socket."""
        protocol = _Visitor(self, peer).protocol
        return cast(asyncio.BaseProtocol, protocol)

    def admit(
        self, request: WSUpgradeRequest, peer: str, transport: asyncio.BaseTransport
    ) -> WSUpgradeResponseWithListener:
        """Return the answer to an upgrade request."""
        try:
            return self._admit(request, peer, transport)
        except NotAdmittedError as error:
            self.refused += 1
            logger.warning("{}: not admitted to {}: {}", peer, _shown(request.path), error.reason)
            return _refusal(error.status)

    def _admit(
        self, request: WSUpgradeRequest, peer: str, transport: asyncio.BaseTransport
    ) -> WSUpgradeResponseWithListener:
        identity = identity_of(request.path)
        if identity is None:
            raise NotAdmittedError(HTTPStatus.NOT_FOUND, "the path has no station's identity")
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert() if tls is not None else None
        credentials = Credentials(
            address=peer.rpartition(":")[0],
            identity=identity,
            authorization=request.headers.get("Authorization", ""),
            certificate=certificate,
        )
        profile, now_s = self.settings.security_profile, Instant.now().mono_s
        proven = self._gatekeeper.verify(profile, credentials, now_s)
        self._check_place(identity, proven, now_s)
        version = _offered(request, self.settings.versions)
        if version is None:
            # 2.0.1 part 4, 3.3: complete the handshake without a subprotocol, then close.
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_101_response(), _NoCommonVersion()
            )
        station = self._fleet.station(identity, version)
        station.security_profile = max(station.security_profile, profile)
        connection = Connection(
            station,
            Session(version, secrets.token_hex(6) + "-", self.settings.call_timeout_s),
            self._fleet,
            peer,
            proven=proven,
            serial_number=int(str(certificate["serialNumber"]), 16) if certificate else None,
            messages_per_s=self.settings.messages_per_s,
        )
        headers = {"Sec-WebSocket-Protocol": version.subprotocol}
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(extra_headers=headers), connection
        )

    def _check_place(self, identity: str, proven: bool, now_s: float) -> None:
        known = self._fleet.stations.get(identity)
        if known is not None and known.security_profile > self.settings.security_profile:
            raise NotAdmittedError(
                HTTPStatus.FORBIDDEN,
                f"security profile {self.settings.security_profile} after"
                f" {known.security_profile} (A05.FR.06: never back)",
            )
        if known is None and len(self._fleet.stations) >= self.settings.max_stations:
            raise NotAdmittedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many stations")
        if not self._fleet.may_replace(identity, proven, now_s):
            raise NotAdmittedError(
                HTTPStatus.CONFLICT, "the identity is connected, and nothing proves this is it"
            )


class _Visitor:
    """One socket until its upgrade is complete."""

    def __init__(self, door: Door, peer: str) -> None:
        self._door = door
        self._peer = peer
        # The public server factory hides the transport, and with it the peer's address and
        # certificate, from the function that must decide on them.
        self.protocol = WSProtocol(
            None, None, False, self._route, _LOGGER, True, None,
            False, 20.0, 20.0, WSAutoPingStrategy.PING_WHEN_IDLE, True, MAX_MESSAGE, None,
            READ_BUFFER,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(door.settings.handshake_timeout_s, self._time_is_up)

    def _route(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        self._timer.cancel()
        transport = self.protocol.transport.underlying_transport
        self.protocol = None  # it refers to us: no cycle may keep a thousand stations' buffers
        return self._door.admit(request, self._peer, transport)

    def _time_is_up(self) -> None:
        """Drop a peer that connected and never asked for the upgrade."""
        websocket = self.protocol.transport if self.protocol is not None else None
        self.protocol = None
        if websocket is not None and not websocket.is_disconnected:
            websocket.disconnect(graceful=False)
            self._door.on_timeout(HandshakeTimeoutError(self._peer, "websocket"))


class _NoCommonVersion(WSListener):
    """Closes at once."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send_close(WSCloseCode.OK, "no common OCPP version")
        transport.disconnect()


def identity_of(path: bytes) -> str | None:
    """Return the station's identity, the last segment of the URL's path, or None.

    A slash behind it is forgiven: many stations put one there.
    """
    segment = path.split(b"?", 1)[0].removesuffix(b"/").rsplit(b"/", 1)[-1]
    identity = urllib.parse.unquote_to_bytes(segment).decode("ascii", "replace")
    return identity if _IDENTITY.fullmatch(identity) else None


def _offered(request: WSUpgradeRequest, versions: tuple[Version, ...]) -> Version | None:
    offers = request.headers.getall("Sec-WebSocket-Protocol", [])
    return choose((token for offer in offers for token in offer.split(",")), versions)


def _shown(path: bytes) -> str:
    return path[:80].decode("ascii", "replace")


def _refusal(status: HTTPStatus) -> WSUpgradeResponseWithListener:
    headers = {"WWW-Authenticate": CHALLENGE} if status is HTTPStatus.UNAUTHORIZED else {}
    if status in {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}:
        headers["Retry-After"] = "5"
    return WSUpgradeResponseWithListener(
        WSUpgradeResponse.create_error_response(status, status.phrase.encode(), headers), None
    )
