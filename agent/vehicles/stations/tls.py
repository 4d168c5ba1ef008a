"""TLS contexts of the listeners, and the files they come from."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.config import Stations
from agent.errors import ConfigurationError, Finding

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384"
)
"""What 2.0.1 part 2 demands for TLS 1.2 (A00.FR.318), and the same with ephemeral RSA."""


def server_context(settings: Stations, profile: int) -> ssl.SSLContext:
    """Return the context of a listener with this security profile (2 or 3).

    Raises:
        ConfigurationError: A file cannot be read, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0  # nobody resumes, and each ticket is memory and a write
    _load(
        "certificate and key",
        settings.certificate,
        lambda: context.load_cert_chain(str(settings.certificate), settings.key),
    )
    if profile == 3:
        context.verify_mode = ssl.CERT_REQUIRED
        _load(
            "client_ca",
            settings.client_ca,
            lambda: context.load_verify_locations(str(settings.client_ca)),
        )
        if settings.crl is not None:
            _load("crl", settings.crl, lambda: context.load_verify_locations(str(settings.crl)))
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def revoked_serials(crl: Path) -> frozenset[int]:
    """Return the serial numbers on the revocation lists of a PEM file.

    Raises:
        ConfigurationError: The file cannot be read or holds no list.
    """
    from cryptography import x509  # slow to import, and only needed here

    try:
        blocks = crl.read_bytes().split(b"-----END X509 CRL-----")[:-1]
        lists = [x509.load_pem_x509_crl(block + b"-----END X509 CRL-----\n") for block in blocks]
    except (OSError, ValueError) as error:
        raise ConfigurationError((Finding(str(crl), f"no revocation list: {error}"),)) from error
    return frozenset(entry.serial_number for each in lists for entry in each)


def files_of(settings: Stations) -> tuple[Path, ...]:
    """Return the files that the contexts are made from."""
    named = (settings.certificate, settings.key, settings.client_ca, settings.crl)
    return tuple(path for path in named if path is not None)


def stamp_of(files: tuple[Path, ...]) -> tuple[float, ...]:
    """Return the modification times, to notice changes; 0 for a file that is away."""
    return tuple(path.stat().st_mtime if path.exists() else 0.0 for path in files)


def _load(what: str, path: Path | None, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            (Finding(f"stations.{what}: {path}", f"cannot be used: {error}"),)
        ) from error
