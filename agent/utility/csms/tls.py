"""Our TLS towards the CSMS: the context, and errors that say which file is wrong and why."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from loguru import logger

from agent.errors import ConfigurationError, Finding

CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384"
)
"""2.0.1 part 2, A00.FR.318 and its ephemeral RSA siblings; TLS 1.3 brings its own."""
EXPIRES_SOON: Final = timedelta(days=30)
DEBIAN_KEYS: Final = Path("/etc/ssl/private")
_PEM_CRL: Final = b"-----BEGIN X509 CRL-----"
_PEM_KEY: Final = b"PRIVATE KEY-----"


def key_of(certificate: Path, key: Path | None) -> Path:
    """Return where the private key of a certificate is.

    The one that was named; else in the certificate's own file, beside it with the suffix `.key`,
    or in `/etc/ssl/private` under the certificate's name, as Debian keeps them.

    Raises:
        ConfigurationError: There is none of these.
    """
    if key is not None:
        return key
    beside = (certificate.with_suffix(".key"), DEBIAN_KEYS / f"{certificate.stem}.key")
    if certificate.exists() and _PEM_KEY in _read(certificate):
        return certificate
    for place in beside:
        if _is_file(place):
            return place
    searched = ", ".join(str(place) for place in (certificate, *beside))
    raise ConfigurationError(
        (Finding(str(certificate), f"its private key is in none of {searched}", "name it: key"),)
    )


def client_context(certificate: Path | None, key: Path | None, ca: Path | None) -> ssl.SSLContext:
    """Return the context that proves who we are and checks who they are (profiles 2 and 3).

    A file of authorities may hold revocation lists as well (PEM); then a server certificate that
    is revoked, or whose list is missing or outdated, is refused.

    Raises:
        ConfigurationError: A file cannot be read, is no certificate, or does not fit another.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load(ca, lambda: context.load_verify_locations(str(ca)))
        if _PEM_CRL in _read(ca):
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if certificate is not None:
        _warn_of_end(certificate, check_validity(certificate))
        key = key_of(certificate, key)
        _read(key)
        _load(certificate, lambda: context.load_cert_chain(str(certificate), str(key)))
    return context


def check_validity(certificate: Path, now: datetime | None = None) -> datetime:
    """Return the end of a certificate's validity.

    Raises:
        ConfigurationError: It is expired, not valid yet, or no certificate.
    """
    from cryptography import x509  # slow to import, and needed only with TLS

    now = now or datetime.now(UTC)
    try:
        leaf = x509.load_pem_x509_certificates(_read(certificate))[0]
    except ValueError as error:
        hint = "PEM: -----BEGIN CERTIFICATE-----"
        raise ConfigurationError(
            (Finding(str(certificate), f"holds no certificate: {error}", hint),)
        ) from error
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > end:
        raise ConfigurationError(
            (Finding(str(certificate), f"expired on {end:%Y-%m-%d %H:%M} UTC", "renew it"),)
        )
    if now < start:
        hint = "check the clock: timedatectl"
        raise ConfigurationError(
            (Finding(str(certificate), f"is valid from {start:%Y-%m-%d %H:%M} UTC on", hint),)
        )
    return end


def stamp_of(*files: Path | None) -> tuple[float, ...]:
    """Return the times of change of these files; 0 for one that is away."""
    return tuple(_changed(path) for path in files if path is not None)


def explain(error: ssl.SSLError) -> str:
    """Say in words what TLS has against the other side, or it against us."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the CSMS's certificate is refused: {error.verify_message}"
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" in reason:
        return f"the CSMS refuses our certificate or our TLS: {reason}"
    return f"TLS fails: {reason}"


def _warn_of_end(certificate: Path, end: datetime) -> None:
    left = end - datetime.now(UTC)
    if left < EXPIRES_SOON:
        logger.warning("{}: expires in {} days, on {:%Y-%m-%d}", certificate, left.days, end)


def _load(path: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        what = f"cannot be used: {str(reason).replace('_', ' ').lower()}"
        raise ConfigurationError((Finding(str(path), what),)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        hint = f"readable by uid {os.getuid()}?" if isinstance(error, PermissionError) else ""
        raise ConfigurationError(
            (Finding(str(path), f"cannot be read: {error.strerror}", hint),)
        ) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return False


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
