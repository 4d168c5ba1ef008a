"""Typed messages between the processes, over Unix sockets.

SOCK_SEQPACKET keeps message borders and tells at once when the other side died. A `Hub` belongs
to the daemon, a `Link` to every worker and tool. Nothing here blocks: what a full socket buffer
cannot take waits in an outbox where the newest message of a key replaces the older one, so a
stalled process costs the others nothing and hears only the latest when it comes back.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from agent import messages
from agent.errors import UnavailableError
from agent.messages import (
    AnyMessage,
    Batch,
    EvseStatus,
    Hello,
    Message,
    ModeOrder,
    OrderResult,
    OrderSent,
    Role,
    Setpoint,
)

MAX_MESSAGE: Final = 1 << 20
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
HELLO_TIMEOUT_S: Final = 2.0
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
                data = self.sock.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            if not data:
                raise ConnectionResetError("the other side closed the link")
            if data[:2] in (_MORE, _LAST):
                data = self._joined(data)
                if not data:
                    continue
            try:
                message = messages.decode(data)
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

    def _joined(self, piece: bytes) -> bytes:
        """Return the whole message with its last piece; nothing before."""
        self._partial += piece[2:]
        if len(self._partial) > MAX_WHOLE:
            self._partial.clear()
            self.counters.malformed += 1
            return b""
        if not piece.startswith(_LAST):
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
            sock.setsockopt(socket.SOL_SOCKET, force, 4 * MAX_MESSAGE)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, plain, MAX_MESSAGE)


@dataclass(slots=True)
class Peer:
    """One process on the daemon's hub; `hello` is None until it introduced itself."""

    connection: Connection
    pid: int
    uid: int
    since_s: float
    hello: Hello | None = None
    heard_s: float = 0.0
    watching: bool = False


@dataclass(slots=True)
class HubEvents:
    """What one `Hub.poll` brought, in order of arrival."""

    received: list[tuple[Peer, AnyMessage]] = field(default_factory=list)
    joined: list[Peer] = field(default_factory=list)
    left: list[Peer] = field(default_factory=list)


class Hub:
    """The daemon's end: accepts the workers and tools, reads and sends without blocking.

    Args:
        path: Of the socket. `mode`: its permissions.
        permits: Whether a user may have a role; who claims another is dropped.
    """

    def __init__(
        self,
        path: Path,
        mode: int = 0o660,
        permits: Callable[[int, Role], bool] = lambda _uid, _role: True,
    ) -> None:
        self.path = path
        self._permits = permits
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listener.bind(str(path))
        except OSError as error:
            raise UnavailableError(f"{path}: cannot open the link: {error.strerror}") from error
        path.chmod(mode)
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[int, Peer] = {}
        self._extra: dict[int, Callable[[], None]] = {}

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All connected processes."""
        return tuple(self._peers.values())

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` from `poll` when `fd` can be read."""
        self._extra[fd] = callback
        self._selector.register(fd, selectors.EVENT_READ)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor of `watch`; the caller closes it."""
        if self._extra.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def poll(self, timeout_s: float) -> HubEvents:
        """Wait up to `timeout_s` for anything, then read all of it."""
        events = HubEvents()
        for key, mask in self._selector.select(max(0.0, timeout_s)):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fd in self._extra:
                self._extra[key.fd]()
            elif (peer := self._peers.get(key.fd)) is not None:
                self._serve(peer, mask, events)
        self._drop_silent(events)
        return events

    def send(self, peer: Peer, message: Message) -> bool:
        """Send to one process; False when it is gone (`poll` reports that as `left`)."""
        try:
            peer.connection.send(message)
        except ConnectionError:
            return False
        self._want_write(peer)
        return True

    def send_all(self, peer: Peer, batch: Sequence[Batched]) -> bool:
        """Send the messages of one turn to one process; False when it is gone."""
        try:
            peer.connection.send_all(batch)
        except ConnectionError:
            return False
        self._want_write(peer)
        return True

    def send_role(self, role: Role, message: Message) -> int:
        """Send to every process of a role; return how many there are."""
        targets = [peer for peer in self.peers if peer.hello and peer.hello.role is role]
        return sum(self.send(peer, message) for peer in targets)

    def close(self) -> None:
        """Close every link and remove the socket file."""
        for peer in self.peers:
            peer.connection.close()
        self._peers.clear()
        self._selector.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            sock, _ = self._listener.accept()
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            pid, uid, _gid = struct.unpack("3i", credentials)
            now = time.monotonic()
            peer = Peer(Connection(sock), pid, uid, since_s=now, heard_s=now)
            self._peers[sock.fileno()] = peer
            self._selector.register(sock, selectors.EVENT_READ)

    def _serve(self, peer: Peer, mask: int, events: HubEvents) -> None:
        try:
            if mask & selectors.EVENT_WRITE and peer.connection.flush():
                self._selector.modify(peer.connection.sock, selectors.EVENT_READ)
            if mask & selectors.EVENT_READ:
                for message in peer.connection.receive():
                    self._take(peer, message, events)
        except ConnectionError:
            self._drop(peer, events)

    def _take(self, peer: Peer, message: AnyMessage, events: HubEvents) -> None:
        peer.heard_s = time.monotonic()
        if isinstance(message, Hello):
            if message.version != messages.PROTOCOL_VERSION:
                raise ConnectionAbortedError("another version of the agent")
            if not self._permits(peer.uid, message.role):
                raise ConnectionAbortedError(f"uid {peer.uid} is not {message.role}")
            peer.hello = message
            events.joined.append(peer)
        elif peer.hello is not None:
            events.received.append((peer, message))

    def _drop_silent(self, events: HubEvents) -> None:
        """A process that connects and never says who it is keeps no descriptor of ours."""
        limit_s = time.monotonic() - HELLO_TIMEOUT_S
        for peer in self.peers:
            if peer.hello is None and peer.since_s < limit_s:
                self._drop(peer, events)

    def _drop(self, peer: Peer, events: HubEvents) -> None:
        fd = peer.connection.sock.fileno()
        self._selector.unregister(peer.connection.sock)
        peer.connection.close()
        self._peers.pop(fd, None)
        if peer.hello is not None:
            events.left.append(peer)

    def _want_write(self, peer: Peer) -> None:
        if peer.connection.pending:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(peer.connection.sock, both)


def _remove_stale(path: Path) -> None:
    """Remove a socket file that nobody serves; refuse to steal a live daemon's."""
    if not path.exists():
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        probe.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        return
    finally:
        probe.close()
    raise UnavailableError(f"{path}: another v2g-daemon is running here")


