"""The header that SV and GOOSE share behind the EtherType (IEC 61850-8-1 Ed. 2.1, annex C)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from agent.errors import DecodeError
from agent.processbus.frames import (
    ETHERTYPE_VLAN,
    ETHERTYPE_VLAN_STACKED,
    MAC_HEADER,
    MIN_FRAME,
    UNTAGGED,
)

APDU_OFFSET: Final = 8
"""APPID, Length, Reserved 1 and Reserved 2 come before the APDU."""
SIMULATED: Final = 0x8000
"""S bit of Reserved 1."""
MAX_VLAN_ID: Final = 4094


@dataclass(frozen=True, slots=True)
class Header:
    """Addresses, tag, and the common header of one frame.

    Attributes:
        vlan: TCI of the outer tag, `UNTAGGED` where none.
        payload: Offset of the APPID in the frame.
        end: Offset behind the APDU, from the Length field; padding may follow.
    """

    destination: bytes
    source: bytes
    vlan: int
    ethertype: int
    payload: int
    appid: int
    simulated: bool
    end: int


def parse_header(frame: bytes, vlan: int = UNTAGGED) -> Header:
    """Return the header of a frame.

    Args:
        frame: From the destination address on, without FCS.
        vlan: TCI that the kernel took out.

    Raises:
        DecodeError: Cut off, or its Length field does not fit in it.
    """
    if len(frame) < MIN_FRAME:
        raise DecodeError(f"{len(frame)} octets are no SV or GOOSE frame")
    ethertype, payload = int.from_bytes(frame[12:14], "big"), MAC_HEADER
    for _ in range(2):
        if ethertype not in (ETHERTYPE_VLAN, ETHERTYPE_VLAN_STACKED):
            break
        if len(frame) < payload + 12:
            raise DecodeError("the frame ends behind its VLAN tag")
        tci, ethertype = struct.unpack_from(">HH", frame, payload)
        vlan = tci if vlan == UNTAGGED else vlan
        payload += 4
    appid, length, reserved_1, _ = struct.unpack_from(">HHHH", frame, payload)
    if length < APDU_OFFSET or payload + length > len(frame):
        raise DecodeError(f"Length {length} in {len(frame) - payload} octets")
    return Header(
        destination=frame[0:6],
        source=frame[6:12],
        vlan=vlan,
        ethertype=ethertype,
        payload=payload,
        appid=appid,
        simulated=bool(reserved_1 & SIMULATED),
        end=payload + length,
    )


def build_frame(
    *,
    apdu: bytes,
    destination: bytes,
    source: bytes,
    ethertype: int,
    appid: int,
    vlan: int = UNTAGGED,
    simulated: bool = False,
) -> bytes:
    """Return a frame without FCS; `vlan` is the TCI (priority in the upper three bits)."""
    tag = b"" if vlan == UNTAGGED else struct.pack(">HH", ETHERTYPE_VLAN, vlan)
    reserved_1 = SIMULATED if simulated else 0
    common = struct.pack(">HHHHH", ethertype, appid, APDU_OFFSET + len(apdu), reserved_1, 0)
    return destination + source + tag + common + apdu


def mac_text(address: bytes) -> str:
    """`01-0C-CD-04-00-01`, as SCL writes it."""
    return "-".join(f"{octet:02X}" for octet in address)


def mac_octets(text: str) -> bytes:
    """Return the six octets of an address with dashes or colons.

    Raises:
        DecodeError: Not six octets.
    """
    parts = text.strip().replace(":", "-").split("-")
    try:
        octets = bytes(int(part, 16) for part in parts)
    except ValueError:
        octets = b""
    if len(octets) != 6:
        raise DecodeError(f"{text!r} is not a MAC address")
    return octets
