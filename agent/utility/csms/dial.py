"""From an address to an open WebSocket, one stage after the other, each with its own time."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

from picows import WSError, WSListener, WSTransport, WSUpgradeRequest, WSUpgradeResponse, ws_connect
from picows.url import WSParsedURL

from agent.errors import HandshakeTimeoutError, ProtocolError
from agent.ocpp import Version
from agent.utility.csms.tls import explain

MAX_FRAME: Final = 1 << 20
_HINTS: Final = {
    401: "wrong or missing password; see [utility] password",
    403: "the CSMS refuses this identity or certificate",
    404: "the CSMS does not know this identity; see [utility] identity and url",
    409: "this identity is connected already",
    426: "the CSMS offers none of our OCPP versions; see [utility] protocols",
    503: "the CSMS is overloaded or not ready",
}
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class ConnectError(ProtocolError):
    """The CSMS cannot be reached or refuses us.

    Attributes:
        peer: Address of the CSMS. `stage`: `tcp`, `tls`, `websocket` or `boot`.
        status: HTTP status of a refusal; 0 where there was none.
    """

    def __init__(self, peer: str, stage: str, what: str, status: int = 0) -> None:
        super().__init__(f"{peer}: {stage}: {what}")
        self.peer = peer
        self.stage = stage
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    """Where a CSMS is and who we are there.

    Attributes:
        url: Without the identity.
        identity: Appended to the path, percent-encoded (OCPP-J, "connection URL").
        password: Of HTTP Basic authentication (security profiles 1 and 2); empty for none.
        protocols: Subprotocols, most wanted first.
        tls: Context for `wss`.
    """

    url: str
    identity: str
    protocols: tuple[str, ...]
    password: bytes = b""
    tls: ssl.SSLContext | None = None

    @property
    def peer(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"

    @property
    def host(self) -> str:
        """Name or address of the CSMS."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port of the CSMS."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "wss" else 80)

    @property
    def target(self) -> str:
        """The whole URL."""
        return f"{self.url.rstrip('/')}/{quote(self.identity, safe='')}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the upgrade."""
        headers = {"Sec-WebSocket-Protocol": ", ".join(self.protocols)}
        if self.password:
            both = self.identity.encode() + b":" + self.password
            headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
        return headers


async def dial(
    address: Address, make_listener: Callable[[Version], WSListener], timeout_s: float
) -> tuple[WSTransport, WSListener, float]:
    """Open the WebSocket; return it, its listener, and a first measure of the round trip in s.

    Args:
        address: Whom to call.
        make_listener: Called with the version that the CSMS chose.
        timeout_s: For each of TCP, TLS and WebSocket.

    Raises:
        HandshakeTimeoutError: Names the stage that did not end in time.
        ConnectError: The network or the CSMS refuses.
    """
    raw = await _connect_tcp(address, timeout_s)
    start_s = time.monotonic()

    async def connected(_url: WSParsedURL) -> socket.socket:
        return raw

    def listener(_request: WSUpgradeRequest, response: WSUpgradeResponse) -> WSListener:
        return make_listener(_version(address, response))

    options: dict[str, Any] = {}
    if address.tls is not None:
        options["ssl_handshake_timeout"] = timeout_s
    try:
        transport, made = await ws_connect(
            listener,
            address.target,
            ssl_context=address.tls,
            websocket_handshake_timeout=timeout_s,
            extra_headers=address.headers,
            max_redirects=0,
            max_frame_size=MAX_FRAME,
            socket_factory=connected,
            use_aiofastnet=False,
            **options,
        )
    except ConnectionAbortedError as error:  # how asyncio tells its ssl_handshake_timeout
        raise HandshakeTimeoutError(address.peer, "tls", "packet loss or a wrong MTU?") from error
    except TimeoutError as error:
        raise HandshakeTimeoutError(address.peer, "websocket") from error
    except ssl.SSLError as error:
        raise ConnectError(address.peer, "tls", explain(error)) from error
    except WSError as error:
        raise _refusal(address, error) from error
    except OSError as error:
        stage = "tls" if address.tls is not None else "websocket"
        raise ConnectError(address.peer, stage, _words(error)) from error
    if cast(WSListener | None, made) is None:  # closed in the middle of the upgrade
        # A TLS 1.3 server refuses a client's certificate after the handshake.
        hint = " (does it accept our certificate?)" if address.tls is not None else ""
        raise ConnectError(address.peer, "websocket", f"the CSMS closed the connection{hint}")
    trips = 1 if address.tls is None else 2  # TLS 1.3, then the upgrade
    return transport, made, (time.monotonic() - start_s) / trips


async def _connect_tcp(address: Address, timeout_s: float) -> socket.socket:
    """Resolve and connect; every address of the host is tried in turn."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            problem: OSError | None = None
            for family, kind, protocol, _, where in found:
                raw = socket.socket(family, kind, protocol)
                raw.setblocking(False)
                try:
                    await loop.sock_connect(raw, where)
                except OSError as error:
                    raw.close()
                    problem = error
                    continue
                except BaseException:
                    raw.close()
                    raise
                _set_options(raw)
                return raw
    except TimeoutError as error:
        raise HandshakeTimeoutError(address.peer, "tcp") from error
    except OSError as error:
        raise ConnectError(address.peer, "tcp", _words(error)) from error
    what = "the host has no address" if problem is None else _words(problem)
    raise ConnectError(address.peer, "tcp", what)


def _set_options(raw: socket.socket) -> None:
    """Small messages at once; a peer that vanished is noticed though nothing is sent."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        with contextlib.suppress(AttributeError, OSError):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _words(error: OSError) -> str:
    """What the system says of it, without Python's way to say it."""
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved: {error.strerror}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or "the connection was closed"


def _version(address: Address, response: WSUpgradeResponse) -> Version:
    chosen = response.headers.get("Sec-WebSocket-Protocol", "").strip().lower()
    if chosen in address.protocols:
        return Version(chosen)
    offered = ", ".join(address.protocols)
    what = f"the CSMS chose {chosen!r}" if chosen else "the CSMS chose no OCPP version"
    raise ConnectError(address.peer, "websocket", f"{what}; offered were {offered}")


def _refusal(address: Address, error: WSError) -> ConnectError:
    status = int(getattr(getattr(error, "response", None), "status", 0) or 0)
    if not status:
        return ConnectError(address.peer, "websocket", str(error))
    hint = _HINTS.get(status, "")
    what = f"refused with HTTP {status}" + (f" ({hint})" if hint else "")
    return ConnectError(address.peer, "websocket", what, status)
