"""A process bus without privileges: Ethernet frames over Unix sockets.

`virtual:PATH` is a bus, not a connection: any number of senders and receivers meet at PATH. Each
receiver listens at `PATH.<pid>-<n>.rx`; a sender connects to all it finds and looks again ten
times a second. A message is a batch of records in the format of a capture file, so a burst of
frames costs one system call and the reader is the one that files use.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import time
from pathlib import Path
from typing import Final

from agent.errors import UnavailableError
from agent.processbus.capture.records import RecordFormat, pack_records, padded, records
from agent.processbus.frames import Frames

PREFIX: Final = "virtual:"
MAX_BATCH: Final = 1 << 16
_SEND_BUFFER: Final = 1 << 22
_LOOK_AGAIN_S: Final = 0.1
_numbers = itertools.count()


class VirtualReceiver:
    """One listener on a virtual bus.

    Raises:
        UnavailableError: The socket cannot be made there.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(f"{path}.{os.getpid()}-{next(_numbers)}.rx")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listener.bind(str(self._path))
        except OSError as error:
            self._listener.close()
            raise UnavailableError(f"{self._path}: no virtual bus here: {error}") from error
        self._listener.listen(16)
        self._listener.setblocking(False)
        self._senders: list[socket.socket] = []
        self.received = 0
        self.dropped = 0

    def fileno(self) -> int:
        """Descriptor of the listener."""
        return self._listener.fileno()

    def take(self) -> Frames:
        """Return the frames that wait."""
        with contextlib.suppress(BlockingIOError):
            sender, _ = self._listener.accept()
            sender.setblocking(False)
            self._senders.append(sender)
        data = b"".join(self._messages())
        frames, _ = records(padded(data), 0, len(data), RecordFormat())
        self.received += len(frames)
        return frames

    def _messages(self) -> list[bytes]:
        messages: list[bytes] = []
        for sender in tuple(self._senders):
            try:
                while data := sender.recv(MAX_BATCH):
                    messages.append(data)
            except BlockingIOError:
                continue
            except OSError:
                pass
            sender.close()
            self._senders.remove(sender)
        return messages

    def close(self) -> None:
        """Leave the bus."""
        for sender in self._senders:
            sender.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)


class VirtualSender:
    """Sends to every receiver of a virtual bus; what a slow receiver cannot take is lost to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._receivers: dict[str, socket.socket] = {}
        self._look_s = 0.0

    def send(self, frames: list[bytes]) -> None:
        """Send frames in one batch, stamped now."""
        self._look()
        batch = pack_records(frames, [time.time_ns()] * len(frames))
        for name, receiver in tuple(self._receivers.items()):
            try:
                receiver.send(batch)
            except BlockingIOError:
                continue
            except OSError:
                receiver.close()
                del self._receivers[name]

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s < self._look_s:
            return
        self._look_s = now_s + _LOOK_AGAIN_S
        pattern = re.compile(re.escape(self._path.name) + r"\.\d+-\d+\.rx")
        for path in self._path.parent.iterdir():
            name = str(path)
            if pattern.fullmatch(path.name) and name not in self._receivers:
                self._connect(name)

    def _connect(self, name: str) -> None:
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            receiver.connect(name)
        except ConnectionRefusedError:  # left behind by a process that was killed
            receiver.close()
            Path(name).unlink(missing_ok=True)
        except OSError:
            receiver.close()
        else:
            self._receivers[name] = receiver

    def close(self) -> None:
        """Leave the bus."""
        for receiver in self._receivers.values():
            receiver.close()
