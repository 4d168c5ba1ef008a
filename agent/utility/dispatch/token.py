"""A signed dispatch: its form, its claims, and the one way to verify it.

Compact serialisation of RFC 7515. The algorithm is the configured one and the key is the
configured one; whatever the header says of itself can only make the token fail (RFC 8725,
clauses 3.1, 3.10 and 3.11).
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from agent.errors import DecodeError, SignatureError
from agent.messages import SITE, RequestKind
from agent.utility.dispatch.keys import PublicKey, thumbprint
from agent.utility.dispatch.strict import TOKEN_LIMITS, parse_strictly

TYPES: Final = ("dispatch+jwt", "JWT")
"""Media types that `typ` may name; a token that names another one was signed for another use."""
ORDERS_MAX: Final = 64
LEASE_MAX_S: Final = 86_400.0
ADVICE: Final = "synchronise both clocks: timedatectl set-ntp true"

_SEGMENTS: Final = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)
_HEADER: Final = {"alg", "typ", "kid"}

Jti = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:~-]{1,64}$")]
Instant = Annotated[float, msgspec.Meta(ge=0, lt=2**40)]
"""NumericDate: UTC seconds since 1970."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order of a token; watts and vars as everywhere, positive exports or injects.

    Attributes:
        kind: As in `ControlRequest`.
        value: W, var, or the value of a setting.
        target: `site`, or an EVSE.
        lease_s: It ends by itself after this time.
        setting: Of a `setting`, `mode` or `withdraw`.
        test: Only checked.
    """

    kind: RequestKind
    lease_s: Annotated[float, msgspec.Meta(gt=0, le=LEASE_MAX_S)]
    value: float = 0.0
    target: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = SITE
    setting: Annotated[str, msgspec.Meta(max_length=128)] = ""
    test: bool = False


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload (RFC 7519 clause 4.1); `ctr` rises with every token of the issuer."""

    iss: str
    aud: str | list[str]
    iat: Instant
    nbf: Instant
    exp: Instant
    jti: Jti
    ctr: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    orders: Annotated[tuple[Order, ...], msgspec.Meta(min_length=1, max_length=ORDERS_MAX)]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Tells genuine tokens from all others; knows no clock and no history.

    Attributes:
        key: The signer's.
        algorithm: The only one accepted: `ES256` or `EdDSA`.
        issuer, audience: What `iss` must be and `aud` must name.
        max_lifetime_s: Longest time from issue, and from now, to `exp`.
        max_skew_s: Bound of the difference between the two clocks.
    """

    key: PublicKey
    algorithm: str
    issuer: str
    audience: str
    max_lifetime_s: float = 60.0
    max_skew_s: float = 5.0

    def authenticate(self, token: str) -> Claims:
        """Return the claims of a token that the signer made for this gateway.

        Raises:
            SignatureError: With the cause.
        """
        segments = _SEGMENTS.fullmatch(token) if len(token) <= TOKEN_LIMITS.size else None
        if segments is None:
            raise SignatureError("malformed: not a compact JWS of at most 16 kB")
        self._check_header(_json_of(segments[1], "header"))
        try:
            complete = PyJWS().decode_complete(token, self.key, [self.algorithm])
        except (PyJWTError, ValueError, TypeError) as error:
            raise SignatureError(f"signature: {error}") from error
        return self._claims(complete["payload"])

    def check_time(self, claims: Claims, now_utc_s: float) -> None:
        """Check the token's times against the wall clock.

        Raises:
            SignatureError: Named as clock skew, because authentic tokens seldom fail otherwise.
        """
        ahead_s = max(claims.iat, claims.nbf) - now_utc_s
        if ahead_s > self.max_skew_s:
            raise _skew(f"the token is {ahead_s:.1f} s ahead of this clock", self.max_skew_s)
        late_s = now_utc_s - claims.exp
        if late_s >= self.max_skew_s:
            raise _skew(f"the token expired {late_s:.1f} s ago", self.max_skew_s)
        if claims.exp - now_utc_s > self.max_lifetime_s:
            left_s = claims.exp - now_utc_s
            raise _skew(f"the token would live {left_s:.1f} s more", self.max_lifetime_s)

    def _check_header(self, header: Any) -> None:
        if not isinstance(header, dict):
            raise SignatureError("malformed: the header is no object")
        if header.get("alg") != self.algorithm:
            named = str(header.get("alg"))[:32]
            raise SignatureError(f"algorithm: {named!r}; only {self.algorithm} is accepted")
        unknown = sorted(set(header) - _HEADER)
        if unknown:
            # jwk, jku, x5c, x5u bring their own key; crit and b64 change what is signed.
            raise SignatureError(f"header: {unknown[0][:32]!r} is not accepted")
        if header.get("typ", TYPES[0]) not in TYPES:
            raise SignatureError(f"header: typ must be {TYPES[0]}")
        if "kid" in header and header["kid"] != thumbprint(self.key):
            raise SignatureError("header: kid is not the thumbprint (RFC 7638) of the key in force")

    def _claims(self, payload: bytes) -> Claims:
        try:
            claims = msgspec.convert(parse_strictly(payload), Claims, strict=True)
        except (DecodeError, msgspec.ValidationError) as error:
            raise SignatureError(f"claims: {error}") from error
        if claims.iss != self.issuer:
            raise SignatureError(f"claims: iss is {claims.iss[:64]!r}, not {self.issuer!r}")
        named = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self.audience not in named:
            raise SignatureError(f"claims: aud does not name {self.audience!r}")
        if not claims.iat <= claims.exp or not claims.nbf <= claims.exp:
            raise SignatureError("claims: exp lies before iat or nbf")
        if claims.exp - claims.iat > self.max_lifetime_s:
            raise SignatureError(f"claims: exp is more than {self.max_lifetime_s:g} s after iat")
        return claims


def _json_of(segment: str, what: str) -> Any:
    try:
        data = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        return parse_strictly(data)
    except (binascii.Error, DecodeError, ValueError) as error:
        raise SignatureError(f"malformed: {what}: {error}") from error


def _skew(what: str, most_s: float) -> SignatureError:
    return SignatureError(f"clock skew: {what} (at most {most_s:g} s); {ADVICE}")
