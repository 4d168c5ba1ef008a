"""Who is asking: login, logout, and what a request may do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent import strict_json
from agent.config import Hmi
from agent.errors import ConfigurationError
from agent.hmi.page.passwords import MAX_LENGTH, User, load_users, verify
from agent.hmi.page.sessions import Session, Sessions, Throttle, is_token

COOKIE: Final = "v2g_session"
TOKEN_HEADER: Final = "x-csrf-token"  # noqa: S105 - the name of a header
Tell = Callable[[str, str, str], None]
"""Called with kind, subject and text of what the audit must know."""


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a login."""

    name: str
    password: str


class Access:
    """Knows the users and their sessions.

    Args:
        settings: `[hmi]`.
        tell: Where logins, refusals and locked names are told.

    Raises:
        ConfigurationError: A password file that cannot be used.
    """

    def __init__(self, settings: Hmi, tell: Tell) -> None:
        self._settings = settings
        self._tell = tell
        self._users: dict[str, User] = {}
        self._stamp = 0
        if settings.users is not None:
            self._users, self._stamp = load_users(settings.users), _stamp(settings.users)
        self._sessions = Sessions(settings.idle_s, settings.session_s)
        self._throttle = Throttle(settings.lockout_tries, settings.lockout_s)
        self._hashing = asyncio.Lock()
        self.refused = 0

    def session(self, request: Request) -> Session | None:
        """Return who is logged in, if somebody is."""
        return self._sessions.find(request.cookies.get(COOKIE, ""), time.monotonic())

    def may_look(self, request: Request) -> bool:
        """On this machine everybody looks; beyond it whoever is logged in."""
        return self._settings.is_local or self.session(request) is not None

    def operator(self, request: Request) -> Session | Response:
        """Return the operator's session, or the answer that refuses the order."""
        session = self.session(request)
        if session is None:
            return _error(401, "log in first")
        if not is_token(session, request.headers.get(TOKEN_HEADER, "")):
            return _error(403, "the page is too old; load it again")
        if not session.may_order:
            self.refused += 1
            self._tell("refusal", _who(session.user.name, request), "a viewer gives no orders")
            return _error(403, "a viewer gives no orders")
        session.used_s = time.monotonic()
        return session

    async def describe(self, request: Request) -> Response:
        """`GET /api/session`: who is logged in, and whether anybody can."""
        session = self.session(request)
        return JSONResponse(
            {
                "user": None if session is None else session.user.name,
                "role": None if session is None else session.user.role,
                "token": None if session is None else session.token,
                "may_look": self.may_look(request),
                "has_users": bool(self._users),
            }
        )

    async def log_in(self, request: Request) -> Response:
        """`POST /api/login`."""
        try:
            given = strict_json.decode(await request.body(), Credentials)
        except msgspec.DecodeError:
            return _error(400, "name and password are expected")
        self._reload()
        who, now_s = _who(given.name[:64], request), time.monotonic()
        if not self._throttle.admits(_address(request), now_s):
            self.refused += 1
            return _error(429, "too many tries; wait a few seconds")
        if wait_s := self._throttle.locked_s(given.name, now_s):
            self.refused += 1
            return _error(429, f"locked after too many wrong passwords; wait {wait_s:.0f} s")
        user = await self._verify(given)
        if user is None:
            self.refused += 1
            locked = self._throttle.wrong(given.name, time.monotonic())
            text = "wrong password; the name is locked" if locked else "wrong name or password"
            self._tell("refusal", who, text)
            return _error(401, "wrong name or password")
        self._throttle.right(user.name)
        key, session = self._sessions.open(user, time.monotonic())
        self._tell("association", who, f"logged in as {user.role}")
        answer = await self.describe(request)
        answer = JSONResponse(
            {"user": user.name, "role": user.role, "token": session.token, "may_look": True}
        )
        answer.set_cookie(
            COOKIE,
            key,
            max_age=int(self._settings.session_s),
            httponly=True,
            samesite="strict",
            secure=self._settings.certificate is not None,
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """`POST /api/logout`."""
        session = self.session(request)
        if session is not None:
            if not is_token(session, request.headers.get(TOKEN_HEADER, "")):
                return _error(403, "the page is too old; load it again")
            self._sessions.close(request.cookies[COOKIE])
            self._tell("association", _who(session.user.name, request), "logged out")
        answer = JSONResponse({"user": None})
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    async def _verify(self, given: Credentials) -> User | None:
        """One hash at a time: each takes 32 MiB and a tenth of a second of one core."""
        if len(given.password) > MAX_LENGTH:
            return None
        async with self._hashing:
            return await asyncio.to_thread(verify, self._users, given.name, given.password)

    def _reload(self) -> None:
        """Take a changed file; who is no longer in it, or has another password, is logged out."""
        path = self._settings.users
        if path is None or (stamp := _stamp(path)) in (0, self._stamp):
            return
        self._stamp = stamp
        try:
            users = load_users(path)
        except ConfigurationError as error:
            logger.error("the users stay as they were: {}", error)
            return
        for name, user in self._users.items():
            if users.get(name) != user:
                self._sessions.close_user(name)
        self._users = users


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "?"


def _who(name: str, request: Request) -> str:
    return f"{name}@{_address(request)}"


def _error(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)
