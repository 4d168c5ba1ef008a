"""Finds a dead link fast: carrier, and what TCP last heard from the peer.

A vehicle that drives away tells nobody. TCP alone takes a minute to notice; here a keep-alive
probe goes out after one silent second, and a peer that does not answer it is gone.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Final

_LAST_DATA_RECEIVED: Final = 11
"""Position in struct tcp_info, counted in 32-bit words after its first eight octets."""
_LAST_ACK_RECEIVED: Final = 12
_INFO_SIZE: Final = 8 + 4 * (_LAST_ACK_RECEIVED + 1)


def keep_alive(sock: socket.socket) -> None:
    """Probe the peer after every second of silence, and send small answers at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def silent_s(sock: socket.socket) -> float:
    """Return for how long nothing came from the peer, not even an acknowledgement."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    words: tuple[int, ...] = struct.unpack_from(f"8x{_LAST_ACK_RECEIVED + 1}I", info)
    return min(words[_LAST_DATA_RECEIVED], words[_LAST_ACK_RECEIVED]) / 1000.0


def has_carrier(interface: str) -> bool:
    """Whether an interface exists, is up and has a carrier."""
    try:
        return Path(f"/sys/class/net/{interface}/carrier").read_text().strip() == "1"
    except OSError:
        return False
