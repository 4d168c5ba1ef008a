"""Numbers in 16-bit registers, both ways (Modbus Application Protocol V1.1b3, 4.2; SunSpec 2.1).

A register is big-endian on the wire. What is longer than one register has an order of its words,
most significant first ("big", SunSpec and most devices) or last ("little").
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

WordOrder = Literal["big", "little"]
Raw = int | float | str


class Kind(StrEnum):
    """What registers hold."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"

    @property
    def is_float(self) -> bool:
        """Whether it is an IEEE 754 number."""
        return self in (Kind.FLOAT32, Kind.FLOAT64)

    @property
    def is_signed(self) -> bool:
        """Whether it can be negative."""
        return self.is_float or self.value.startswith("int")


_FORMATS: Final = {
    Kind.INT16: ">h", Kind.UINT16: ">H", Kind.INT32: ">i", Kind.UINT32: ">I",
    Kind.INT64: ">q", Kind.UINT64: ">Q", Kind.FLOAT32: ">f", Kind.FLOAT64: ">d",
}  # fmt: skip
SIZES: Final = {kind: struct.calcsize(text) // 2 for kind, text in _FORMATS.items()}
"""Registers of each numeric kind."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one value lies in its registers.

    Attributes:
        kind: What they hold. `size`: how many there are.
        words: Which word of a longer number comes first.
        absent: The raw value that means "not implemented"; None where there is none. A float that
            is not a number is absent in any case.
    """

    kind: Kind
    size: int
    words: WordOrder = "big"
    absent: int | None = None

    def decode(self, registers: Sequence[int]) -> Raw | None:
        """Return the raw value of `size` registers; None where the device has none.

        Raises:
            ValueError: Another number of registers, or one that is no 16-bit number.
        """
        if len(registers) != self.size:
            raise ValueError(f"{self.kind} needs {self.size} registers, got {len(registers)}")
        if not all(0 <= register <= 0xFFFF for register in registers):
            raise ValueError("a register has 16 bits")
        if self.kind is Kind.STRING:
            return _text(b"".join(register.to_bytes(2, "big") for register in registers))
        ordered = registers if self.words == "big" else registers[::-1]
        data = b"".join(register.to_bytes(2, "big") for register in ordered)
        if self.absent is not None and int.from_bytes(data, "big") == self.absent:
            return None
        value: int | float = struct.unpack(_FORMATS[self.kind], data)[0]
        return value if math.isfinite(value) else None

    def encode(self, value: Raw) -> tuple[int, ...]:
        """Return the registers of a raw value.

        Raises:
            ValueError: It does not fit, or is the value that means "not implemented".
        """
        if self.kind is Kind.STRING:
            return _registers(_padded(str(value), self.size))
        if isinstance(value, str):
            raise ValueError(f"{value!r} is no number")  # noqa: TRY004 - one error for what cannot be
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be sent")
        try:
            data = struct.pack(_FORMATS[self.kind], value if self.kind.is_float else round(value))
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{value} does not fit into {self.kind}") from error
        if self.absent is not None and int.from_bytes(data, "big") == self.absent:
            raise ValueError(f"{value} means 'not implemented' in {self.kind}")
        words = _registers(data)
        return words if self.words == "big" else words[::-1]


def encoding(kind: Kind, words: WordOrder = "big", absent: int | None = None) -> Encoding:
    """Return the encoding of a numeric kind."""
    return Encoding(kind, SIZES[kind], words, absent)


def _registers(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // 2}H", data)


def _padded(text: str, size: int) -> bytes:
    data = text.encode()
    if len(data) > 2 * size:
        raise ValueError(f"{text!r} is longer than {2 * size} bytes")
    return data.ljust(2 * size, b"\0")


def _text(data: bytes) -> str | None:
    text = data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()
    return text or None
