"""The listening sockets of this worker, with the security each of them asks for."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final

from loguru import logger

from agent.acceptor import Acceptor
from agent.config import Stations
from agent.errors import AgentError, HandshakeTimeoutError, UnavailableError
from agent.vehicles.stations import tls
from agent.vehicles.stations.fleet import Fleet
from agent.vehicles.stations.handshake import Door, DoorSettings
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.passwords import load_passwords
from agent.vehicles.stations.security import Gatekeeper
from agent.vehicles.stations.throttle import Throttle

BACKLOG: Final = 4096


class Listeners:
    """All doors of a site's stations.

    Args:
        settings: The checked `[stations]` table.
        fleet: Where the stations live.
        on_timeout: Hears of handshakes that did not end in time.

    Raises:
        ConfigurationError: Passwords, keys or certificates that cannot be used.
        UnavailableError: A port is in use or may not be opened.
    """

    def __init__(
        self,
        settings: Stations,
        fleet: Fleet,
        on_timeout: Callable[[HandshakeTimeoutError], None],
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._on_timeout = on_timeout
        self._files = tls.files_of(settings)
        self._stamp = tls.stamp_of(self._files)
        passwords = load_passwords(settings.passwords) if settings.passwords else None
        self._gatekeeper = Gatekeeper(passwords, settings.organization)
        self._throttle = Throttle(settings.connects_per_s)
        self._pairs: list[tuple[Acceptor, int]] = []
        try:
            self._open(settings.host, settings.port, settings.security_profile)
            for each in settings.listeners:
                self._open(each.host, each.port, each.security_profile)
        except AgentError:
            self.close()
            raise

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports that are listened on, the main one first."""
        return tuple(acceptor.port for acceptor, _ in self._pairs)

    @property
    def refused(self) -> int:
        """Peers that were not let in, before or after TLS."""
        return sum(acceptor.refused + acceptor.failed_handshakes for acceptor, _ in self._pairs)

    def start(self) -> None:
        """Begin to accept."""
        for acceptor, profile in self._pairs:
            acceptor.start()
            logger.info(
                "listening for charging stations on port {}, security profile {}",
                acceptor.port,
                profile,
            )

    def close(self) -> None:
        """Stop accepting."""
        for acceptor, _ in self._pairs:
            acceptor.close()

    def expire(self, at: Instant) -> None:
        """Drop those that completed the upgrade and never said a word: alarm 0x22, stage boot."""
        oldest_s = at.mono_s - self._settings.handshake_timeout_s
        for connection in tuple(self._fleet.connections.values()):
            if connection.heard_s == connection.since_s < oldest_s and not (
                connection.station.booted
            ):
                self._on_timeout(HandshakeTimeoutError(connection.peer, "boot"))
                connection.close()

    def reload(self) -> None:
        """Use changed certificates and revocation lists; keep the old ones when they are bad."""
        stamp = tls.stamp_of(self._files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            renewed = [
                (acceptor, context)
                for acceptor, profile in self._pairs
                if (context := self._context(profile)) is not None
            ]
            revoked = tls.revoked_serials(self._settings.crl) if self._settings.crl else frozenset()
        except AgentError as error:
            logger.error("certificates changed and cannot be used: {}", error)
            return
        for acceptor, context in renewed:
            acceptor.renew_tls(context)
        self._fleet.revoke(revoked)
        logger.info("certificates and revocation lists were read again")

    def _open(self, host: str, port: int, profile: int) -> None:
        settings = self._settings
        door = Door(
            self._fleet,
            self._gatekeeper,
            DoorSettings(
                security_profile=profile,
                handshake_timeout_s=settings.handshake_timeout_s,
                call_timeout_s=settings.call_timeout_s,
                messages_per_s=settings.messages_per_s,
                max_stations=settings.max_stations,
            ),
            self._on_timeout,
        )
        acceptor = Acceptor(
            _listen(host, port),
            door.make_protocol,
            tls=self._context(profile),
            handshake_timeout_s=settings.handshake_timeout_s,
            on_timeout=self._on_timeout,
            admit=lambda address: self._throttle.take(address, Instant.now().mono_s),
        )
        self._pairs.append((acceptor, profile))

    def _context(self, profile: int) -> ssl.SSLContext | None:
        return tls.server_context(self._settings, profile) if profile >= 2 else None


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UnavailableError(
            f"cannot listen for charging stations on {host} port {port}: {error.strerror}"
        ) from error
    listener.setblocking(False)
    return listener
