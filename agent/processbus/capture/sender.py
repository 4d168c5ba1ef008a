"""Put frames on a bus: an interface or a virtual one."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Protocol

from agent.errors import UnavailableError
from agent.processbus.capture.ring import packet_socket
from agent.processbus.capture.virtual import PREFIX, VirtualSender


class FrameSender(Protocol):
    """Sends whole frames without FCS."""

    def send(self, frames: list[bytes]) -> None:
        """Send frames in order."""

    def close(self) -> None:
        """Let go of the bus."""


class InterfaceSender:
    """Sends through AF_PACKET.

    Raises:
        UnavailableError: No such interface, or no permission.
    """

    def __init__(self, interface: str) -> None:
        self._socket = packet_socket(interface)
        try:
            self._socket.bind((interface, 0))
        except OSError as error:
            self._socket.close()
            raise UnavailableError(f"{interface}: cannot send: {error.strerror}") from error
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)

    def send(self, frames: list[bytes]) -> None:
        """Send frames in order; a link that is down loses them, as a cable does."""
        for frame in frames:
            with contextlib.suppress(OSError):
                self._socket.send(frame)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def open_sender(name: str) -> FrameSender:
    """Return a sender for an interface or `virtual:PATH`."""
    if name.startswith(PREFIX):
        return VirtualSender(Path(name.removeprefix(PREFIX)))
    return InterfaceSender(name)
