"""One end of a connection: pieces, batches, and the outbox of what has no room yet."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agent import messages
from agent.messages import (
    AnyMessage,
    Batch,
    EvseStatus,
    Message,
    ModeOrder,
    OrderResult,
    OrderSent,
    Setpoint,
)

ROOM: Final = 1 << 20
"""Bytes of buffer that are asked for a socket; four times as many where that is permitted."""
PIECE: Final = 65_536
"""A longer message travels in pieces: the kernel grants an unprivileged process little room."""
MAX_WHOLE: Final = 1 << 26
BATCH: Final = 64
"""Messages that travel in one datagram at most."""
Batched = EvseStatus | OrderSent | OrderResult | Setpoint | ModeOrder
_MORE, _LAST = b"\xc1\x00", b"\xc1\x01"
"""Begin of a piece, and of the last one; no encoded message begins with 0xC1."""
OUTBOX_LIMIT: Final = 65_536
"""Different keys kept for a peer that does not read; beyond it the oldest is dropped, counted."""
_DRAIN_LIMIT: Final = 256
"""Datagrams read from one peer in one turn, so that no peer keeps the others waiting."""


@dataclass(slots=True)
class LinkCounters:
    """What a connection did, for the health views."""

    sent: int = 0
    received: int = 0
    superseded: int = 0
    dropped: int = 0
    malformed: int = 0


class Connection:
    """One connected SEQPACKET socket with its outbox."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        _enlarge(sock)
        self.sock = sock
        self.counters = LinkCounters()
        self._outbox: dict[tuple[object, ...], bytes] = {}
        # One buffer for all datagrams: asking for a new one of this size each time tears the heap.
        self._received = memoryview(bytearray(len(_LAST) + PIECE))
        self._rest: list[bytes] = []  # pieces of a message whose first ones are on their way
        self._partial = bytearray()

    def send(self, message: Message) -> None:
        """Send now, or keep the newest of each key for later.

        Raises:
            ConnectionError: The other side is gone.
        """
        if self.pending or not self._transmit(messages.encode(message)):
            self._keep(message)

    def send_all(self, batch: Sequence[Batched]) -> None:
        """Send the messages of one turn, many in a datagram; what has no room waits as in `send`.

        Raises:
            ConnectionError: The other side is gone.
        """
        for start in range(0, len(batch), BATCH):
            part = batch[start : start + BATCH]
            message = part[0] if len(part) == 1 else Batch(tuple(part))
            if self.pending or not self._transmit(messages.encode(message)):
                for message in part:
                    self._keep(message)

    def flush(self) -> bool:
        """Send what waits; True when nothing is left."""
        if not self._push_rest():
            return False
        while self._outbox:
            key = next(iter(self._outbox))
            if not self._transmit(self._outbox[key]):
                return False
            del self._outbox[key]
            if self._rest:
                return False
        return True

    @property
    def pending(self) -> int:
        """Number of messages that wait for room in the socket."""
        return len(self._outbox) + bool(self._rest)

    def receive(self) -> Iterator[AnyMessage]:
        """Yield what has arrived.

        Raises:
            ConnectionError: The other side is gone (after everything it sent was yielded).
        """
        for _ in range(_DRAIN_LIMIT):
            try:
                size = self.sock.recv_into(self._received)
            except BlockingIOError:
                return
            if not size:
                raise ConnectionResetError("the other side closed the link")
            data = self._received[:size]
            whole = self._joined(data) if data[:2] in (_MORE, _LAST) else data
            if not whole:
                continue
            try:
                message = messages.decode(whole)
            except msgspec.DecodeError:
                self.counters.malformed += 1
                continue
            if isinstance(message, Batch):
                self.counters.received += len(message.messages)
                yield from message.messages
            else:
                self.counters.received += 1
                yield message

    def close(self) -> None:
        """Close the socket; what waited is lost, as it would be with the process."""
        self.sock.close()

    def _transmit(self, data: bytes) -> bool:
        """Send a message, or the first pieces of a long one; False when there is no room."""
        if len(data) <= PIECE:
            sent = self._write(data)
        else:
            first, *rest = _pieces(data)
            sent = self._write(first)
            if sent:
                self._rest = rest
                self._push_rest()
        self.counters.sent += sent
        return sent

    def _push_rest(self) -> bool:
        """Send the pieces that wait; True when none is left."""
        while self._rest:
            if not self._write(self._rest[0]):
                return False
            del self._rest[0]
        return True

    def _write(self, data: bytes) -> bool:
        try:
            self.sock.send(data)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ConnectionResetError(str(error)) from error
        return True

    def _joined(self, piece: memoryview) -> bytes:
        """Return the whole message with its last piece; nothing before."""
        self._partial += piece[2:]
        if len(self._partial) > MAX_WHOLE:
            self._partial.clear()
            self.counters.malformed += 1
            return b""
        if piece[:2] != _LAST:
            return b""
        whole = bytes(self._partial)
        self._partial.clear()
        return whole

    def _keep(self, message: Message) -> None:
        key = message.key
        if self._outbox.pop(key, None) is not None:
            self.counters.superseded += 1
        elif len(self._outbox) >= OUTBOX_LIMIT:
            del self._outbox[next(iter(self._outbox))]
            self.counters.dropped += 1
        self._outbox[key] = messages.encode(message)


def _pieces(data: bytes) -> list[bytes]:
    """Split a long message; the pieces follow each other with nothing between them."""
    starts = range(0, len(data), PIECE)
    last = starts[-1]
    return [(_LAST if s == last else _MORE) + data[s : s + PIECE] for s in starts]


def _enlarge(sock: socket.socket) -> None:
    """Ask for room for a burst; without privilege the kernel grants less, which is enough."""
    for force, plain in ((32, socket.SO_SNDBUF), (33, socket.SO_RCVBUF)):  # SO_*BUFFORCE
        try:
            sock.setsockopt(socket.SOL_SOCKET, force, 4 * ROOM)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, plain, ROOM)
