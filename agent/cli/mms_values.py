"""MMS data as people and JSON read it, and text as MMS data of a known type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from open61850.data import (
    ArrayData,
    BitStringData,
    BoolData,
    FloatData,
    IECData,
    IntData,
    MmsStringData,
    OctetStringData,
    RawData,
    StructureData,
    TimestampData,
    UIntData,
    VisibleStringData,
)
from open61850.mms import DataAccessError
from open61850.mms.types import ArrayType, MmsType, PrimitiveType, StructureType

from agent.errors import ConfigurationError, Finding
from agent.iec61850 import Quality

_QUALITY_BITS: Final = 13
_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})


def plain(data: IECData | DataAccessError, kind: MmsType | None = None) -> Any:
    """A value of JSON's types; structures become objects where their type is known."""
    if isinstance(data, DataAccessError):
        return {"error": str(data)}
    if isinstance(data, StructureData):
        if isinstance(kind, StructureType) and len(kind.components) == len(data.members):
            pairs = zip(kind.components, data.members, strict=True)
            return {name: plain(member, below) for (name, below), member in pairs}
        return [plain(member) for member in data.members]
    if isinstance(data, ArrayData):
        below = kind.element if isinstance(kind, ArrayType) else None
        return [plain(element, below) for element in data.elements]
    if isinstance(data, BitStringData):
        return _bits(data)
    if isinstance(data, TimestampData):
        return data.value.isoformat(timespec="microseconds")
    if isinstance(data, OctetStringData | RawData):
        return data.value.hex()
    return data.value


def lines(name: str, value: Any, indent: str = "") -> list[str]:
    """A value of `plain` as indented lines."""
    if isinstance(value, dict) and value and "error" not in value:
        inside = [line for key, item in value.items() for line in lines(key, item, indent + "  ")]
        return [f"{indent}{name}", *inside]
    if isinstance(value, list):
        numbered = enumerate(value)
        inside = [line for n, item in numbered for line in lines(f"[{n}]", item, indent + "  ")]
        return [f"{indent}{name}", *inside]
    shown = f"refused: {value['error']}" if isinstance(value, dict) and value else value
    return [f"{indent}{name} = {shown}"]


def parse(text: str, kind: MmsType, name: str) -> IECData:
    """Text as data of a type; an analogue value may be given as its one number.

    Raises:
        ConfigurationError: The text is no such value.
    """
    if isinstance(kind, StructureType) and len(kind.components) == 1:
        return StructureData([parse(text, kind.components[0][1], name)])
    if not isinstance(kind, PrimitiveType):
        raise _bad(name, text, "a structure; write its members one by one")
    try:
        return _primitive(text, kind)
    except (ValueError, KeyError):
        raise _bad(name, text, kind.kind) from None


def _primitive(text: str, kind: PrimitiveType) -> IECData:
    if kind.kind == "boolean":
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(text)
        return BoolData(text.lower() in _TRUE)
    if kind.kind == "bit-string":
        octets = (len(text) + 7) // 8
        padding = octets * 8 - len(text)
        return BitStringData((int(text, 2) << padding).to_bytes(octets, "big"), padding)
    if kind.kind == "utc-time":
        return TimestampData(datetime.fromisoformat(text.replace("Z", "+00:00")))
    if kind.kind == "float":
        return FloatData(float(text), double=kind.size == 64)
    makers: dict[str, Callable[[], IECData]] = {
        "integer": lambda: IntData(int(text)),
        "unsigned": lambda: UIntData(int(text)),
        "octet-string": lambda: OctetStringData(bytes.fromhex(text)),
        "visible-string": lambda: VisibleStringData(text),
        "mms-string": lambda: MmsStringData(text),
    }
    return makers[kind.kind]()


def _bits(data: BitStringData) -> Any:
    count = len(data.value) * 8 - data.unused_bits
    if count == _QUALITY_BITS:
        return quality_text(Quality.from_bit_string(data.value))
    number = int.from_bytes(data.value, "big") >> data.unused_bits
    return f"{number:0{count}b}" if count else ""


def quality_text(quality: Quality) -> str:
    """Quality in words: ``good``, ``invalid oldData``, ``questionable oldData test``."""
    words = [quality.validity.name.lower()]
    names = {
        "OVERFLOW": "overflow",
        "OUT_OF_RANGE": "outOfRange",
        "BAD_REFERENCE": "badReference",
        "OSCILLATORY": "oscillatory",
        "FAILURE": "failure",
        "OLD_DATA": "oldData",
        "INCONSISTENT": "inconsistent",
        "INACCURATE": "inaccurate",
    }
    words += [word for name, word in names.items() if name in {f.name for f in quality.detail}]
    words += ["substituted"] if quality.source else []
    words += ["test"] if quality.test else []
    words += ["operatorBlocked"] if quality.operator_blocked else []
    return " ".join(words)


def _bad(name: str, text: str, expected: str) -> ConfigurationError:
    return ConfigurationError((Finding(name, f"{text!r} is no {expected}"),))
