"""The HTTPS server of the utility process: uvicorn on a socket that is opened at the start."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final, cast

import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from agent.acceptor import Acceptor
from agent.config.utility import Utility
from agent.errors import (
    ConfigurationError,
    Finding,
    HandshakeTimeoutError,
    UnavailableError,
)
from agent.utility.api.protocol import PatientProtocol

CONNECTIONS_MAX: Final = 256
HEADERS_MAX: Final = 16 * 1024
KEEP_ALIVE_S: Final = 30
BACKLOG: Final = 128


class ApiServer:
    """Serves an application at `api_host`:`api_port`, over TLS where a certificate is set.

    Args:
        settings: `[utility]`.
        app: What is served.
        on_timeout: Hears of TLS handshakes that did not end in time.

    Raises:
        ConfigurationError: Certificate, key or authorities cannot be used.
        UnavailableError: The port is in use or may not be opened.
    """

    def __init__(
        self,
        settings: Utility,
        app: ASGIApp,
        on_timeout: Callable[[HandshakeTimeoutError], None] = lambda _error: None,
    ) -> None:
        self._config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http=PatientProtocol,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=HEADERS_MAX,
        )
        self._config.load()
        self._config.ssl = tls_context(settings)
        self._socket = _listen(settings)
        self._handshake_s = settings.handshake_timeout_s
        self._on_timeout = on_timeout

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    async def run(self) -> None:
        """Serve until cancelled."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._config.ssl else "http"
        logger.info("dispatch and OCPI at {}://{}:{}", scheme, host, port)
        try:
            server = _Server(self._config, self._handshake_s, self._on_timeout)
            await server.serve(sockets=[self._socket])
        finally:
            self._socket.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the worker, and bounds the TLS handshake."""

    def __init__(
        self,
        config: uvicorn.Config,
        handshake_s: float,
        on_timeout: Callable[[HandshakeTimeoutError], None] = lambda _error: None,
    ) -> None:
        super().__init__(config)
        self._handshake_s = handshake_s
        self._on_timeout = on_timeout

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen at the socket that is open already."""
        acceptors = [
            Acceptor(
                sock,
                lambda _peer: PatientProtocol(self.config, self.server_state, {}),
                tls=self.config.ssl,
                handshake_timeout_s=self._handshake_s,
                on_timeout=self._on_timeout,
            )
            for sock in sockets or ()
        ]
        for acceptor in acceptors:
            acceptor.start()
        # uvicorn closes them and waits for them, as it would for servers of asyncio.
        self.servers = cast(list[asyncio.base_events.Server], acceptors)
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


def tls_context(settings: Utility) -> ssl.SSLContext | None:
    """Return the server's TLS context; None where no certificate is set.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    if settings.api_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(settings.api_certificate, settings.api_key)
        if settings.api_client_ca is not None:
            context.load_verify_locations(settings.api_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        where = "utility.api_certificate, api_key, api_client_ca"
        raise ConfigurationError((Finding(where, f"cannot be used: {error}"),)) from error
    return context


def _listen(settings: Utility) -> socket.socket:
    host, port = settings.api_host, settings.api_port or 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)  # so that a second process is told at once
    except OSError as error:
        sock.close()
        raise UnavailableError(f"utility.api_port: {host}:{port}: {error.strerror}") from error
    sock.setblocking(False)
    return sock
