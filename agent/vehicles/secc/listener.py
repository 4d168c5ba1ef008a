"""TCP connections of vehicles, with their TLS handshake in our hands.

`asyncio.start_server(ssl=…)` hides who failed a handshake and why; here each stage has its own
timeout and its own error.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from ipaddress import IPv6Address
from typing import Final

from agent.errors import HandshakeTimeoutError, ProtocolError, UnavailableError
from agent.vehicles.secc.link_watch import keep_alive
from agent.vehicles.secc.session import CERTIFICATE_HINT, MTU_HINT
from agent.vehicles.secc.tls import TlsContexts

DYNAMIC_PORTS: Final = range(49152, 65536)
_ATTEMPTS: Final = 20
_PEEK: Final = 4096
_POLL_S: Final = 0.01

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def listen(address: IPv6Address, interface: str) -> socket.socket:
    """Return a listening socket on a dynamic port ([V2G2-082]) of the link-local address.

    Raises:
        UnavailableError: The address or every port that was tried is refused.
    """
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    scope = socket.if_nametoindex(interface)
    reason = ""
    for port in random.sample(DYNAMIC_PORTS, _ATTEMPTS):
        try:
            sock.bind((str(address), port, 0, scope))
        except OSError as error:
            reason = str(error.strerror)
            continue
        sock.listen(1)
        sock.setblocking(False)
        return sock
    sock.close()
    raise UnavailableError(f"{interface}: no TCP port on {address}: {reason}")


async def open_streams(
    sock: socket.socket, contexts: TlsContexts | None, timeout_s: float
) -> Streams:
    """Make streams of an accepted socket, after the TLS handshake where `contexts` is given.

    Raises:
        HandshakeTimeoutError: The handshake did not finish in time (0x22).
        ProtocolError: It failed; the text says why, with a hint.
    """
    keep_alive(sock)
    peer = str(sock.getpeername()[0])
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 17, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    try:
        async with asyncio.timeout(timeout_s):
            context = None if contexts is None else await _context(sock, contexts)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                sock,
                ssl=context,
                ssl_handshake_timeout=timeout_s if context else None,
            )
    except TimeoutError as error:
        sock.close()
        raise HandshakeTimeoutError(peer, "tls", f"{MTU_HINT}; {CERTIFICATE_HINT}") from error
    except ssl.SSLError as error:
        raise ProtocolError(f"TLS handshake with {peer}: {_explain(error)}") from error
    except OSError as error:
        sock.close()
        raise ProtocolError(f"TLS handshake with {peer}: {error}") from error
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _context(sock: socket.socket, contexts: TlsContexts) -> ssl.SSLContext:
    """Look at the ClientHello without taking it from the socket, and choose by it."""
    while True:
        try:
            data = sock.recv(_PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            data = b"\0"
        if not data:
            raise ConnectionResetError("closed before the ClientHello")
        if len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5]):
            return contexts.for_client(data)
        await asyncio.sleep(_POLL_S)


def _explain(error: ssl.SSLError) -> str:
    reason = error.reason or str(error)
    if "CERTIFICATE" in reason.upper() or "ALERT" in reason.upper():
        return f"{reason} ({CERTIFICATE_HINT})"
    return reason
