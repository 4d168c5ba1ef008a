"""Values of GOOSE allData: MMS Data with one-byte tags (IEC 61850-8-1 Ed. 2.1, annex A)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import msgspec

from agent.errors import DecodeError
from agent.iec61850 import Timestamp
from agent.processbus import ber

MOST_VALUES: Final = 512
DEEPEST: Final = 8
_FLOAT32_EXPONENT: Final = 8
_FLOAT64_EXPONENT: Final = 11


class DataTag(IntEnum):
    """Tags of the Data choice."""

    ARRAY = 0xA1
    STRUCTURE = 0xA2
    BOOLEAN = 0x83
    BIT_STRING = 0x84
    INTEGER = 0x85
    UNSIGNED = 0x86
    FLOATING_POINT = 0x87
    OCTET_STRING = 0x89
    VISIBLE_STRING = 0x8A
    BINARY_TIME = 0x8C
    MMS_STRING = 0x90
    UTC_TIME = 0x91


class BitString(msgspec.Struct, frozen=True):
    """Bits, the first one in the most significant place of the first octet."""

    octets: bytes
    unused: int = 0

    @property
    def bits(self) -> int:
        """How many bits there are."""
        return 8 * len(self.octets) - self.unused


Scalar = bool | int | float | str | bytes | BitString | Timestamp


class Leaf(msgspec.Struct, frozen=True):
    """One basic value, in the order of the wire.

    Attributes:
        tag: Its type.
        member: Index of the data set member that it belongs to.
    """

    tag: DataTag
    value: Scalar
    member: int = 0


def decode_values(data: bytes, begin: int, end: int) -> tuple[tuple[Leaf, ...], int]:
    """Return the basic values of allData and the number of its members.

    Raises:
        DecodeError: Not Data, too many values, or nested too deeply.
    """
    leaves: list[Leaf] = []
    members = 0
    for part in ber.elements(data, begin, end):
        _collect(data, part, members, 0, leaves)
        members += 1
        if members > MOST_VALUES:
            raise DecodeError(f"more than {MOST_VALUES} members")
    return tuple(leaves), members


def _collect(data: bytes, part: ber.Element, member: int, depth: int, leaves: list[Leaf]) -> None:
    if part.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        if depth >= DEEPEST:
            raise DecodeError("a value nested too deeply")
        for inner in ber.elements(data, part.begin, part.end):
            _collect(data, inner, member, depth + 1, leaves)
        return
    if len(leaves) >= MOST_VALUES:
        raise DecodeError(f"more than {MOST_VALUES} values")
    leaves.append(_leaf(part.tag, data[part.begin : part.end], member))


def _leaf(tag: int, content: bytes, member: int) -> Leaf:
    try:
        kind = DataTag(tag)
    except ValueError:
        raise DecodeError(f"0x{tag:02x} is no type of a value") from None
    return Leaf(kind, _scalar(kind, content), member)


def _scalar(kind: DataTag, content: bytes) -> Scalar:
    if kind is DataTag.BOOLEAN:
        if len(content) != 1:
            raise DecodeError("a boolean has one octet")
        return content[0] != 0
    if kind in (DataTag.INTEGER, DataTag.UNSIGNED):
        return integer(content, signed=kind is DataTag.INTEGER)
    if kind is DataTag.FLOATING_POINT:
        return _floating(content)
    if kind is DataTag.BIT_STRING:
        if not content or content[0] > 7 or (len(content) == 1 and content[0]):
            raise DecodeError("a bit string with an impossible number of unused bits")
        return BitString(content[1:], content[0])
    if kind is DataTag.UTC_TIME:
        return Timestamp.from_octets(content)
    if kind in (DataTag.VISIBLE_STRING, DataTag.MMS_STRING):
        return content.decode("utf-8", errors="replace")
    return content


def integer(content: bytes, signed: bool) -> int:
    """Return an integer of one to nine octets."""
    if not 1 <= len(content) <= 9:
        raise DecodeError(f"an integer of {len(content)} octets")
    return int.from_bytes(content, "big", signed=signed)


def _floating(content: bytes) -> float:
    if len(content) == 5 and content[0] == _FLOAT32_EXPONENT:
        return float(struct.unpack(">f", content[1:])[0])
    if len(content) == 9 and content[0] == _FLOAT64_EXPONENT:
        return float(struct.unpack(">d", content[1:])[0])
    raise DecodeError("a floating point value that is neither 32 nor 64 bits")


def encode_leaf(leaf: Leaf) -> bytes:
    """Return one basic value; integers as short as they may be."""
    value = leaf.value
    if isinstance(value, bool):
        content = b"\x01" if value else b"\x00"
    elif isinstance(value, int):
        content = shortest(value)
    elif isinstance(value, float):
        content = bytes((_FLOAT32_EXPONENT,)) + struct.pack(">f", value)
    elif isinstance(value, BitString):
        content = bytes((value.unused,)) + value.octets
    elif isinstance(value, Timestamp):
        content = value.to_octets()
    elif isinstance(value, str):
        content = value.encode()
    else:
        content = value
    return ber.encode(leaf.tag, content)


def shortest(value: int) -> bytes:
    """Return the content of an ASN.1 INTEGER."""
    size = (value + (value < 0)).bit_length() // 8 + 1
    return value.to_bytes(size, "big", signed=True)
