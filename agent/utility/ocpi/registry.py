"""The partners and their tokens, on disk (OCPI 2.2.1 clause 7, credentials).

Token A is what we gave a partner on paper; it is good once. Token B is what the partner gave us
for calling it. Token C is what we gave in exchange; only its hash is kept. After an update the old
token C stays good until the new one is first used, so that an answer lost on the way locks nobody
out.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent.errors import ConfigurationError, Finding
from agent.utility.ocpi.objects import Credentials, CredentialsRole, Endpoint
from agent.utility.store import read_private, write_private

TOKEN_LEAST: Final = 20
_TOKEN: Final = re.compile(r"[!-~]{20,64}")


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A registered party.

    Attributes:
        name: Ours, for ever.
        hashes: SHA-256 of the tokens C that are good; the last one is the newest.
        token: B, for calling the partner. `url`: its versions.
        roles: What it is. `endpoints`: what it serves.
    """

    name: str
    hashes: tuple[str, ...]
    token: str
    url: str
    roles: tuple[CredentialsRole, ...]
    endpoints: tuple[Endpoint, ...]

    @property
    def party(self) -> str:
        """`DE*ABC`, as its first role says."""
        return f"{self.roles[0].country_code}*{self.roles[0].party_id}".upper()

    def endpoint(self, identifier: str, role: str) -> str:
        """Return the address of a module; empty where the partner has none."""
        found = (e.url for e in self.endpoints if (e.identifier, e.role) == (identifier, role))
        return next(found, "")


class _File(msgspec.Struct, frozen=True):
    partners: tuple[Partner, ...] = ()
    used: tuple[str, ...] = ()


@dataclass(slots=True)
class Registry:
    """Who may call, and whom we may call.

    Attributes:
        path: The file. `invitations`: hashes of the tokens A.
    """

    path: Path
    invitations: frozenset[str]
    _partners: dict[str, Partner] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        kept = read_private(self.path, _File) or _File()
        self._partners = {partner.name: partner for partner in kept.partners}
        self._used = set(kept.used)

    @property
    def partners(self) -> tuple[Partner, ...]:
        """Those that are registered."""
        return tuple(self._partners.values())

    def get(self, name: str) -> Partner | None:
        """Return a partner by its name."""
        return self._partners.get(name)

    def is_invited(self, token: str) -> bool:
        """Whether this is a token A that was not used yet."""
        digest = _hash(token)
        return digest in self.invitations and digest not in self._used

    def find(self, token: str) -> Partner | None:
        """Return whose token C this is; one that is used first retires the one before."""
        digest = _hash(token)
        for partner in self._partners.values():
            if digest in partner.hashes:
                retires = digest == partner.hashes[-1] and len(partner.hashes) > 1
                return self._with_only(partner, digest) if retires else partner
        return None

    def register(
        self, theirs: Credentials, endpoints: tuple[Endpoint, ...], invitation: str
    ) -> str:
        """Exchange a token A: keep the partner, return its token C. Raises OSError."""
        token = secrets.token_urlsafe(32)
        partner = Partner(
            name=secrets.token_hex(8),
            hashes=(_hash(token),),
            token=theirs.token,
            url=theirs.url,
            roles=theirs.roles,
            endpoints=endpoints,
        )
        self._used.add(_hash(invitation))
        self._keep(partner)
        return token

    def update(
        self, partner: Partner, theirs: Credentials, endpoints: tuple[Endpoint, ...], used: str
    ) -> str:
        """Replace what is known of a partner; return its new token C. Raises OSError.

        The token that it `used` stays good until the new one is.
        """
        token = secrets.token_urlsafe(32)
        self._keep(
            Partner(
                name=partner.name,
                hashes=(_hash(used), _hash(token)),
                token=theirs.token,
                url=theirs.url,
                roles=theirs.roles,
                endpoints=endpoints,
            )
        )
        return token

    def remove(self, partner: Partner) -> None:
        """Forget a partner; none of its tokens is good any more. Raises OSError."""
        self._partners.pop(partner.name, None)
        self._write()

    def _with_only(self, partner: Partner, digest: str) -> Partner:
        partner = msgspec.structs.replace(partner, hashes=(digest,))
        try:
            self._keep(partner)
        except OSError as error:
            logger.error("{}: {}", self.path, error)
        return partner

    def _keep(self, partner: Partner) -> None:
        self._partners[partner.name] = partner
        self._write()

    def _write(self) -> None:
        write_private(self.path, _File(self.partners, tuple(sorted(self._used))))


def load_invitations(path: Path) -> frozenset[str]:
    """Return the hashes of the tokens A in a file, one a line; `#` starts a comment.

    Raises:
        ConfigurationError: Not readable, or a token that could be guessed.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(f"{path}", f"cannot be read: {error}"),)) from error
    tokens: set[str] = set()
    findings: list[Finding] = []
    for number, line in enumerate(lines, 1):
        token = line.partition("#")[0].strip()
        if token and not _TOKEN.fullmatch(token):
            what = f"a token has {TOKEN_LEAST} to 64 printable characters"
            findings.append(Finding(f"{path}:{number}", what, "openssl rand -hex 24"))
        elif token:
            tokens.add(_hash(token))
    if findings:
        raise ConfigurationError(tuple(findings))
    return frozenset(tokens)


def _hash(token: str) -> str:
    """Tokens are random, so a fast hash protects as well as a slow one."""
    return hashlib.sha256(token.encode()).hexdigest()
