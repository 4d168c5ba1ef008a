"""Passwords of stations: `python -m agent.vehicles.stations.passwords IDENTITY` makes a line.

OCPP passwords are random (2.0.1 part 2, A00.FR.205: at least 16 characters, from a generator), so
one salted SHA-256 keeps the file useless to whoever reads it, and a thousand stations that come
back after a power cut do not wait for a slow hash.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import secrets
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import ConfigurationError, Finding

LENGTH: Final = 32
_ALPHABET: Final = string.ascii_letters + string.digits
_NOBODY: Final = (b"", b"\x00" * 32)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Salt and digest by identity."""

    entries: Mapping[str, tuple[bytes, bytes]]

    def verify(self, identity: str, password: bytes) -> bool:
        """Whether it is the station's password; takes as long for a name that is unknown."""
        salt, digest = self.entries.get(identity, _NOBODY)
        same = hmac.compare_digest(hashlib.sha256(salt + password).digest(), digest)
        return same and identity in self.entries


def load_passwords(path: Path) -> Passwords:
    """Read the file.

    Raises:
        ConfigurationError: With one finding a wrong line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error
    entries: dict[str, tuple[bytes, bytes]] = {}
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            identity, salt, digest = line.strip().split(":")
            entries[identity] = bytes.fromhex(salt), bytes.fromhex(digest)
        except ValueError:
            findings.append(Finding(f"{path}:{number}", "expected IDENTITY:SALT:SHA256"))
    if findings:
        raise ConfigurationError(tuple(findings))
    return Passwords(entries)


def new_line(identity: str, password: str) -> str:
    """Return the file's line for a password."""
    salt = secrets.token_bytes(16)
    digest = hashlib.sha256(salt + password.encode()).hexdigest()
    return f"{identity}:{salt.hex()}:{digest}"


def main() -> None:
    """Print the line on standard output and the password on standard error."""
    parser = argparse.ArgumentParser(description="make a station's password")
    parser.add_argument("identity")
    identity = parser.parse_args().identity
    password = "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))
    sys.stderr.write(f"password of {identity}: {password}\n")
    sys.stdout.write(new_line(identity, password) + "\n")


if __name__ == "__main__":
    main()
