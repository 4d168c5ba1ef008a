"""Who may associate: counts, per address and in total, and the allow-list."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the front.

    Attributes:
        associations: At once. `per_address`: of one IP address.
        pending: TCP connections that have not associated yet, at once.
        handshake_s: From TCP connect to the MMS association, TLS included.
        idle_s: Without a request; 0 for ever. `session_s`: of one association; 0 for ever.
        tls_session_s: Of one association over TLS, whose keys are as old; 0 for ever.
        backlog_bytes: What a client that does not read may leave waiting here.
        allow: Networks that may connect; empty for all.
    """

    associations: int = 64
    per_address: int = 64
    pending: int = 128
    handshake_s: float = 5.0
    idle_s: float = 0.0
    session_s: float = 0.0
    tls_session_s: float = 0.0
    backlog_bytes: int = 4 << 20
    allow: Sequence[Network] = ()


class Admission:
    """Counts connections; refuses with a reason."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of_address: Counter[str] = Counter()
        self.pending = 0
        self.associated = 0
        self.refused: Counter[str] = Counter()

    def connect(self, address: str) -> str:
        """Count a TCP connection; a reason when it must be closed at once."""
        reason = self._refusal(address)
        if reason:
            self.refused[reason] += 1
            return reason
        self._of_address[address] += 1
        self.pending += 1
        return ""

    def associate(self) -> None:
        """A pending connection has associated."""
        self.pending -= 1
        self.associated += 1

    def leave(self, address: str, associated: bool) -> None:
        """A counted connection has ended."""
        if associated:
            self.associated -= 1
        else:
            self.pending -= 1
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def _refusal(self, address: str) -> str:
        limits = self._limits
        if limits.allow and not _listed(address, limits.allow):
            return "address not in the allow-list"
        if self._of_address[address] >= limits.per_address:
            return "too many connections of this address"
        if self.associated >= limits.associations:
            return "too many associations"
        if self.pending >= limits.pending:
            return "too many connections without association"
        return ""


def _listed(address: str, networks: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in network for network in networks)
