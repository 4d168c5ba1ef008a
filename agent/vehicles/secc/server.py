"""One EVSE interface: discovery, one vehicle at a time, and what its session came to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from iso15118.secc.secc_settings import Config
from iso15118.shared.messages.enums import AuthEnum, Protocol
from iso15118.shared.messages.iso15118_20.common_types import EVSENotification
from loguru import logger

from agent.errors import HandshakeTimeoutError, ProtocolError
from agent.vehicles.secc import contract
from agent.vehicles.secc.controller import Controller
from agent.vehicles.secc.discovery import Discovery, link_local_address, start_discovery
from agent.vehicles.secc.evse import Evse
from agent.vehicles.secc.fence import use_pki
from agent.vehicles.secc.link_watch import has_carrier, silent_s
from agent.vehicles.secc.listener import Streams, listen, open_streams
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.session import Session, SessionEnd
from agent.vehicles.secc.tls import TlsContexts, certificates_folder, load_contexts
from agent.vehicles.secc.v2gtp import SECURED, UNSECURED

WATCH_S: Final = 0.1
GOODBYE_S: Final = 5.0
"""The vehicle closes the connection after SessionStopRes ([V2G2-025]); then we do."""
_V20: Final = ("ISO_15118_20_AC", "ISO_15118_20_DC")


@dataclass(frozen=True, slots=True)
class Events:
    """What the worker wants to hear.

    Attributes:
        progress: An answer went out to the vehicle.
        ended: A session ended.
        handshake: A handshake timed out or failed: stage and hint are in the error.
    """

    progress: Callable[[], None]
    ended: Callable[[SessionEnd], None]
    handshake: Callable[[ProtocolError], None]


class Secc:
    """Serves one interface; `run` until cancelled.

    Raises:
        ConfigurationError: Certificates that are missing, expired or unfit (constructor).
    """

    def __init__(self, options: SeccOptions, evse: Evse, events: Events) -> None:
        self.options = options
        self.evse = evse
        self._events = events
        self._contexts: TlsContexts | None = None
        self._roots: tuple[x509.Certificate, ...] = ()
        if options.tls != "off" and options.pki is not None:
            self._contexts = load_contexts(options.pki)
            self._roots = contract.load_roots(certificates_folder(options.pki))
            use_pki(options.pki)
        self.session: Session | None = None
        self.sessions = 0
        self._paused: Session | None = None
        self._busy = False
        self._serving: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Answer discovery and serve vehicles.

        Raises:
            UnavailableError: The interface, its address or the discovery port cannot be had.
        """
        address = link_local_address(self.options.interface)
        listeners = {
            security: listen(address, self.options.interface) for security in self._offers()
        }
        ports = {security: sock.getsockname()[1] for security, sock in listeners.items()}
        discovery = Discovery(address, ports, self.options.tls, lambda: not self._busy)
        transport = await start_discovery(self.options.interface, discovery)
        logger.info("SECC on {} ({}), TLS {}", self.options.interface, address, self.options.tls)
        try:
            async with asyncio.TaskGroup() as group:
                for security, sock in listeners.items():
                    group.create_task(self._accept(sock, security))
        finally:
            transport.close()
            for sock in listeners.values():
                sock.close()
            self.evse.stage.open()

    def notify(self, notification: EVSENotification) -> bool:
        """Ask the vehicle to stop, pause or renegotiate; False when there is none."""
        if self.session is None:
            return False
        self.session.controller.notify(notification)
        ending = (EVSENotification.TERMINATE, EVSENotification.PAUSE)
        self.session.controller.stop_requested = notification in ending
        return True

    async def stop_session(self, grace_s: float) -> None:
        """Ask the vehicle to stop; after `grace_s` open the contactor whatever it does."""
        if self.notify(EVSENotification.TERMINATE) and self._serving is not None:
            await asyncio.wait([self._serving], timeout=grace_s)
            self._serving.cancel()
        self.evse.stage.open()

    def _offers(self) -> list[int]:
        policies = {"required": [SECURED], "offered": [SECURED, UNSECURED], "off": [UNSECURED]}
        return policies[self.options.tls]

    async def _accept(self, listener: socket.socket, security: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setblocking(False)
            if self._busy:
                sock.close()
                continue
            self._busy = True
            self._serving = asyncio.create_task(self._serve(sock, security))
            try:
                await asyncio.wait([self._serving])
            finally:
                self._serving.cancel()
                self._busy = False

    async def _serve(self, sock: socket.socket, security: int) -> None:
        contexts = self._contexts if security == SECURED else None
        try:
            streams = await open_streams(sock, contexts, self.options.tls_timeout_s)
        except ProtocolError as error:
            logger.warning("{}", error)
            self._events.handshake(error)
            return
        try:
            await self._serve_streams(streams)
        except OSError as error:
            logger.warning("session: {}", error)
        finally:
            self.session = None
            streams[1].close()

    async def _serve_streams(self, streams: Streams) -> None:
        controller = Controller(self.evse, self.options, self._roots)
        session = Session(
            streams,
            self._config(streams[1]),
            controller,
            self.options.setup_timeout_s,
            self._events.progress,
        )
        if self._paused is not None:
            session.resume_from(self._paused)
        self.session = session
        self.sessions += 1
        logger.info("session with {} starts", session.peer)
        end = await self._watched(session, streams[1])
        self._paused = session if end.paused else None
        if isinstance(end.error, HandshakeTimeoutError):
            self._events.handshake(end.error)
        if end.under_load:
            self.evse.blocked_until_s = time.monotonic() + self.options.cooldown_s
        logger.info("session with {} ended in {}: {}", session.peer, end.stage, end.reason)
        self._events.ended(end)
        if end.regular:
            await _goodbye(streams[0])

    async def _watched(self, session: Session, writer: asyncio.StreamWriter) -> SessionEnd:
        """Run the session; a dead link ends it."""
        serving = asyncio.ensure_future(session.run())
        sock = writer.get_extra_info("socket")
        try:
            while not serving.done():
                await asyncio.wait([serving], timeout=WATCH_S)
                reason = "" if serving.done() else self._dead(sock)
                if reason:
                    session.reader.set_exception(ConnectionResetError(reason))
                    await asyncio.wait([serving])
        except asyncio.CancelledError:
            serving.cancel()
            await asyncio.wait([serving])
            raise
        return serving.result()

    def _dead(self, sock: socket.socket) -> str:
        if not has_carrier(self.options.interface):
            return "the link has no carrier"
        if silent_s(sock) > self.options.dead_link_s:
            return "the vehicle does not answer any more"
        return ""

    def _config(self, writer: asyncio.StreamWriter) -> Config:
        """What this connection may negotiate: -20 only with the vehicle's certificate."""
        tls = writer.get_extra_info("ssl_object")
        names = list(self.options.protocols)
        if self.options.tls != "off" and (tls is None or tls.getpeercert(True) is None):
            names = [name for name in names if name not in _V20]
        auth = [name for name in self.options.auth_modes if name != "PNC" or tls is not None]
        config = Config()
        config.supported_protocols = [Protocol[name] for name in names]
        config.supported_auth_options = [AuthEnum[name] for name in auth]
        config.allow_cert_install_service = False
        config.enforce_tls = self.options.tls == "required"
        return config


async def _goodbye(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(GOODBYE_S):
            while await reader.read(1024):
                pass
