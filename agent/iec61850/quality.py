"""Quality, the 13 bits beside every value (IEC 61850-7-3 Ed. 2.1, 6.2)."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

import msgspec

from agent.errors import DecodeError


class Validity(IntEnum):
    """Whether the value may be used; the two bits as the standard numbers them."""

    GOOD = 0
    INVALID = 1
    RESERVED = 2
    QUESTIONABLE = 3


class DetailQuality(IntFlag):
    """Why a value is invalid or questionable; bit n of the value is bit n of Quality."""

    NONE = 0
    OVERFLOW = 1 << 2
    OUT_OF_RANGE = 1 << 3
    BAD_REFERENCE = 1 << 4
    OSCILLATORY = 1 << 5
    FAILURE = 1 << 6
    OLD_DATA = 1 << 7
    INCONSISTENT = 1 << 8
    INACCURATE = 1 << 9


class Source(IntEnum):
    """Where the value comes from."""

    PROCESS = 0
    SUBSTITUTED = 1


_DETAIL_MASK: Final = 0x3FC
_SOURCE: Final = 1 << 10
_TEST: Final = 1 << 11
_OPERATOR_BLOCKED: Final = 1 << 12
_DERIVED: Final = 1 << 13
_BITS: Final = 13


class Quality(msgspec.Struct, frozen=True):
    """Quality of a value.

    Two encodings exist. MMS and GOOSE carry a bit string whose first bit is bit 0
    (IEC 61850-8-1 Ed. 2.1, 8.1.3.8); sampled values carry a 32-bit word whose least
    significant bit is bit 0 (IEC 61850-9-2), with bit 13 for "derived" in 9-2LE.
    """

    validity: Validity = Validity.GOOD
    detail: DetailQuality = DetailQuality.NONE
    source: Source = Source.PROCESS
    test: bool = False
    operator_blocked: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the value may be acted on in normal operation: good and not a test."""
        return self.validity is Validity.GOOD and not self.test

    def to_word(self) -> int:
        """The 13 bits as a number, validity in the two lowest bits: the sampled value word."""
        return (
            int(self.validity)
            | int(self.detail)
            | (_SOURCE if self.source else 0)
            | (_TEST if self.test else 0)
            | (_OPERATOR_BLOCKED if self.operator_blocked else 0)
        )

    @classmethod
    def from_word(cls, word: int) -> Quality:
        """Quality of a sampled value word; bits above 12 (derived, padding) are not Quality."""
        return cls(
            Validity(word & 3),
            DetailQuality(word & _DETAIL_MASK),
            Source(word >> 10 & 1),
            bool(word & _TEST),
            bool(word & _OPERATOR_BLOCKED),
        )

    def to_bit_string(self) -> bytes:
        """Two octets, the first bit is bit 0, the last three bits are unused (MMS, GOOSE)."""
        word = self.to_word()
        bits = (word & 1) << 1 | (word >> 1 & 1) | (word & ~3)
        reversed_bits = sum((bits >> n & 1) << (15 - n) for n in range(_BITS))
        return reversed_bits.to_bytes(2, "big")

    @classmethod
    def from_bit_string(cls, octets: bytes) -> Quality:
        """Quality of the two content octets of a 13-bit string.

        Raises:
            DecodeError: Not two octets.
        """
        if len(octets) != 2:
            raise DecodeError(f"quality is a string of 13 bits, not {len(octets)} octets")
        number = int.from_bytes(octets, "big")
        bits = sum((number >> (15 - n) & 1) << n for n in range(_BITS))
        return cls.from_word((bits & 1) << 1 | (bits >> 1 & 1) | (bits & ~3))

    @classmethod
    def invalid(cls, detail: DetailQuality = DetailQuality.FAILURE) -> Quality:
        """Quality of a value that must not be used, with its reason."""
        return cls(Validity.INVALID, detail)

    @classmethod
    def questionable(cls, detail: DetailQuality = DetailQuality.OLD_DATA) -> Quality:
        """Quality of a value that is old or doubtful, with its reason."""
        return cls(Validity.QUESTIONABLE, detail)


def is_derived(word: int) -> bool:
    """Whether a 9-2LE quality word says that the value is calculated, not measured (bit 13)."""
    return bool(word & _DERIVED)


GOOD: Final = Quality()
