"""Accepts sockets one by one, so that every failed handshake has an address and a stage.

A server of asyncio tells nobody of a peer that connects and does not finish its TLS handshake.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import aiofastnet
from loguru import logger

from agent.errors import HandshakeTimeoutError

ACCEPTS_A_TURN: Final = 64
"""Sockets accepted before the loop serves the connected stations again."""
RECORD: Final = 16 * 1024
"""A connection's buffer for each direction: the least permitted, a sixteenth of the usual."""
PAUSE_S: Final = 0.1
"""Wait before accepting again when the process is out of descriptors."""


class Acceptor:
    """Serves a listening socket.

    Args:
        listener: Non-blocking and listening; closed with the acceptor.
        make_protocol: Makes the protocol of one connection from the peer's address.
        tls: Server context, or None for plain TCP.
        handshake_timeout_s: Time for TLS; the protocol itself watches what follows.
        on_timeout: Hears of TLS handshakes that did not end in time.
        admit: Whether an address may connect now (rate limit).
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[str], asyncio.BaseProtocol],
        *,
        tls: ssl.SSLContext | None = None,
        handshake_timeout_s: float = 10.0,
        on_timeout: Callable[[HandshakeTimeoutError], None] = lambda _error: None,
        admit: Callable[[str], bool] = lambda _address: True,
    ) -> None:
        self._make_protocol = make_protocol
        self._tls = tls
        self._timeout_s = handshake_timeout_s
        self._on_timeout = on_timeout
        self._admit = admit
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = listener
        self.refused = 0
        self.failed_handshakes = 0

    @property
    def port(self) -> int:
        """Port that is listened on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to accept."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop accepting; connections that are up stay."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the handshakes that `close` interrupted have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def renew_tls(self, tls: ssl.SSLContext) -> None:
        """Use another context for connections from now on (certificates or CRLs changed)."""
        self._tls = tls

    def _accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            peer = _name(address)
            if not self._admit(str(address[0])):
                self.refused += 1
                sock.close()
                continue
            sock.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._welcome(sock, peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _welcome(self, sock: socket.socket, peer: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await aiofastnet.connect_accepted_socket(
                loop,
                lambda: self._make_protocol(peer),
                sock,
                **self._tls_options(),
            )
        except ConnectionAbortedError:  # how asyncio reports its ssl_handshake_timeout
            self.failed_handshakes += 1
            self._on_timeout(HandshakeTimeoutError(peer, "tls"))
        except (OSError, ssl.SSLError) as error:
            self.failed_handshakes += 1
            logger.warning("{}: TLS handshake failed: {}", peer, error)

    def _tls_options(self) -> dict[str, Any]:
        if self._tls is None:
            return {}
        return {
            "ssl": self._tls,
            "ssl_handshake_timeout": self._timeout_s,
            "ssl_incoming_bio_size": RECORD,
            "ssl_outgoing_bio_size": RECORD,
        }

    def _pause(self, error: OSError) -> None:
        """Out of descriptors: serve those that are connected, and accept again a little later."""
        if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
            raise error
        logger.error("cannot accept connections: {}", error.strerror)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self.start()


def _name(address: tuple[object, ...]) -> str:
    return f"{address[0]}:{address[1]}"
