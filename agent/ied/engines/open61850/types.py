"""MMS types of basic types, and values both ways (IEC 61850-8-1 Ed. 2.1, 8.1.2 and 8.1.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from open61850.data import (
    BitStringData,
    BoolData,
    FloatData,
    IECData,
    IntData,
    MmsStringData,
    OctetStringData,
    RawData,
    TimestampData,
    UIntData,
    VisibleStringData,
)
from open61850.mms.types import PrimitiveType

from agent.errors import DecodeError
from agent.iec61850 import BasicType, Quality, TimeQuality, Timestamp
from agent.iec61850.basic_types import FLOAT_TYPES, INTEGER_RANGE, OCTET_LENGTH, STRING_LENGTH
from agent.ied.port import Native, number, whole
from agent.ied.values import BITS

_BINARY_TIME: Final = 0x8C
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER_BITS: Final = {"8": 8, "16": 16, "24": 32, "32": 32, "64": 64, "128": 64}
_VARIABLE_BITS: Final = frozenset({BasicType.QUALITY, BasicType.CHECK})
_CODED: Final = frozenset({BasicType.DBPOS, BasicType.TCMD})
"""CODED ENUM: the first bit is the most significant one of the ordinal."""


def mms_type(kind: BasicType) -> PrimitiveType:
    """The MMS type of a leaf; negative sizes mean "at most"."""
    if kind.startswith("INT"):
        digits = kind.removeprefix("INT").removesuffix("U")
        return PrimitiveType("unsigned" if kind.endswith("U") else "integer", _INTEGER_BITS[digits])
    if kind in BITS:
        return PrimitiveType("bit-string", -BITS[kind] if kind in _VARIABLE_BITS else BITS[kind])
    if kind is BasicType.UNICODE_255:
        return PrimitiveType("mms-string", -255)
    if kind in STRING_LENGTH:
        return PrimitiveType("visible-string", -STRING_LENGTH[kind])
    if kind in OCTET_LENGTH:
        fixed = kind in (BasicType.ENTRY_ID, BasicType.PHY_COM_ADDR)
        return PrimitiveType("octet-string", OCTET_LENGTH[kind] * (1 if fixed else -1))
    return _OTHERS[kind]


_OTHERS: Final = {
    BasicType.BOOLEAN: PrimitiveType("boolean"),
    BasicType.ENUM: PrimitiveType("integer", 8),
    BasicType.FLOAT32: PrimitiveType("float", 32),
    BasicType.FLOAT64: PrimitiveType("float", 64),
    BasicType.TIMESTAMP: PrimitiveType("utc-time"),
    BasicType.ENTRY_TIME: PrimitiveType("binary-time"),
}


def to_data(kind: BasicType, value: Native) -> IECData:
    """A value in the MMS form of its type."""
    if isinstance(value, Quality):
        return BitStringData(value.to_bit_string(), 3)
    if isinstance(value, Timestamp):
        return utc_time(value)
    if kind is BasicType.BOOLEAN:
        return BoolData(bool(value))
    if kind in FLOAT_TYPES:
        return FloatData(number(value), double=kind is BasicType.FLOAT64)
    if kind in _CODED:
        return BitStringData(bytes((whole(value) << 6,)), 6)
    if kind in BITS:
        return bit_string(whole(value), BITS[kind])
    if isinstance(value, bytes):
        is_time = kind is BasicType.ENTRY_TIME
        return RawData(_BINARY_TIME, value) if is_time else OctetStringData(value)
    if isinstance(value, str):
        return MmsStringData(value) if kind is BasicType.UNICODE_255 else VisibleStringData(value)
    return UIntData(int(value)) if kind.endswith("U") else IntData(int(value))


def to_native(kind: BasicType, data: IECData) -> Native:
    """The value of MMS data for a leaf of that type.

    Raises:
        DecodeError: The data has another type.
    """
    if kind is BasicType.QUALITY and isinstance(data, BitStringData):
        return Quality.from_bit_string(data.value)
    if kind in _CODED and isinstance(data, BitStringData):
        return data.value[0] >> 6 if data.value else 0
    if kind in BITS and isinstance(data, BitStringData):
        return _from_bits(data)
    if kind is BasicType.TIMESTAMP and isinstance(data, TimestampData):
        return _timestamp(data)
    if kind is BasicType.ENTRY_TIME and isinstance(data, RawData):
        return data.value
    value = getattr(data, "value", None) if isinstance(data, _accepted(kind)) else None
    if isinstance(value, bool | int | float | str | bytes):
        return value
    raise DecodeError(f"{data!r} is no {kind}")


def _accepted(kind: BasicType) -> tuple[type, ...]:
    """The MMS types that a client may send for a leaf whose value is one number or text."""
    if kind is BasicType.BOOLEAN:
        return (BoolData,)
    if kind in FLOAT_TYPES:
        return (FloatData,)
    if kind in INTEGER_RANGE or kind is BasicType.ENUM:
        return (UIntData, IntData) if kind.endswith("U") else (IntData,)
    if kind is BasicType.UNICODE_255:
        return (MmsStringData, VisibleStringData)
    return (VisibleStringData,) if kind in STRING_LENGTH else (OctetStringData,)


def bit_string(word: int, bits: int) -> BitStringData:
    """An integer whose bit n is bit n of the string."""
    octets = (bits + 7) // 8
    reversed_word = sum((word >> n & 1) << (octets * 8 - 1 - n) for n in range(bits))
    return BitStringData(reversed_word.to_bytes(octets, "big"), octets * 8 - bits)


def _from_bits(data: BitStringData) -> int:
    bits = len(data.value) * 8 - data.unused_bits
    number = int.from_bytes(data.value, "big") >> data.unused_bits
    return sum((number >> (bits - 1 - n) & 1) << n for n in range(bits))


def utc_time(value: Timestamp) -> TimestampData:
    """A timestamp as MMS and GOOSE carry it."""
    moment = _EPOCH + timedelta(seconds=value.seconds, microseconds=value.fraction * 1e6 / 2**24)
    return TimestampData(moment, value.quality.to_octet())


def _timestamp(data: TimestampData) -> Timestamp:
    moment = data.value if data.value.tzinfo else data.value.replace(tzinfo=UTC)
    t_utc_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return Timestamp.from_utc_ns(t_utc_ns, TimeQuality.from_octet(data.quality))
