"""Whom to call and with which proofs; certificates are read again when their files change."""

from __future__ import annotations

import ssl
from pathlib import Path

from agent.config import Utility
from agent.errors import ConfigurationError, Finding
from agent.utility.csms.dial import Address
from agent.utility.csms.tls import client_context, stamp_of


class AddressBook:
    """The CSMS of the settings, for any identity.

    Raises:
        ConfigurationError: The password's file cannot be used.
    """

    def __init__(self, settings: Utility) -> None:
        self._settings = settings
        self._password = read_password(settings.password)
        self._stamp: tuple[float, ...] = ()
        self._tls: ssl.SSLContext | None = None

    @property
    def peer(self) -> str:
        """Host and port of the CSMS, for people."""
        return Address(self._settings.url, "", ()).peer

    def of(self, identity: str, protocols: tuple[str, ...] = ()) -> Address:
        """Return the address under which a station is known.

        Args:
            identity: Of the station.
            protocols: What it speaks; those of the settings where empty.

        Raises:
            ConfigurationError: A certificate, key or authority cannot be used (any more).
        """
        settings = self._settings
        tls = self._context() if settings.url.startswith("wss:") else None
        offered = protocols or settings.protocols
        return Address(settings.url, identity, offered, self._password, tls)

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        stamp = stamp_of(settings.certificate, settings.key, settings.ca)
        if self._tls is None or stamp != self._stamp:
            self._tls = client_context(settings.certificate, settings.key, settings.ca)
            self._stamp = stamp
        return self._tls


def read_password(path: Path | None) -> bytes:
    """Return the password in a file, without its line end.

    Raises:
        ConfigurationError: It cannot be read or is not 8 to 64 characters long.
    """
    if path is None:
        return b""
    try:
        password = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            (Finding(str(path), f"cannot be read: {error.strerror}"),)
        ) from error
    if not 8 <= len(password) <= 64:
        raise ConfigurationError((Finding(str(path), "the password has 8 to 64 characters"),))
    return password
