"""Values ↔ bits (EXI 1.0, clause 7.1), in the JSON mapping that callers see.

Integers are `int`, booleans `bool`, everything else `str`: enumerations by their literal,
base64Binary as base64 text, hexBinary as upper-case hexadecimal. Types are strict: `"1"` is not 1.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from agent.exi.bits import BitReader, BitWriter
from agent.exi.errors import EncodeError, ExiDecodeError
from agent.exi.model import Datatype, Kind

Scalar: TypeAlias = str | int | bool
QName: TypeAlias = tuple[str, str]

_MAX_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


class StringTable:
    """Value partitions of one stream (EXI 1.0, clause 7.3.3), as a reader keeps them."""

    __slots__ = ("everywhere", "local")

    def __init__(self) -> None:
        self.everywhere: list[str] = []
        self.local: dict[QName, list[str]] = {}


class Value(Protocol):
    """How one datatype is written and read.

    `width` ≥ 0 promises a field of so many bits, and that `to_bits` and `from_bits` can be used.
    """

    width: int

    def to_bits(self, value: object) -> int:
        """Return the field of a fixed-width value, or raise `EncodeError`."""

    def from_bits(self, bits: int) -> Scalar:
        """Return the value of a fixed-width field, or raise `ExiDecodeError`."""

    def write(self, writer: BitWriter, value: object) -> None:
        """Append a value, or raise `EncodeError`."""

    def read(self, reader: BitReader, strings: StringTable, name: QName) -> Scalar:
        """Return the next value, or raise `ExiDecodeError`."""


class _Fixed:
    """Base of values that are one field of `width` bits."""

    width: int

    def to_bits(self, value: object) -> int:
        raise EncodeError(f"{value!r} cannot be written")

    def from_bits(self, bits: int) -> Scalar:
        return bits

    def write(self, writer: BitWriter, value: object) -> None:
        writer.bits(self.to_bits(value), self.width)

    def read(self, reader: BitReader, _strings: StringTable, _name: QName) -> Scalar:
        return self.from_bits(reader.bits(self.width))


class _Boolean(_Fixed):
    width = 1

    def to_bits(self, value: object) -> int:
        if value is True:
            return 1
        if value is False:
            return 0
        raise EncodeError(f"{value!r} is not a boolean")

    def from_bits(self, bits: int) -> Scalar:
        return bits == 1


class _Bounded(_Fixed):
    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high
        self.width = (high - low).bit_length()

    def to_bits(self, value: object) -> int:
        return _checked(value, self._low, self._high) - self._low

    def from_bits(self, bits: int) -> Scalar:
        value = bits + self._low
        if value > self._high:
            raise ExiDecodeError(f"{value} is above {self._high}")
        return value


class _Enumeration(_Fixed):
    def __init__(self, values: tuple[str, ...]) -> None:
        self._values = values
        self._index = {value: index for index, value in enumerate(values)}
        self.width = (len(values) - 1).bit_length()

    def to_bits(self, value: object) -> int:
        index = self._index.get(value) if isinstance(value, str) else None
        if index is None:
            raise EncodeError(f"{value!r} is not one of {', '.join(self._values[:8])}")
        return index

    def from_bits(self, bits: int) -> Scalar:
        if bits >= len(self._values):
            raise ExiDecodeError(f"value {bits} of an enumeration that has {len(self._values)}")
        return self._values[bits]


class _Variable:
    """Base of values whose length depends on the value."""

    width = -1

    def to_bits(self, value: object) -> int:
        raise EncodeError(f"{value!r} has no fixed width")

    def from_bits(self, bits: int) -> Scalar:
        raise ExiDecodeError(f"{bits} is not of fixed width")


class _Unsigned(_Variable):
    def __init__(self, low: int | None, high: int | None) -> None:
        self._low, self._high = low, high

    def write(self, writer: BitWriter, value: object) -> None:
        writer.unsigned(_checked(value, self._low, self._high))

    def read(self, reader: BitReader, _strings: StringTable, _name: QName) -> Scalar:
        return _in_range(reader.unsigned(), self._low, self._high)


class _Signed(_Unsigned):
    def write(self, writer: BitWriter, value: object) -> None:
        number = _checked(value, self._low, self._high)
        writer.bits(number < 0, 1)
        writer.unsigned(-number - 1 if number < 0 else number)

    def read(self, reader: BitReader, _strings: StringTable, _name: QName) -> Scalar:
        negative = reader.bits(1)
        magnitude = reader.unsigned()
        return _in_range(-magnitude - 1 if negative else magnitude, self._low, self._high)


class _String(_Variable):
    """Literal strings are written; hits in the string table are understood too (7.3.3)."""

    def write(self, writer: BitWriter, value: object) -> None:
        if not isinstance(value, str):
            raise EncodeError(f"{value!r} is not a string")
        writer.unsigned(len(value) + 2)
        if value.isascii():
            writer.octets(value.encode("ascii"))
            return
        for character in value:
            writer.unsigned(_code_point(character))

    def read(self, reader: BitReader, strings: StringTable, name: QName) -> Scalar:
        announced = reader.unsigned()
        if announced < 2:
            table = strings.everywhere if announced else strings.local.get(name, [])
            return _hit(reader, table)
        text = _characters(reader, announced - 2)
        if text:
            strings.everywhere.append(text)
            strings.local.setdefault(name, []).append(text)
        return text


class _Binary(_Variable):
    def __init__(self, hexadecimal: bool) -> None:
        self._hexadecimal = hexadecimal

    def write(self, writer: BitWriter, value: object) -> None:
        if not isinstance(value, str):
            raise EncodeError(f"{type(value).__name__} is not text of a binary value")
        try:
            data = (
                bytes.fromhex(value)
                if self._hexadecimal
                else base64.b64decode(value, validate=True)
            )
        except (ValueError, binascii.Error) as error:
            raise EncodeError(f"not the text of a binary value: {error}") from error
        writer.unsigned(len(data))
        writer.octets(data)

    def read(self, reader: BitReader, _strings: StringTable, _name: QName) -> Scalar:
        data = reader.octets(reader.unsigned())
        return data.hex().upper() if self._hexadecimal else base64.b64encode(data).decode("ascii")


@lru_cache(maxsize=1024)
def codec_of(datatype: Datatype) -> Value:
    """Return the codec of a datatype; equal datatypes share one."""
    match datatype.kind:
        case Kind.BOOLEAN:
            return _Boolean()
        case Kind.ENUMERATION:
            return _Enumeration(datatype.values)
        case Kind.BOUNDED:
            return _Bounded(datatype.low or 0, datatype.high or 0)
        case Kind.UNSIGNED:
            return _Unsigned(datatype.low, datatype.high)
        case Kind.SIGNED:
            return _Signed(datatype.low, datatype.high)
        case Kind.STRING:
            return _String()
        case Kind.BASE64 | Kind.HEX:
            return _Binary(datatype.kind is Kind.HEX)


def _checked(value: object, low: int | None, high: int | None) -> int:
    if type(value) is not int:
        raise EncodeError(f"{value!r} is not an integer")
    if (low is not None and value < low) or (high is not None and value > high):
        raise EncodeError(f"{value} is outside {low} to {high}")
    return value


def _in_range(value: int, low: int | None, high: int | None) -> int:
    if (low is not None and value < low) or (high is not None and value > high):
        raise ExiDecodeError(f"{value} is outside {low} to {high}")
    return value


def _code_point(character: str) -> int:
    point = ord(character)
    if point in _SURROGATES:
        raise EncodeError("a lone surrogate is not a character")
    return point


def _hit(reader: BitReader, table: list[str]) -> str:
    if not table:
        raise ExiDecodeError("a hit in an empty string table")
    index = reader.bits((len(table) - 1).bit_length())
    if index >= len(table):
        raise ExiDecodeError(f"entry {index} of a string table that has {len(table)}")
    return table[index]


def _characters(reader: BitReader, count: int) -> str:
    """Return `count` characters; ASCII, the only case in practice, is taken as octets."""
    start = reader.position
    octets = reader.octets(count)
    if octets.isascii():
        return octets.decode("ascii")
    reader.position = start
    points = [reader.unsigned() for _ in range(count)]
    if any(point > _MAX_CODE_POINT or point in _SURROGATES for point in points):
        raise ExiDecodeError("a code point that is not a character")
    return "".join(map(chr, points))
