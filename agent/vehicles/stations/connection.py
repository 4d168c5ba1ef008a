"""One WebSocket of one station: frames in and out, and nothing that knows OCPP's meaning."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import Final, Protocol

from loguru import logger
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from agent.ocpp import Event, Payload, Request, Session
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.station import Station
from agent.vehicles.stations.throttle import Bucket

MAX_UNREAD: Final = 256 * 1024
"""Bytes that may wait for a station that does not read, before it is disconnected."""
MAX_MESSAGE: Final = 256 * 1024


class ConnectionOwner(Protocol):
    """Who hears of a connection's life; implemented by `fleet.Fleet`."""

    def connected(self, connection: Connection) -> None:
        """The WebSocket is open."""

    def disconnected(self, connection: Connection) -> None:
        """The WebSocket is gone; called once."""

    def happened(self, connection: Connection, events: list[Event], at: Instant) -> None:
        """Something arrived or timed out."""

    def written(self, connection: Connection, request: Request, now_s: float) -> None:
        """A call of ours was handed to the socket."""


class Connection(WSListener):
    """Joins a picows transport and an OCPP session.

    Attributes:
        peer: Address for messages to people.
        proven: The identity was proven by password or certificate.
        serial_number: Of the certificate that proved it.
        since_s: Monotonic time of the upgrade. `heard_s`: of the last frame of the station.
    """

    __slots__ = (
        "_bucket", "_owner", "_parts", "_transport", "heard_s", "peer", "proven", "serial_number",
        "session", "since_s", "station",
    )  # fmt: skip

    def __init__(
        self,
        station: Station,
        session: Session,
        owner: ConnectionOwner,
        peer: str,
        *,
        proven: bool = False,
        serial_number: int | None = None,
        messages_per_s: float = 50.0,
    ) -> None:
        self.station = station
        self.session = session
        self.peer = peer
        self.proven = proven
        self.serial_number = serial_number
        self.since_s = self.heard_s = 0.0
        self._bucket = Bucket(messages_per_s)
        self._owner = owner
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is complete."""
        self._transport = transport
        self.since_s = self.heard_s = Instant.now().mono_s
        self._owner.connected(self)
        self.flush()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """The socket is closed."""
        self._transport = None
        self._owner.disconnected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame; a message in several frames is joined first."""
        at = Instant.now()
        self.heard_s = at.mono_s
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind is WSMsgType.TEXT or kind is WSMsgType.CONTINUATION:
            whole = kind is WSMsgType.TEXT and frame.fin and not self._parts
            message = frame.get_payload_as_bytes() if whole else self._join(kind, frame)
            if not self._bucket.take(at.mono_s):
                logger.warning("{}: sends more than it may; disconnected", self.name)
                self.close(WSCloseCode.POLICY_VIOLATION, "too many messages")
            elif message is not None:
                self._owner.happened(self, self.session.receive(message, at.mono_s), at)
                self.flush()
        elif kind is WSMsgType.BINARY:
            self.close(WSCloseCode.UNSUPPORTED_DATA, "OCPP-J is text")

    def call(
        self,
        action: str,
        payload: Payload,
        *,
        tag: object = None,
        key: Hashable = None,
        urgent: bool = False,
    ) -> None:
        """Ask the station, now or as soon as its last answer is in. Raises as `Session.call`."""
        self.session.call(action, payload, tag=tag, key=key, urgent=urgent)
        self.flush()

    def submit(self, request: Request) -> None:
        """Ask with a payload of a known shape. Raises as `Session.submit`."""
        self.session.submit(request)
        self.flush()

    def expire(self, at: Instant) -> None:
        """Give up calls whose time is over."""
        if at.mono_s >= self.session.deadline_s:
            self._owner.happened(self, self.session.expire(at.mono_s), at)
            self.flush()

    def flush(self) -> None:
        """Write what the session has to say."""
        transport = self._transport
        if transport is None or not self.session.has_work:
            return
        outgoing, events = self.session.take_outgoing(time.monotonic())
        for item in outgoing:
            transport.send(WSMsgType.TEXT, item.data)
            if item.request is not None:
                self._owner.written(self, item.request, time.monotonic())
        if outgoing and transport.underlying_transport.get_write_buffer_size() > MAX_UNREAD:
            logger.warning("{}: does not read what it is sent; disconnected", self.name)
            transport.disconnect(graceful=False)
        if events:
            self._owner.happened(self, events, Instant.now())

    def ping(self) -> None:
        """Ask the other side for a sign of life."""
        if self._transport is not None:
            self._transport.send_ping()

    def close(self, code: WSCloseCode = WSCloseCode.OK, reason: str = "") -> None:
        """Close the WebSocket."""
        if self._transport is not None:
            self._transport.send_close(code, reason)
            self._transport.disconnect()

    def abort(self) -> None:
        """Drop the socket without waiting for the other side."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    @property
    def name(self) -> str:
        """Identity and address, for messages to people."""
        return f"{self.station.identity} at {self.peer}"

    def _join(self, kind: WSMsgType, frame: WSFrame) -> bytes | None:
        """Return a message that came in several frames with its last one; nothing before."""
        if (kind is WSMsgType.TEXT) == bool(self._parts):
            self.close(WSCloseCode.PROTOCOL_ERROR, "frames out of order")
            return None
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > MAX_MESSAGE:
            self.close(WSCloseCode.MESSAGE_TOO_BIG, f"at most {MAX_MESSAGE} bytes")
            return None
        if not frame.fin:
            return None
        message, self._parts = b"".join(self._parts), []
        return message
