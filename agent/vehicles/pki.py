"""A complete ISO 15118 PKI for tests and demonstrations, in the layout that the SECC reads.

Four hierarchies (V2G root with charge point operator and provisioning service, mobility operator,
vehicle manufacturer), each with two intermediate authorities, on P-256 with SHA-256. The private
keys are not encrypted: never let a real vehicle trust these roots.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

VALID_DAYS: Final = 3650
_BACKDATED: Final = dt.timedelta(hours=1)
"""So that a machine whose clock is a little behind accepts them."""
_OCSP_URL: Final = "http://ocsp.invalid/"
"""The package asks every certificate for one; it is never called."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class _Subject:
    file: str
    common_name: str
    domain: str
    path_length: int | None
    """Intermediates that may follow; None for a leaf."""


_V2G_ROOT: Final = _Subject("v2gRootCA", "V2G Root CA (demo)", "V2G", 2)
_CHAINS: Final[dict[str, tuple[_Subject, ...]]] = {
    "cpo": (
        _Subject("cpoSubCA1", "CPO Sub-CA 1 (demo)", "V2G", 1),
        _Subject("cpoSubCA2", "CPO Sub-CA 2 (demo)", "V2G", 0),
        _Subject("seccLeaf", "SECC Leaf (demo)", "CPO", None),
    ),
    "cps": (
        _Subject("cpsSubCA1", "CPS Sub-CA 1 (demo)", "V2G", 1),
        _Subject("cpsSubCA2", "CPS Sub-CA 2 (demo)", "V2G", 0),
        _Subject("cpsLeaf", "CPS Leaf (demo)", "CPS", None),
    ),
}
_OWN_ROOTS: Final[dict[str, tuple[_Subject, ...]]] = {
    "mo": (
        _Subject("moRootCA", "MO Root CA (demo)", "MO", 2),
        _Subject("moSubCA1", "MO Sub-CA 1 (demo)", "MO", 1),
        _Subject("moSubCA2", "MO Sub-CA 2 (demo)", "MO", 0),
        _Subject("contractLeaf", "DEV2GC12345678X", "MO", None),
    ),
    "oem": (
        _Subject("oemRootCA", "OEM Root CA (demo)", "OEM", 2),
        _Subject("oemSubCA1", "OEM Sub-CA 1 (demo)", "OEM", 1),
        _Subject("oemSubCA2", "OEM Sub-CA 2 (demo)", "OEM", 0),
        _Subject("oemLeaf", "WMIV1234567890ABCDEX", "OEM", None),
    ),
}
"""The contract's common name is its eMAID, the vehicle's its PCID."""


def make_demo_pki(
    folder: Path, now: dt.datetime | None = None, valid_days: int = VALID_DAYS
) -> list[Path]:
    """Write the PKI below `folder` and return the files.

    Args:
        folder: Gets `iso15118_2/certs` and `iso15118_2/private_keys`; existing files of these
            names are replaced.
        now: Start of validity, with its zone; None for now.
        valid_days: Length of validity; a negative one makes expired certificates for tests.

    Raises:
        OSError: A file cannot be written.
    """
    start = (now or dt.datetime.now(dt.UTC)) - _BACKDATED
    validity = (start, start + _BACKDATED + dt.timedelta(days=valid_days))
    root = _issue(_V2G_ROOT, None, validity)
    issued = {_V2G_ROOT.file: root}
    chains = {"v2g": [root]}
    for name, subjects in _CHAINS.items():
        chains[name] = _issue_chain(subjects, root, validity, issued)
    for name, subjects in _OWN_ROOTS.items():
        chains[name] = _issue_chain(subjects, None, validity, issued)
    return _write(folder / "iso15118_2", issued, chains)


def _issue_chain(
    subjects: tuple[_Subject, ...],
    issuer: Issued | None,
    validity: tuple[dt.datetime, dt.datetime],
    issued: dict[str, Issued],
) -> list[Issued]:
    chain: list[Issued] = []
    for subject in subjects:
        issuer = issued[subject.file] = _issue(subject, issuer, validity)
        chain.append(issuer)
    return chain


def _issue(
    subject: _Subject, issuer: Issued | None, validity: tuple[dt.datetime, dt.datetime]
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(subject)
    signing_key = issuer.key if issuer else key
    issuer_name = issuer.certificate.subject if issuer else name
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )
    is_ca = subject.path_length is not None
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_ca, path_length=subject.path_length), True),
        (_usage(is_ca), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False),
        (_ocsp(), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Issued(builder.sign(signing_key, SHA256()), key)


def _name(subject: _Subject) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "v2g-agent demo, do not trust"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, subject.domain),
        ]
    )


def _usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _ocsp() -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(_OCSP_URL)
            )
        ]
    )


def _write(folder: Path, issued: dict[str, Issued], chains: dict[str, list[Issued]]) -> list[Path]:
    certificates, keys = folder / "certs", folder / "private_keys"
    certificates.mkdir(parents=True, exist_ok=True)
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    files: list[Path] = []
    for name, entry in issued.items():
        for encoding, suffix in ((Encoding.DER, "der"), (Encoding.PEM, "pem")):
            path = certificates / f"{name}Cert.{suffix}"
            path.write_bytes(entry.certificate.public_bytes(encoding))
            files.append(path)
        files += _write_key(keys, name, entry.key)
    for name in ("cpo", "oem", "mo"):
        path = certificates / f"{name}CertChain.pem"
        path.write_bytes(_chain_pem(chains[name]))
        files.append(path)
    return files


def _write_key(folder: Path, name: str, key: ec.EllipticCurvePrivateKey) -> list[Path]:
    path, password = folder / f"{name}.key", folder / f"{name}Password.txt"
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    password.touch(mode=0o600)
    password.write_text("")
    return [path, password]


def _chain_pem(chain: list[Issued]) -> bytes:
    """Leaf first, then its authorities, without the root."""
    without_root = [
        entry for entry in chain if entry.certificate.issuer != entry.certificate.subject
    ]
    return b"".join(
        entry.certificate.public_bytes(Encoding.PEM) for entry in reversed(without_root)
    )
