"""The end of a worker or tool."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from agent.link.connection import Batched, Connection
from agent.messages import AnyMessage, Hello, Message, Role


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
