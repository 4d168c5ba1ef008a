"""Logins: sessions that end, a limit on tries, and names that are locked after too many.

Nothing here knows a clock; time is an argument. Session keys are kept as hashes only.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final, TypeVar

from agent.hmi.page.passwords import User, UserRole

ValueT = TypeVar("ValueT")

MAX_SESSIONS: Final = 256
MAX_NAMES: Final = 1024
"""Names and addresses that are remembered; whoever tries more of them pushes out the oldest."""
TRIES_PER_S: Final = 0.5
TRIES_BURST: Final = 10.0


@dataclass(slots=True)
class Session:
    """Somebody who is logged in.

    Attributes:
        token: What each order must carry in its header, against forged requests (CSRF).
        used_s: Monotonic instant of the last order. `began_s`: of the login.
    """

    user: User
    token: str
    began_s: float
    used_s: float

    @property
    def may_order(self) -> bool:
        """The user is an operator."""
        return self.user.role is UserRole.OPERATOR


@dataclass(slots=True)
class Sessions:
    """Who is logged in.

    Attributes:
        idle_s, session_s: See `[hmi]`.
    """

    idle_s: float
    session_s: float
    _open: dict[str, Session] = field(default_factory=dict)

    def open(self, user: User, now_s: float) -> tuple[str, Session]:
        """Return the key for the cookie, and the session."""
        self._sweep(now_s)
        while len(self._open) >= MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        key = secrets.token_urlsafe(32)
        session = Session(user, secrets.token_urlsafe(32), now_s, now_s)
        self._open[_digest(key)] = session
        return key, session

    def find(self, key: str, now_s: float) -> Session | None:
        """Return the session of a cookie, if it is still open."""
        session = self._open.get(_digest(key)) if key else None
        return session if session is not None and self._is_open(session, now_s) else None

    def close(self, key: str) -> None:
        """Log out."""
        self._open.pop(_digest(key), None)

    def close_user(self, name: str) -> None:
        """End every session of a user who is no longer in the file, or changed."""
        self._open = {k: s for k, s in self._open.items() if s.user.name != name}

    def _sweep(self, now_s: float) -> None:
        self._open = {k: s for k, s in self._open.items() if self._is_open(s, now_s)}

    def _is_open(self, session: Session, now_s: float) -> bool:
        return now_s - session.used_s < self.idle_s and now_s - session.began_s < self.session_s


def is_token(session: Session, given: str) -> bool:
    """Whether a request's header carries the session's token."""
    return hmac.compare_digest(session.token.encode(), given.encode("utf-8", "replace"))


@dataclass(slots=True)
class Throttle:
    """Bounds tries: each address a few a second, each name a few in a row.

    Attributes:
        tries: Wrong passwords in a row that lock a name. `lockout_s`: for so long.
    """

    tries: int
    lockout_s: float
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    _wrong: dict[str, tuple[int, float]] = field(default_factory=dict)

    def admits(self, address: str, now_s: float) -> bool:
        """Whether an address may try once more now (token bucket)."""
        room, at_s = self._buckets.pop(address, (TRIES_BURST, now_s))
        room = min(TRIES_BURST, room + (now_s - at_s) * TRIES_PER_S)
        admitted = room >= 1.0
        _keep(self._buckets, address, (room - 1.0 if admitted else room, now_s))
        return admitted

    def locked_s(self, name: str, now_s: float) -> float:
        """Return for how long a name is still locked; 0 where it is not."""
        count, at_s = self._wrong.get(name, (0, 0.0))
        return max(0.0, at_s + self.lockout_s - now_s) if count >= self.tries else 0.0

    def wrong(self, name: str, now_s: float) -> bool:
        """Count a wrong password; True when it locks the name."""
        count, at_s = self._wrong.pop(name, (0, now_s))
        if now_s - at_s > self.lockout_s:
            count = 0
        _keep(self._wrong, name, (count + 1, now_s))
        return count + 1 == self.tries

    def right(self, name: str) -> None:
        """Forget the wrong ones after a right one."""
        self._wrong.pop(name, None)


def _keep(table: dict[str, ValueT], key: str, value: ValueT) -> None:
    while len(table) >= MAX_NAMES:
        del table[next(iter(table))]
    table[key] = value


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
