"""What every answer carries, and which requests are not answered at all.

The page runs only what it was served with (Content Security Policy level 3, nothing inline), is
shown in no other page's frame, and answers only to the names of this machine while it is local:
a page of the internet whose name suddenly means 127.0.0.1 (DNS rebinding) is refused.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_TRANSPORT: Final = ("Strict-Transport-Security", "max-age=31536000")
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_READING: Final = frozenset({"GET", "HEAD"})
BODY_LIMIT: Final = 4096


class Guard:
    """ASGI middleware around the whole page.

    Args:
        app: The page.
        local: Only names of this machine are answered.
        tls: Browsers are told to come back with TLS only.
    """

    def __init__(self, app: ASGIApp, *, local: bool, tls: bool) -> None:
        self._app = app
        self._local = local
        self._headers = (*_HEADERS, _TRANSPORT) if tls else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on, and add the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers[name] = value
            await send(message)

        problem = self._problem(scope["method"], Headers(scope=scope))
        app = self._app if problem is None else _refusal(*problem)
        await app(scope, receive, send_with_headers)

    def _problem(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._local and urlsplit(f"//{host}").hostname not in _LOCAL_NAMES:
            return 421, "this page answers to localhost only"
        if method in _READING:
            return None
        if method != "POST":
            return 405, "GET and POST only"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "the request comes from another page"
        if headers.get("content-type", "").split(";")[0].strip() != "application/json":
            return 415, "send application/json"
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            return 413, f"at most {BODY_LIMIT} octets"
        return None


def _refusal(status: int, reason: str) -> ASGIApp:
    return JSONResponse({"error": reason}, status)
