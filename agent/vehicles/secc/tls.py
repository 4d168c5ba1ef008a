"""TLS of the charge point: 1.2 without a client certificate for -2, mutual 1.3 for -20.

One port serves both. The ClientHello tells which: a vehicle that offers TLS 1.3 is asked for its
certificate, one that does not gets TLS 1.2 and may speak ISO 15118-2 only. There is no way from
here to plain TCP.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from agent.errors import ConfigurationError, Finding

CIPHERS_TLS12: Final = "ECDHE-ECDSA-AES128-SHA256:ECDH-ECDSA-AES128-SHA256"
"""ISO 15118-2:2014, table 7."""
_CHAIN: Final = "cpoCertChain.pem"
_KEY: Final = "seccLeaf.key"
_PASSWORD: Final = "seccLeafPassword.txt"  # noqa: S105 - the name of a file
_VEHICLE_ROOT: Final = "oemRootCACert.pem"

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SUPPORTED_VERSIONS: Final = 43
_TLS13: Final = b"\x03\x04"


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """Server contexts by what the vehicle offers."""

    tls12: ssl.SSLContext
    tls13: ssl.SSLContext

    def for_client(self, client_hello: bytes) -> ssl.SSLContext:
        """Return the context for a vehicle, from the first octets that it sent."""
        return self.tls13 if offers_tls13(client_hello) else self.tls12


def certificates_folder(pki: Path) -> Path:
    """Folder of the certificates, as the package wants it."""
    return pki / "iso15118_2" / "certs"


def load_contexts(pki: Path) -> TlsContexts:
    """Load and check what TLS needs.

    Raises:
        ConfigurationError: With every certificate or key that is missing, expired or unfit.
    """
    findings = check_certificates(pki, datetime.now(UTC))
    if findings:
        raise ConfigurationError(tuple(findings))
    tls12 = _context(pki, ssl.TLSVersion.TLSv1_2)
    tls12.set_ciphers(CIPHERS_TLS12)
    tls12.verify_mode = ssl.CERT_NONE
    tls13 = _context(pki, ssl.TLSVersion.TLSv1_3)
    tls13.verify_mode = ssl.CERT_REQUIRED
    tls13.load_verify_locations(certificates_folder(pki) / _VEHICLE_ROOT)
    return TlsContexts(tls12, tls13)


def check_certificates(pki: Path, now: datetime) -> list[Finding]:
    """Return what is wrong with the certificates, all of it at once."""
    certificates = certificates_folder(pki)
    findings = [
        finding
        for name in (_CHAIN, _VEHICLE_ROOT)
        for finding in _check_file(certificates / name, now)
    ]
    key = _keys_folder(pki) / _KEY
    if not key.is_file():
        findings.append(Finding(str(key), "is missing", "v2g-ctl pki demo makes a set for tests"))
    if findings:
        return findings
    try:
        _context(pki, ssl.TLSVersion.TLSv1_2)
    except ssl.SSLError as error:
        what = f"does not fit {_CHAIN} or its password: {error.reason}"
        findings.append(Finding(str(key), what))
    return findings


def _check_file(path: Path, now: datetime) -> list[Finding]:
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError:
        return [Finding(str(path), "is missing", "v2g-ctl pki demo makes a set for tests")]
    except ValueError as error:
        return [Finding(str(path), f"is not a PEM certificate: {error}")]
    findings = []
    for certificate in chain:
        name = certificate.subject.rfc4514_string()
        if certificate.not_valid_after_utc < now:
            what = f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
            findings.append(Finding(str(path), what, "renew it"))
        elif certificate.not_valid_before_utc > now:
            what = f"{name} is valid from {certificate.not_valid_before_utc:%Y-%m-%d}"
            findings.append(Finding(str(path), what, "check the clock"))
    return findings


def _keys_folder(pki: Path) -> Path:
    return pki / "iso15118_2" / "private_keys"


def _context(pki: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    password = _keys_folder(pki) / _PASSWORD
    context.load_cert_chain(
        certificates_folder(pki) / _CHAIN,
        _keys_folder(pki) / _KEY,
        lambda: password.read_text().strip() if password.is_file() else "",
    )
    return context


def offers_tls13(data: bytes) -> bool:
    """Whether a ClientHello lists TLS 1.3 in supported_versions (RFC 8446, 4.2.1).

    Octets that are no ClientHello, or not all of it, offer nothing.
    """
    try:
        return _TLS13 in _supported_versions(data)
    except IndexError:
        return False


def _supported_versions(data: bytes) -> list[bytes]:
    if data[0] != _HANDSHAKE or data[5] != _CLIENT_HELLO:
        return []
    at = 5 + 4 + 2 + 32  # record, handshake header, legacy version, random
    at += 1 + data[at]  # session id
    at += 2 + int.from_bytes(data[at : at + 2])  # cipher suites
    at += 1 + data[at]  # compression methods
    end = at + 2 + int.from_bytes(data[at : at + 2])
    at += 2
    while at + 4 <= min(end, len(data)):
        kind = int.from_bytes(data[at : at + 2])
        length = int.from_bytes(data[at + 2 : at + 4])
        if kind == _SUPPORTED_VERSIONS:
            body = data[at + 5 : at + 4 + length]
            return [body[i : i + 2] for i in range(0, len(body), 2)]
        at += 4 + length
    return []
