"""The users of the page: names, roles, and scrypt hashes of their passwords (RFC 7914).

One line a user: ``NAME:ROLE:scrypt$LN$R$P$SALT$HASH``, written by `v2g-ctl user`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.errors import ConfigurationError, Finding

COST: Final = 15
"""log2 of scrypt's N: 32 MiB and about 0.1 s a try."""
_BLOCK: Final = 8
_PARALLEL: Final = 1
_SALT_OCTETS: Final = 16
_HASH_OCTETS: Final = 32
_MEMORY: Final = 128 << 20
_COSTS: Final = range(14, 19)
_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256


class UserRole(StrEnum):
    """What a user may: look, or also acknowledge and order."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class User:
    """One line of the file."""

    name: str
    role: UserRole
    cost: int
    salt: bytes
    digest: bytes


_NOBODY: Final = User("", UserRole.VIEWER, COST, bytes(_SALT_OCTETS), bytes(_HASH_OCTETS))


def verify(users: Mapping[str, User], name: str, password: str) -> User | None:
    """Return the user whose password it is; takes as long for a name that is unknown."""
    user = users.get(name, _NOBODY)
    same = hmac.compare_digest(_hash(password, user.salt, user.cost), user.digest)
    return user if same and user is not _NOBODY else None


def new_line(name: str, role: UserRole, password: str) -> str:
    """Return the file's line for a password.

    Raises:
        ValueError: A name or password that is not allowed, with the reason.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits and . _ @ -")
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ValueError(f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    salt = secrets.token_bytes(_SALT_OCTETS)
    digest = _hash(password, salt, COST)
    return f"{name}:{role}:scrypt${COST}${_BLOCK}${_PARALLEL}${_text(salt)}${_text(digest)}"


def load_users(path: Path) -> dict[str, User]:
    """Read the file.

    Raises:
        ConfigurationError: With one finding a wrong line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error
    users: dict[str, User] = {}
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _parse(line.strip())
        except ValueError as error:
            hint = "expected NAME:ROLE:scrypt$…, as `v2g-ctl user` writes it"
            findings.append(Finding(f"{path}:{number}", str(error), hint))
            continue
        if user.name in users:
            findings.append(Finding(f"{path}:{number}", f"{user.name} stands here twice"))
        users[user.name] = user
    if findings:
        raise ConfigurationError(tuple(findings))
    return users


def write_user(path: Path, line: str) -> None:
    """Add a user's line, or put it in the place of the old one; the file is for its owner only."""
    name = line.split(":", 1)[0]
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [each for each in old if each.split(":", 1)[0] != name]
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join([*kept, line]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _parse(line: str) -> User:
    name, role, coded = line.split(":")
    if not _NAME.fullmatch(name):
        raise ValueError("not a name")
    if role not in tuple(UserRole):
        raise ValueError(f"role {role!r} is none of {', '.join(UserRole)}")
    kind, cost, block, parallel, salt, digest = coded.split("$")
    if (kind, block, parallel) != ("scrypt", str(_BLOCK), str(_PARALLEL)):
        raise ValueError("not an scrypt hash of this program")
    if not cost.isdecimal() or int(cost) not in _COSTS:
        raise ValueError("scrypt's cost is out of range")
    try:
        values = base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except binascii.Error as error:
        raise ValueError("salt or hash is not base64") from error
    if len(values[1]) != _HASH_OCTETS:
        raise ValueError("the hash has a wrong length")
    return User(name, UserRole(role), int(cost), *values)


def _hash(password: str, salt: bytes, cost: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        secret, salt=salt, n=1 << cost, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=_HASH_OCTETS
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
