"""A tool's conversation with the running daemon."""

from __future__ import annotations

import argparse
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.config import DEFAULT_PATH, load_settings
from agent.errors import UnavailableError
from agent.link import Link
from agent.messages import AnyMessage, Message, Role, Snapshot, StatusQuery

ANSWER_TIMEOUT_S: Final = 3.0


def add_gateway_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which daemon is meant."""
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="agent.toml")
    parser.add_argument("--socket", type=Path, help="the daemon's control socket")


class GatewayClient:
    """One operator's connection; iterate `messages` to hear the daemon.

    Raises:
        UnavailableError: No daemon listens there.
        ConfigurationError: The configuration that names the socket cannot be read.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        path = arguments.socket or load_settings(arguments.config).control_socket
        self._link = Link(path, Role.OPERATOR, "operator")
        if not self._link.connect():
            raise UnavailableError(
                f"{path}: no v2g-daemon answers here (systemctl status v2g-gateway)"
            )

    def send(self, message: Message) -> None:
        """Send one message."""
        self._link.send(message)
        self._link.flush()

    def messages(self, timeout_s: float) -> Iterator[AnyMessage]:
        """Yield what arrives within `timeout_s`.

        Raises:
            UnavailableError: The daemon ended meanwhile.
        """
        end_s = time.monotonic() + timeout_s
        while (rest_s := end_s - time.monotonic()) > 0:
            select.select([self._link.fileno()], [], [], rest_s)
            yield from self._link.receive()
            if not self._link.connected:
                raise UnavailableError("the daemon closed the connection")

    def snapshot(self) -> Snapshot:
        """Return one complete snapshot.

        Raises:
            UnavailableError: The daemon does not answer in time.
        """
        self.send(StatusQuery())
        for message in self.messages(ANSWER_TIMEOUT_S):
            if isinstance(message, Snapshot) and message.complete:
                return message
        raise UnavailableError("the daemon does not answer")

    def close(self) -> None:
        """Close the connection."""
        self._link.close()
