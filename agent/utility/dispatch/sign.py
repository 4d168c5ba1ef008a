"""The other side of signed dispatch: make a token, for commissioning and tests."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.errors import ConfigurationError, Finding
from agent.utility.dispatch.keys import thumbprint
from agent.utility.dispatch.token import TYPES, Order

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey


def load_private_key(path: Path) -> PrivateKey:
    """Return a signer's key.

    Raises:
        ConfigurationError: Not readable, or no P-256 or Ed25519 key in PEM.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise ConfigurationError(
            (Finding(f"{path}", f"cannot be read: {error.strerror}"),)
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError((Finding(f"{path}", f"is no private key: {error}"),)) from error
    if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key
    raise ConfigurationError((Finding(f"{path}", "is no P-256 or Ed25519 key"),))


def sign(
    key: PrivateKey,
    orders: Sequence[Order],
    *,
    issuer: str,
    audience: str,
    counter: int | None = None,
    lifetime_s: float = 30.0,
    now_utc_s: float | None = None,
) -> str:
    """Return a token.

    Args:
        key: The signer's.
        orders: What is ordered.
        issuer: `iss`.
        audience: `aud`, the gateway's name.
        counter: Must rise with every token; microseconds since 1970 where not given.
        lifetime_s: From now to `exp`.
        now_utc_s: The signer's clock.
    """
    now_utc_s = time.time() if now_utc_s is None else now_utc_s
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    claims = {
        "iss": issuer,
        "aud": audience,
        "iat": now_utc_s,
        "nbf": now_utc_s,
        "exp": now_utc_s + lifetime_s,
        "jti": secrets.token_urlsafe(16),
        "ctr": int(now_utc_s * 1e6) if counter is None else counter,
        "orders": msgspec.to_builtins(list(orders)),
    }
    header = {"typ": TYPES[0], "kid": thumbprint(key.public_key())}
    return jwt.encode(claims, key, algorithm, headers=header)