class Link:
    """A worker's or tool's end: connects, says who it is, and reconnects when asked to.

    `send` never raises: without a daemon the message is dropped and counted, because a worker
    states its values again when the link is back (`on_connect`).
    """

    def __init__(self, path: Path, role: Role, name: str = "") -> None:
        self.path = path
        self.hello = Hello(role, os.getpid(), name or str(role))
        self.lost = 0
        self._connection: Connection | None = None

    @property
    def connected(self) -> bool:
        """There is a daemon at the other end."""
        return self._connection is not None

    @property
    def pending(self) -> bool:
        """Something waits for room in the socket; call `flush` when it can be written."""
        return self._connection is not None and self._connection.pending > 0

    def fileno(self) -> int:
        """Descriptor for `select` or `loop.add_reader`; -1 while not connected."""
        return self._connection.sock.fileno() if self._connection else -1

    def connect(self) -> bool:
        """Try once; True when connected."""
        self.close()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(str(self.path))
            self._connection = Connection(sock)
            self._connection.send(self.hello)
        except OSError:
            sock.close()
            self._connection = None
        return self.connected

    def send(self, message: Message) -> bool:
        """Send, or keep the newest of its key; False when there is no daemon."""
        if self._connection is None:
            self.lost += 1
            return False
        try:
            self._connection.send(message)
        except ConnectionError:
            self.close()
            return False
        return True

    def send_all(self, batch: Sequence[Batched]) -> bool:
        """Send the messages of one turn together; False when there is no daemon."""
        if self._connection is None:
            self.lost += len(batch)
            return False
        try:
            self._connection.send_all(batch)
        except ConnectionError:
            self.close()
            return False
        return True

    def flush(self) -> bool:
        """Send what waits; True when nothing is left."""
        try:
            return self._connection is None or self._connection.flush()
        except ConnectionError:
            self.close()
            return True

    def receive(self) -> list[AnyMessage]:
        """Return what has arrived; closes itself (`connected` turns False) at the end."""
        received: list[AnyMessage] = []
        if self._connection is None:
            return received
        try:
            received.extend(self._connection.receive())
        except ConnectionError:
            self.close()
        return received

    def close(self) -> None:
        """Close the link."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
