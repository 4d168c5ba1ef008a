"""Who a peer is, by the security profile of the listener it came to.

Profiles: OCPP 2.0.1 part 2, block A (A00), the same as the 1.6 security whitepaper; 0 is "none".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from agent.vehicles.stations.passwords import Passwords
from agent.vehicles.stations.throttle import Throttle

FAILURES_PER_S: Final = 0.2
FAILURES: Final = 10.0
"""Wrong credentials that one address may try, and how fast it may try again."""
CHALLENGE: Final = 'Basic realm="OCPP", charset="UTF-8"'


class NotAdmittedError(Exception):
    """The peer is not let in.

    Attributes:
        status: HTTP status that it is told.
        reason: For our log; the peer is not told why.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a peer shows.

    Attributes:
        authorization: The HTTP header, empty where absent.
        certificate: `SSLObject.getpeercert()`, verified by TLS; None where absent.
    """

    address: str
    identity: str
    authorization: str = ""
    certificate: Mapping[str, Any] | None = None


class Gatekeeper:
    """Verifies the identity that a peer claims in its URL.

    Args:
        passwords: For profiles 1 and 2.
        organization: O that certificates must have; empty accepts any (A00.FR.413).
    """

    def __init__(self, passwords: Passwords | None = None, organization: str = "") -> None:
        self._passwords = passwords
        self._organization = organization
        self._failures = Throttle(FAILURES_PER_S, FAILURES)
        self._blocked: dict[str, float] = {}

    def verify(self, profile: int, peer: Credentials, now_s: float) -> bool:
        """Return whether the identity was proven; at profile 0 it never is.

        Raises:
            NotAdmittedError: The proof that the profile asks for is missing or wrong.
        """
        if profile == 0:
            return False
        if self._blocked.get(peer.address, 0.0) > now_s:
            raise NotAdmittedError(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong credentials")
        try:
            if profile == 3:
                self._check_certificate(peer)
            else:
                self._check_password(peer)
        except NotAdmittedError:
            self._count_failure(peer.address, now_s)
            raise
        return True

    def _count_failure(self, address: str, now_s: float) -> None:
        if self._failures.take(address, now_s):
            return
        self._blocked = {key: until for key, until in self._blocked.items() if until > now_s}
        self._blocked[address] = now_s + 1.0 / FAILURES_PER_S

    def _check_password(self, peer: Credentials) -> None:
        scheme, _, token = peer.authorization.partition(" ")
        try:
            plain = base64.b64decode(token.strip(), validate=True)
        except (binascii.Error, ValueError):
            plain = b""
        name, colon, password = plain.partition(b":")
        if scheme.lower() != "basic" or not colon:
            raise NotAdmittedError(HTTPStatus.UNAUTHORIZED, "no password")
        if name != peer.identity.encode():
            raise NotAdmittedError(HTTPStatus.UNAUTHORIZED, "the user name is another station's")
        if self._passwords is None or not self._passwords.verify(peer.identity, password):
            raise NotAdmittedError(HTTPStatus.UNAUTHORIZED, "wrong password")

    def _check_certificate(self, peer: Credentials) -> None:
        if not peer.certificate:
            raise NotAdmittedError(HTTPStatus.UNAUTHORIZED, "no certificate")
        if peer.identity not in names_of(peer.certificate):
            raise NotAdmittedError(HTTPStatus.UNAUTHORIZED, "the certificate is another station's")
        owners = _subject(peer.certificate, "organizationName")
        if self._organization and self._organization not in owners:
            raise NotAdmittedError(HTTPStatus.UNAUTHORIZED, "the certificate is another owner's")


def names_of(certificate: Mapping[str, Any]) -> set[str]:
    """Return the identities that a certificate is good for: its CN and its DNS names."""
    dns = {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"}
    return _subject(certificate, "commonName") | dns


def _subject(certificate: Mapping[str, Any], name: str) -> set[str]:
    pairs = (pair for rdn in certificate.get("subject", ()) for pair in rdn)
    return {value for key, value in pairs if key == name}
