"""The daemon's end: all processes of the gateway on one socket."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent import messages
from agent.errors import UnavailableError
from agent.link.connection import Batched, Connection
from agent.messages import AnyMessage, Hello, Message, Role

HELLO_TIMEOUT_S: Final = 2.0


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
