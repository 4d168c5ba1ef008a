"""uvicorn inside the worker's event loop: our socket, our TLS, no signals of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from agent.config import Hmi
from agent.errors import ConfigurationError, Finding

SEND_OCTETS: Final = 64 << 10
"""What waits in the kernel for a viewer; more would be old by the time it is read."""
RETRY_S: Final = 5.0
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the worker's link handles them


class PageServer:
    """Serves the page; a port that is in use costs the page, never the worker.

    Args:
        app: The page.
        settings: `[hmi]`.
        port: See `Settings.hmi_port`.

    Raises:
        ConfigurationError: Certificate or key cannot be used.

    Attributes:
        problem: Why the page is not served now; empty while it is.
    """

    def __init__(self, app: ASGIApp, settings: Hmi, port: int) -> None:
        self._app = app
        self._host, self._port = settings.host, port
        self._tls = _tls(settings) if settings.certificate is not None else None
        self.problem = "not started yet"

    @property
    def address(self) -> str:
        """What a browser opens."""
        scheme = "http" if self._tls is None else "https"
        host = "localhost" if self._host in ("127.0.0.1", "::1") else self._host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    async def run(self) -> None:
        """Serve until cancelled; wait for the port while somebody else has it."""
        while True:
            try:
                listener = self._listen()
            except OSError as error:
                if self.problem != error.strerror:
                    logger.warning("{}: {}; tried again", self.address, error.strerror)
                self.problem = error.strerror or "cannot listen"
                await asyncio.sleep(RETRY_S)
                continue
            self.problem = ""
            logger.info("the page is at {}", self.address)
            await self._serve(listener)

    async def _serve(self, listener: socket.socket) -> None:
        tls = self._tls
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
        server = _Server(config)
        try:
            await server.serve([listener])
        finally:
            server.should_exit = True
            listener.close()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted connections inherit it.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_OCTETS)
            listener.bind((self._host, self._port))
            listener.listen(128)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener


def _tls(settings: Hmi) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    try:
        context.load_cert_chain(str(settings.certificate), str(settings.key))
    except (OSError, ssl.SSLError) as error:
        where = f"hmi.certificate: {settings.certificate}"
        raise ConfigurationError((Finding(where, f"cannot be used: {error}"),)) from error
    return context
