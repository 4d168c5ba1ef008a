"""V2G Transfer Protocol frames and SECC discovery (ISO 15118-2 clause 7.8 and 7.10.1)."""

from __future__ import annotations

import asyncio
import struct
from ipaddress import IPv6Address
from typing import Final

from agent.errors import DecodeError

HEADER: Final = struct.Struct(">BBHI")
VERSION: Final = 0x01
MAX_PAYLOAD: Final = 1 << 16
SDP_REQUEST: Final = 0x9000
SDP_RESPONSE: Final = 0x9001
SECURED: Final = 0x00
UNSECURED: Final = 0x10
_TCP: Final = 0x00


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return one whole frame, header included, however TCP cut it.

    Raises:
        DecodeError: The bytes are no V2GTP frame, or longer than one may be.
        EOFError: The peer closed the connection.
    """
    header = await reader.readexactly(HEADER.size)
    version, inverse, _payload_type, length = HEADER.unpack(header)
    if version != VERSION or inverse != 0xFF - VERSION:
        raise DecodeError(f"V2GTP version {version:#x}/{inverse:#x}")
    if length > MAX_PAYLOAD:
        raise DecodeError(f"V2GTP payload of {length} octets")
    return header + await reader.readexactly(length)


def parse_sdp_request(datagram: bytes) -> int:
    """Return the security octet of an SDP request.

    Raises:
        DecodeError: The datagram is no SDP request for TCP.
    """
    if len(datagram) != HEADER.size + 2:
        raise DecodeError(f"an SDP request of {len(datagram)} octets")
    version, inverse, payload_type, length = HEADER.unpack_from(datagram)
    if (version, inverse, payload_type, length) != (VERSION, 0xFF - VERSION, SDP_REQUEST, 2):
        raise DecodeError("not an SDP request")
    security, transport = datagram[HEADER.size :]
    if transport != _TCP or security not in (SECURED, UNSECURED):
        raise DecodeError(f"SDP security {security:#x}, transport {transport:#x}")
    return security


def sdp_response(address: IPv6Address, port: int, security: int) -> bytes:
    """Return the SDP response that points at our TCP port."""
    payload = address.packed + struct.pack(">HBB", port, security, _TCP)
    return HEADER.pack(VERSION, 0xFF - VERSION, SDP_RESPONSE, len(payload)) + payload
