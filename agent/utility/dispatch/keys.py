"""The balancing authority's public key: loaded once, of the one kind that was configured."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from agent.errors import ConfigurationError, Finding

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey
KINDS: Final = {"ES256": "P-256", "EdDSA": "Ed25519"}


def load_public_key(path: Path, algorithm: str) -> PublicKey:
    """Return the key in a PEM file, if it is of the kind that `algorithm` signs with.

    Raises:
        ConfigurationError: Not readable, not a public key, or of another kind.
    """
    where = f"{path}"
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise _finding(where, f"cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "openssl pkey -in signer.key -pubout -out signer.pub"
        raise _finding(where, "is no public key in PEM", hint) from error
    if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return key
    if algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey):
        if isinstance(key.curve, SECP256R1):
            return key
        raise _finding(where, f"is of curve {key.curve.name}, not P-256")
    raise _finding(where, f"is not the {KINDS[algorithm]} key that dispatch.algorithm asks for")


def thumbprint(key: PublicKey) -> str:
    """Return the JWK thumbprint (RFC 7638, SHA-256, base64url), which `kid` may name."""
    if isinstance(key, Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    else:
        point = key.public_numbers()
        x, y = (_base64url(value.to_bytes(32, "big")) for value in (point.x, point.y))
        members = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _finding(where: str, what: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError((Finding(where, what, hint),))
