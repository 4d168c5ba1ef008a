"""Contract certificates of Plug & Charge: the chain up to a root that we trust.

The package accepts a contract whose chain does not verify and leaves it to a backend, and in
ISO 15118-20 it never looks at the chain at all. Here a contract counts only with its chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

_ROOTS: Final = ("moRootCACert.der", "v2gRootCACert.der")
_MAX_INTERMEDIATES: Final = 3


def load_roots(certificates: Path) -> tuple[x509.Certificate, ...]:
    """Return the trusted roots of contracts that are in a folder."""
    return tuple(
        x509.load_der_x509_certificate((certificates / name).read_bytes())
        for name in _ROOTS
        if (certificates / name).is_file()
    )


def why_not_trusted(
    chain: Sequence[bytes], roots: Sequence[x509.Certificate], now: datetime
) -> str:
    """Return why a chain (DER, leaf first) is not to be trusted; empty where it is.

    Args:
        chain: Leaf and intermediates, as the vehicle sent them.
        roots: Trust anchors.
        now: UTC, with its zone.
    """
    if not chain or len(chain) > 1 + _MAX_INTERMEDIATES:
        return f"a contract chain of {len(chain)} certificates"
    try:
        certificates = [x509.load_der_x509_certificate(data) for data in chain]
    except ValueError:
        return "a contract certificate that cannot be read"
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return f"{certificate.subject.rfc4514_string()} is not valid at this time"
    for certificate, issuer in pairwise(certificates):
        if not _is_ca(issuer) or not _issued(certificate, issuer):
            return f"{certificate.subject.rfc4514_string()} is not issued by the next one"
    if not any(_issued(certificates[-1], root) for root in roots):
        return "the contract chain ends at no trusted root"
    return ""


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return constraints.value.ca
