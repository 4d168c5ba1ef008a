"""SECC discovery: answers a vehicle's multicast with our address and port (SDP, UDP 15118)."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final, cast

from agent.errors import DecodeError, UnavailableError
from agent.vehicles.secc.options import TlsPolicy
from agent.vehicles.secc.v2gtp import SECURED, UNSECURED, parse_sdp_request, sdp_response

PORT: Final = 15118
GROUP: Final = "ff02::1"
_ADDRESSES: Final = Path("/proc/net/if_inet6")
_LINK_SCOPE: Final = 0x20


def link_local_address(interface: str) -> IPv6Address:
    """Return the interface's IPv6 link-local address.

    Raises:
        UnavailableError: There is no such interface, or it has no such address.
    """
    try:
        lines = _ADDRESSES.read_text().splitlines()
    except OSError as error:
        raise UnavailableError(f"{_ADDRESSES}: {error.strerror}") from error
    for line in lines:
        address, _index, _prefix, scope, _flags, name = line.split()
        if name == interface and int(scope, 16) == _LINK_SCOPE:
            return IPv6Address(bytes.fromhex(address))
    raise UnavailableError(
        f"{interface}: no IPv6 link-local address (is the interface up, is IPv6 on?)"
    )


class Discovery(asyncio.DatagramProtocol):
    """Answers requests while the EVSE is free.

    Args:
        address: Our link-local address.
        ports: Ports of the secured and the unsecured listener; None where there is none.
        tls: `required` leaves unsecured requests without an answer.
        is_free: Whether a new vehicle may connect.
    """

    def __init__(
        self,
        address: IPv6Address,
        ports: dict[int, int],
        tls: TlsPolicy,
        is_free: Callable[[], bool],
    ) -> None:
        self._address = address
        self._ports = ports
        self._tls = tls
        self._is_free = is_free
        self._transport: asyncio.DatagramTransport | None = None
        self.answered = 0
        self.ignored = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio callback)."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        """Answer a request (asyncio callback)."""
        try:
            wanted = parse_sdp_request(data)
        except DecodeError:
            self.ignored += 1
            return
        security = self._security(wanted)
        if security is None or not self._is_free() or self._transport is None:
            self.ignored += 1
            return
        self.answered += 1
        self._transport.sendto(sdp_response(self._address, self._ports[security], security), addr)

    def _security(self, wanted: int) -> int | None:
        """What the answer offers: never less than what was asked for, never less than required."""
        if wanted == SECURED or self._tls == "required":
            return SECURED if SECURED in self._ports and wanted == SECURED else None
        return UNSECURED if UNSECURED in self._ports else None


async def start_discovery(interface: str, discovery: Discovery) -> asyncio.DatagramTransport:
    """Open the multicast socket.

    Raises:
        UnavailableError: The interface or the port cannot be had.
    """
    try:
        sock = _multicast_socket(interface)
    except OSError as error:
        raise UnavailableError(f"{interface}: UDP port {PORT}: {error.strerror}") from error
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: discovery, sock=sock)
    return transport


def _multicast_socket(interface: str) -> socket.socket:
    index = socket.if_nametoindex(interface)
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.bind(("::", PORT))
        membership = socket.inet_pton(socket.AF_INET6, GROUP) + struct.pack("@I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
