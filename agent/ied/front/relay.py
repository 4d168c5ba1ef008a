"""One client's stream, relayed between its TCP or TLS connection and the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from agent.errors import DecodeError
from agent.ied.front.framing import Framing

ASSOCIATED_AFTER: Final = 2
"""Packets of the engine (COTP CC, AARE) after which a client is associated."""
_HIGH_WATER: Final = 256 * 1024


class Owner(Protocol):
    """What a relay tells the front."""

    def accepted(self, relay: Relay) -> None:
        """The TCP connection is up."""

    def associated(self, relay: Relay) -> None:
        """The engine has answered the association."""

    def ended(self, relay: Relay, reason: str) -> None:
        """The client or the engine is gone."""


class Relay(asyncio.Protocol):
    """The client's side.

    Attributes:
        last_request_s: Loop time of the client's last whole packet.
    """

    def __init__(self, owner: Owner, now_s: Callable[[], float], backlog_bytes: int) -> None:
        self._owner = owner
        self._now_s = now_s
        self._backlog_bytes = backlog_bytes
        self._requests = Framing()
        self._answers = Framing()
        self._waiting: list[bytes] = []
        self._engine: asyncio.Transport | None = None
        self._ended = False
        self.transport: asyncio.Transport | None = None
        self.associated = False
        self.last_request_s = now_s()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is up."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio says BaseTransport
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._owner.accepted(self)

    @property
    def plain(self) -> asyncio.Transport:
        """The TCP transport, for the TLS handshake."""
        if self.transport is None:
            raise ConnectionResetError("the client is gone")
        return self.transport

    def secured(self, transport: asyncio.Transport) -> None:
        """TLS is up on top of TCP."""
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Octets of the client."""
        try:
            if self._requests.feed(data):
                self.last_request_s = self._now_s()
        except DecodeError as error:
            self.end(f"not MMS: {error}")
            return
        if self._engine is None:
            self._waiting.append(data)
            if sum(map(len, self._waiting)) > _HIGH_WATER:
                self.end("data before the association")
            return
        self._engine.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self.end(f"connection lost: {exc}" if exc else "closed by the client")

    def attach(self, engine: asyncio.Transport) -> None:
        """The engine's side is ready: pass on what waited."""
        if self._ended:
            engine.abort()
            return
        self._engine = engine
        for data in self._waiting:
            engine.write(data)
        self._waiting.clear()

    def answer(self, data: bytes) -> None:
        """Octets of the engine for the client."""
        if self.transport is None or self._ended:
            return
        if not self.associated:
            self._answers.feed(data)
            if self._answers.packets >= ASSOCIATED_AFTER:
                self.associated = True
                self._owner.associated(self)
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > self._backlog_bytes:
            self.end("the client does not read")

    def hold(self, full: bool) -> None:
        """Stop reading from the client while the engine's buffer is full."""
        if self.transport is None or self.transport.is_closing():
            return
        if full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def end(self, reason: str) -> None:
        """End both sides, once."""
        if self._ended:
            return
        self._ended = True
        if self._engine is not None:
            self._engine.abort()
        if self.transport is not None:
            self.transport.abort() if "read" in reason else self.transport.close()
        self._owner.ended(self, reason)


class EngineSide(asyncio.Protocol):
    """The engine's side of a relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The engine listens."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio says BaseTransport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._relay.attach(transport)

    def data_received(self, data: bytes) -> None:
        """Octets of the engine."""
        self._relay.answer(data)

    def pause_writing(self) -> None:
        """The engine does not keep up."""
        self._relay.hold(True)

    def resume_writing(self) -> None:
        """The engine keeps up again."""
        self._relay.hold(False)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The engine has ended the association."""
        self._relay.end("closed by the engine")
