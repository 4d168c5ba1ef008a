"""Leaf values: the text of an SCL file as a value, and what a leaf accepts.

Enum, Dbpos and Tcmd values are their ordinals. Bit strings (Check, TrgOps, OptFlds) are integers
whose bit n is bit n of the standard, which MMS sends first-bit-first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from agent.iec61850 import BasicType, Quality, Timestamp
from agent.iec61850.basic_types import (
    DBPOS,
    FLOAT_TYPES,
    INTEGER_RANGE,
    OCTET_LENGTH,
    STRING_LENGTH,
    TCMD,
)
from agent.ied.port import AccessError, Native
from agent.scl.live import DataAttribute

BITS: Final[dict[BasicType, int]] = {
    BasicType.DBPOS: 2,
    BasicType.TCMD: 2,
    BasicType.CHECK: 2,
    BasicType.QUALITY: 13,
    BasicType.TRG_OPS: 6,
    BasicType.OPT_FLDS: 10,
    BasicType.SV_OPT_FLDS: 5,
    BasicType.LOG_OPT_FLDS: 1,
}
"""Number of bits of the types that MMS carries as bit strings."""

EPOCH: Final = Timestamp(0)
_ENUM_RANGE: Final = INTEGER_RANGE[BasicType.INT32]
_FLOAT32_MAX: Final = struct.unpack("!f", b"\x7f\x7f\xff\xff")[0]


def default_value(leaf: DataAttribute) -> Native:
    """The value of a leaf that nobody has set: zero, empty, the epoch, quality invalid.

    A quality starts invalid because no value has been measured yet.
    """
    kind = leaf.b_type
    if kind is BasicType.QUALITY:
        return Quality.invalid()
    if kind is BasicType.BOOLEAN:
        return False
    if kind in FLOAT_TYPES:
        return 0.0
    if kind is BasicType.TIMESTAMP:
        return EPOCH
    if kind in STRING_LENGTH:
        return ""
    if kind is BasicType.ENTRY_TIME:
        return bytes(6)
    if kind in OCTET_LENGTH:
        return bytes(OCTET_LENGTH[kind]) if kind is BasicType.ENTRY_ID else b""
    return 0


def initial_value(leaf: DataAttribute, group: int = 0) -> Native:
    """The value that the SCL gives a leaf, or its default.

    Args:
        leaf: The attribute.
        group: Setting group; its own Val counts before the one for every group.
    """
    texts = {value.s_group: value.text for value in leaf.values}
    for number in (group, 0):
        text = texts.get(number)
        value = None if text is None else parse_value(leaf, text)
        if value is not None:
            return value
    return default_value(leaf)


def parse_value(leaf: DataAttribute, text: str) -> Native | None:
    """The value that SCL text means for a leaf; None for text that means none."""
    parser = _PARSERS.get(leaf.b_type)
    try:
        if leaf.b_type is BasicType.ENUM:
            value: Native | None = _parse_enum(leaf, text)
        elif parser is not None:
            value = parser(text)
        elif leaf.b_type in INTEGER_RANGE:
            value = int(text)
        elif leaf.b_type in STRING_LENGTH:
            value = text
        else:
            return None
    except ValueError:
        return None
    return value if value is not None and check_value(leaf, value) is None else None


def check_value(leaf: DataAttribute, value: Native) -> AccessError | None:
    """Why a leaf cannot take a value; None when it can.

    NaN and infinities are never accepted: no set point or setting has such a value.
    """
    kind = leaf.b_type
    if kind in INTEGER_RANGE or kind is BasicType.ENUM:
        return _check_integer(leaf, value)
    if kind in FLOAT_TYPES:
        return _check_float(kind, value)
    if kind in BITS:
        if kind is BasicType.QUALITY:
            return None if isinstance(value, Quality) else AccessError.TYPE_INCONSISTENT
        return _check_bits(kind, value)
    expected: tuple[type, int] = (bytes, OCTET_LENGTH.get(kind, 6))
    if kind is BasicType.BOOLEAN:
        return None if isinstance(value, bool) else AccessError.TYPE_INCONSISTENT
    if kind is BasicType.TIMESTAMP:
        return None if isinstance(value, Timestamp) else AccessError.TYPE_INCONSISTENT
    if kind in STRING_LENGTH:
        expected = (str, STRING_LENGTH[kind])
    if not isinstance(value, expected[0]):
        return AccessError.TYPE_INCONSISTENT
    too_long = isinstance(value, str | bytes) and len(value) > expected[1]
    return AccessError.VALUE_INVALID if too_long else None


def _check_integer(leaf: DataAttribute, value: Native) -> AccessError | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return AccessError.TYPE_INCONSISTENT
    if leaf.b_type is BasicType.ENUM:
        known = leaf.enum.ordinals if leaf.enum is not None else None
        fits = value in known if known else _ENUM_RANGE[0] <= value <= _ENUM_RANGE[1]
        return None if fits else AccessError.VALUE_INVALID
    low, high = INTEGER_RANGE[leaf.b_type]
    return None if low <= value <= high else AccessError.VALUE_INVALID


def _check_float(kind: BasicType, value: Native) -> AccessError | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return AccessError.TYPE_INCONSISTENT
    if not math.isfinite(value):
        return AccessError.VALUE_INVALID
    too_large = kind is BasicType.FLOAT32 and abs(value) > _FLOAT32_MAX
    return AccessError.VALUE_INVALID if too_large else None


def _check_bits(kind: BasicType, value: Native) -> AccessError | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return AccessError.TYPE_INCONSISTENT
    return None if 0 <= value < 1 << BITS[kind] else AccessError.VALUE_INVALID


def _parse_enum(leaf: DataAttribute, text: str) -> int | None:
    """An enumeration literal; some files write the ordinal itself."""
    if leaf.enum is not None and text in leaf.enum.values:
        return leaf.enum.values[text]
    return int(text)


def _parse_boolean(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


def _parse_float(text: str) -> float:
    return float(text.replace(",", "."))


def _parse_timestamp(text: str) -> Timestamp | None:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Timestamp.from_utc_ns(round(aware.timestamp() * 1e6) * 1000)


def _parse_bits(text: str) -> int:
    """Bit strings in SCL are written first bit first: ``1100``."""
    if not text or set(text) - {"0", "1"}:
        raise ValueError(text)
    return sum(1 << position for position, bit in enumerate(text) if bit == "1")


def _parse_quality(text: str) -> Quality:
    word = _parse_bits(text.replace(" ", ""))
    return Quality.from_word((word & 1) << 1 | (word >> 1 & 1) | (word & ~3))


_PARSERS: Final[dict[BasicType, Callable[[str], Native | None]]] = {
    BasicType.BOOLEAN: _parse_boolean,
    BasicType.FLOAT32: _parse_float,
    BasicType.FLOAT64: _parse_float,
    BasicType.TIMESTAMP: _parse_timestamp,
    BasicType.DBPOS: lambda text: DBPOS[text] if text in DBPOS else int(text),
    BasicType.TCMD: lambda text: TCMD[text] if text in TCMD else int(text),
    BasicType.QUALITY: _parse_quality,
    BasicType.CHECK: _parse_bits,
    BasicType.TRG_OPS: _parse_bits,
    BasicType.OPT_FLDS: _parse_bits,
    BasicType.SV_OPT_FLDS: _parse_bits,
    BasicType.OCTET_6: bytes.fromhex,
    BasicType.OCTET_16: bytes.fromhex,
    BasicType.OCTET_64: bytes.fromhex,
    BasicType.PHY_COM_ADDR: bytes.fromhex,
    BasicType.ENTRY_ID: bytes.fromhex,
    BasicType.ENTRY_TIME: bytes.fromhex,
}
