"""From an HTTP upgrade request to a connection, or to the status that says why not."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

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

READ_BUFFER: Final = 2048
"""First size of a connection's read buffer; it grows with what the station sends."""
_LOGGER: Final = logging.LoggerAdapter(logging.getLogger("picows.stations"), {})
"""An adapter is shared by all connections; of a plain logger picows makes a child for each."""
_IDENTITY: Final = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")
"""identifierString of 2.0.1 part 4, 3.1.1, and its length; the colon would break Basic auth."""


class Door:
    """Makes the protocol objects of new sockets and decides who becomes a station.

    Args:
        fleet: Where the stations live.
        handshake_timeout_s: Time from the socket to the complete upgrade.
        call_timeout_s: Given to every session.
        on_timeout: Hears of handshakes that did not end in time.
        versions: Spoken here, most wanted first.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        handshake_timeout_s: float = 10.0,
        call_timeout_s: float = 10.0,
        on_timeout: Callable[[HandshakeTimeoutError], None] = lambda _error: None,
        versions: tuple[Version, ...] = PREFERRED,
    ) -> None:
        self._fleet = fleet
        self._handshake_timeout_s = handshake_timeout_s
        self._call_timeout_s = call_timeout_s
        self._on_timeout = on_timeout
        self._versions = versions

    def make_protocol(self, peer: str) -> asyncio.BaseProtocol:
        """Return the protocol of a new socket."""
        visitor = _Visitor(self, peer)
        return cast(asyncio.BaseProtocol, visitor.protocol)

    def admit(self, request: WSUpgradeRequest, peer: str) -> WSUpgradeResponseWithListener:
        """Return the answer to an upgrade request."""
        identity = identity_of(request.path)
        if identity is None:
            return refuse(HTTPStatus.NOT_FOUND, "the path must end in the station's identity")
        version = choose(
            request.headers.get("Sec-WebSocket-Protocol", "").split(","), self._versions
        )
        if version is None:
            # 2.0.1 part 4, 3.3: complete the handshake without a subprotocol, then close.
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_101_response(), _NoCommonVersion()
            )
        session = Session(version, secrets.token_hex(6) + "-", self._call_timeout_s)
        station = self._fleet.station(identity, version)
        connection = Connection(station, session, self._fleet, peer, proven=False)
        headers = {"Sec-WebSocket-Protocol": version.subprotocol}
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(extra_headers=headers), connection
        )

    def watch(self, visitor: _Visitor) -> asyncio.TimerHandle:
        """Start the timer of a handshake."""
        loop = asyncio.get_running_loop()
        return loop.call_later(self._handshake_timeout_s, visitor.time_is_up, self._on_timeout)


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
        self._timer = door.watch(self)

    def _route(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        self._timer.cancel()
        return self._door.admit(request, self._peer)

    def time_is_up(self, on_timeout: Callable[[HandshakeTimeoutError], None]) -> None:
        """Drop a peer that connected and never asked for the upgrade."""
        websocket = self.protocol.transport
        if websocket is None or websocket.is_disconnected:
            return
        websocket.disconnect(graceful=False)
        on_timeout(HandshakeTimeoutError(self._peer, "websocket"))


class _NoCommonVersion(WSListener):
    """Closes at once."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send_close(WSCloseCode.OK, "no common OCPP version")
        transport.disconnect()


def identity_of(path: bytes) -> str | None:
    """Return the station's identity, the last segment of the URL's path, or None."""
    segment = path.split(b"?", 1)[0].rsplit(b"/", 1)[-1]
    identity = urllib.parse.unquote_to_bytes(segment).decode("ascii", "replace")
    return identity if _IDENTITY.fullmatch(identity) else None


def refuse(status: HTTPStatus, reason: str, **headers: str) -> WSUpgradeResponseWithListener:
    """Return an HTTP error response; header names are given with underscores."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return WSUpgradeResponseWithListener(
        WSUpgradeResponse.create_error_response(status, reason.encode(), extra), None
    )
