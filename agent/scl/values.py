"""Val text to typed values (IEC 61850-6 Ed. 2.1, 9.5.4.2, table 46), as tolerant as files need."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from agent.iec61850 import BasicType, Quality, TimeQuality, Timestamp
from agent.iec61850.basic_types import (
    DBPOS,
    FLOAT_TYPES,
    INTEGER_RANGE,
    OCTET_LENGTH,
    STRING_LENGTH,
    TCMD,
)
from agent.scl.live import DataAttribute

TypedValue = bool | int | float | str | bytes | Quality | Timestamp

_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_BITS = re.compile(r"[01]+", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[ -]?)*", re.ASCII)
_BOOLEAN: Final = {"true": True, "false": False, "1": True, "0": False}
_BIT_STRING_LENGTH: Final = {
    BasicType.CHECK: 2,
    BasicType.TRG_OPS: 6,
    BasicType.OPT_FLDS: 10,
    BasicType.SV_OPT_FLDS: 5,
    BasicType.LOG_OPT_FLDS: 1,
}


def initial(attribute: DataAttribute, s_group: int = 0) -> TypedValue | None:
    """The value that a leaf attribute starts with.

    Args:
        attribute: A leaf of the live model.
        s_group: Setting group, for attributes with fc SG or SE; a group without a value of its
            own takes the one for every group, or the first.

    Returns:
        None where the file sets nothing, or text that is no value of the type: `check` reports
        it and the attribute starts as its type's zero.
    """
    text = initial_text(attribute, s_group)
    if text is None:
        return None
    try:
        return parse_value(attribute, text)
    except ValueError:
        return None


def initial_text(attribute: DataAttribute, s_group: int = 0) -> str | None:
    """The Val text that applies to a setting group, None where there is none."""
    values = attribute.values
    if not values:
        return None
    for wanted in (s_group, 0):
        for value in values:
            if value.s_group == wanted:
                return value.text
    return values[0].text


def parse_value(attribute: DataAttribute, text: str) -> TypedValue | None:
    """The typed value of Val text; None for the empty text of a type that has no empty value.

    Booleans may be written 0 and 1, enumerations as their ordinal.

    Returns:
        bool; int for integers, Enum ordinals, Dbpos, Tcmd and bit strings (first bit highest);
        float; str; bytes; Quality; Timestamp.

    Raises:
        ValueError: The text is no value of the type; the message says why.
    """
    b_type = attribute.b_type
    if b_type in STRING_LENGTH:
        return _string(b_type, text)
    text = text.strip()
    if not text:
        return None
    if b_type in INTEGER_RANGE:
        return _integer(b_type, text)
    if b_type in FLOAT_TYPES:
        return _float(b_type, text)
    if b_type is BasicType.ENUM:
        return _enum(attribute, text)
    if b_type in OCTET_LENGTH:
        return _octets(b_type, text)
    if b_type in _BIT_STRING_LENGTH:
        return _bits(b_type, text)
    parse = _OTHERS.get(b_type)
    if parse is None:
        raise ValueError(f"a {b_type} has no Val")
    return parse(text)


def _string(b_type: BasicType, text: str) -> str:
    if len(text) > STRING_LENGTH[b_type]:
        raise ValueError(f"{len(text)} characters do not fit {b_type}")
    return text


def _integer(b_type: BasicType, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is no integer")
    least, greatest = INTEGER_RANGE[b_type]
    number = int(text)
    if not least <= number <= greatest:
        raise ValueError(f"{number} is outside {b_type} ({least} to {greatest})")
    return number


def _float(b_type: BasicType, text: str) -> float:
    try:
        number = float(text.replace("_", "?"))
        if b_type is BasicType.FLOAT32 and math.isfinite(number):
            struct.pack(">f", number)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    except OverflowError:
        raise ValueError(f"{text} does not fit {b_type}") from None
    return number


def _enum(attribute: DataAttribute, text: str) -> int:
    values = {} if attribute.enum is None else attribute.enum.values
    if text in values:
        return values[text]
    if _INTEGER.fullmatch(text):
        ordinal = int(text)
        if attribute.enum is None or ordinal in attribute.enum.ordinals:
            return ordinal
    known = ", ".join(list(values)[:12])
    raise ValueError(f"{text!r} is not in enumeration {attribute.type_id!r} ({known})")


def _octets(b_type: BasicType, text: str) -> bytes:
    octets = bytes.fromhex(re.sub("[ -]", "", text)) if _HEX.fullmatch(text) else text.encode()
    if len(octets) > OCTET_LENGTH[b_type]:
        raise ValueError(f"{len(octets)} octets do not fit {b_type}")
    return octets


def _bits(b_type: BasicType, text: str) -> int:
    length = _BIT_STRING_LENGTH[b_type]
    if not _BITS.fullmatch(text) or len(text) > length:
        raise ValueError(f"{text!r} is no string of {length} bits")
    return int(text.ljust(length, "0"), 2)


def _boolean(text: str) -> bool:
    value = _BOOLEAN.get(text.lower())
    if value is None:
        raise ValueError(f"{text!r} is neither true nor false")
    return value


def _two_bits(names: dict[str, int]) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.lower() in names:
            return names[text.lower()]
        if len(text) == 2 and _BITS.fullmatch(text):
            return int(text, 2)
        if text in ("0", "1", "2", "3"):
            return int(text)
        raise ValueError(f"{text!r} is none of {', '.join(names)}")

    return parse


def _quality(text: str) -> Quality:
    if _BITS.fullmatch(text) and len(text) == 13:
        return Quality.from_bit_string((int(text, 2) << 3).to_bytes(2, "big"))
    if _INTEGER.fullmatch(text) and int(text) == 0:
        return Quality()
    raise ValueError(f"{text!r} is no quality of 13 bits")


def _timestamp(text: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date and time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    t_utc_ns = (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000
    return Timestamp.from_utc_ns(t_utc_ns, TimeQuality(accuracy_bits=31))


_OTHERS: Final[dict[BasicType, Callable[[str], TypedValue]]] = {
    BasicType.BOOLEAN: _boolean,
    BasicType.DBPOS: _two_bits(DBPOS),
    BasicType.TCMD: _two_bits(TCMD),
    BasicType.QUALITY: _quality,
    BasicType.TIMESTAMP: _timestamp,
    BasicType.ENTRY_TIME: _timestamp,
}
