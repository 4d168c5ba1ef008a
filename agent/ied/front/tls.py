"""TLS of the MMS front (IEC 62351-3:2023, IEC 62351-4:2018 T-profile).

Both sides show certificates; a revocation list is checked where one is given, and again for the
clients that are connected whenever its file changes. TLS 1.2 with forward-secret AEAD suites, or
1.3; no renegotiation, no compression, no session tickets. A TLS 1.2 session may be resumed by its
identifier until OpenSSL forgets it (2 h) or a file changes; whoever resumes is judged like others.
"""

from __future__ import annotations

import asyncio.sslproto
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography import x509

from agent.errors import ConfigurationError, DecodeError, Finding
from agent.ied.front.roles import RIGHTS, RoleName, common_name, is_current, role_of
from agent.ied.port import Session

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:@SECLEVEL=2"
_BUFFER_BYTES: Final = 16 * 1024

# asyncio reserves 256 KiB for every TLS connection; one TLS record is all that MMS needs.
asyncio.sslproto.SSLProtocol.max_size = _BUFFER_BYTES


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the keys are.

    Attributes:
        certificate, private_key: Of this IED, PEM. `ca`: of those that sign clients.
        crl: Revocation lists of these, PEM; None where none is published.
        least: Lowest version, `1.2` or `1.3`.
    """

    certificate: Path
    private_key: Path
    ca: Path
    crl: Path | None = None
    least: str = "1.2"

    @property
    def paths(self) -> dict[str, Path]:
        """The files by the setting that names them."""
        named = {
            "certificate": self.certificate,
            "private_key": self.private_key,
            "ca": self.ca,
        }
        return named if self.crl is None else {**named, "crl": self.crl}


class TlsGate:
    """Contexts and the judgement of client certificates.

    Args:
        files: Keys, certificates, revocation lists.
        roles: Common name → role, from the configuration.

    Raises:
        ConfigurationError: A file cannot be used.
    """

    def __init__(self, files: TlsFiles, roles: Mapping[str, str]) -> None:
        self._files = files
        self._roles = roles
        self._stamps: dict[str, float] = {}
        self._revoked: list[x509.CertificateRevocationList] = []
        self._seen: dict[int, x509.Certificate] = {}
        self.context = self._load()

    def admit(self, session: Session, tls: ssl.SSLObject | None) -> Session | str:
        """The session with identity and rights, or why the client is refused."""
        octets = tls.getpeercert(binary_form=True) if tls is not None else None
        if octets is None:
            return "no client certificate"
        try:
            certificate = x509.load_der_x509_certificate(octets)
            role = role_of(certificate, self._roles)
        except (ValueError, DecodeError) as error:
            return f"client certificate: {error}"
        reason = self._judge(certificate)
        if reason:
            return reason
        name = common_name(certificate)
        if role is None:
            return f"{name} has no role"
        self._seen[session.number] = certificate
        return replace(session, identity=name, role=role, rights=RIGHTS[role])

    def unwanted(self, session: Session) -> str:
        """Why a client that is connected must go: expired or revoked since."""
        certificate = self._seen.get(session.number)
        return self._judge(certificate) if certificate is not None else ""

    def forget(self, session: Session) -> None:
        """The client has gone."""
        self._seen.pop(session.number, None)

    def reload(self) -> bool:
        """Read the files again if one of them has changed; True when they were read.

        Raises:
            ConfigurationError: The new files cannot be used; the old ones stay in force.
        """
        if self._stamps == _stamps(self._files):
            return False
        self.context = self._load()
        return True

    def _judge(self, certificate: x509.Certificate) -> str:
        if not is_current(certificate):
            return f"certificate of {common_name(certificate)} has expired"
        for crl in self._revoked:
            if (
                crl.issuer == certificate.issuer
                and crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
                is not None
            ):
                return f"certificate of {common_name(certificate)} is revoked"
        return ""

    def _load(self) -> ssl.SSLContext:
        files = self._files
        stamps = _stamps(files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        is_13 = files.least == "1.3"
        context.minimum_version = ssl.TLSVersion.TLSv1_3 if is_13 else ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 0
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _use("certificate", lambda: context.load_cert_chain(files.certificate, files.private_key))
        _use("ca", lambda: context.load_verify_locations(files.ca))
        revoked: list[x509.CertificateRevocationList] = []
        if files.crl is not None:
            crl = files.crl
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            _use("crl", lambda: context.load_verify_locations(crl))
            _use("crl", lambda: revoked.extend(_revocation_lists(crl.read_bytes())))
        self._stamps, self._revoked = stamps, revoked
        return context


def _stamps(files: TlsFiles) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, path in files.paths.items():
        try:
            found[name] = path.stat().st_mtime
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise ConfigurationError((Finding(f"ied.{name}: {path}", what),)) from error
    return found


def _use(name: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError) as error:
        hint = "PEM; the private key belongs to the certificate and has no passphrase"
        raise ConfigurationError((Finding(f"ied.{name}", str(error), hint),)) from error


def _revocation_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    end = b"-----END X509 CRL-----"
    blocks = [block + end for block in pem.split(end) if b"BEGIN X509 CRL" in block]
    return [x509.load_pem_x509_crl(block) for block in blocks]


def plain_rights(role: str) -> Callable[[Session, ssl.SSLObject | None], Session | str]:
    """What a client without TLS is: someone unknown in the configured role."""
    name = RoleName(role)

    def admit(session: Session, _tls: ssl.SSLObject | None) -> Session | str:
        return replace(session, role=name, rights=RIGHTS[name])

    return admit
