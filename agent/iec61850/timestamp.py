"""Timestamp: UTC seconds, binary fraction and time quality (IEC 61850-7-2 Ed. 2.1, 6.2.3.7)."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.errors import DecodeError

_NS: Final = 1_000_000_000
_FRACTION: Final = 1 << 24
_LEAP_SECONDS_KNOWN: Final = 0x80
_CLOCK_FAILURE: Final = 0x40
_CLOCK_NOT_SYNCHRONISED: Final = 0x20
UNSPECIFIED_ACCURACY: Final = 31


class TimeQuality(msgspec.Struct, frozen=True):
    """Whether the time of a value may be trusted (IEC 61850-8-1 Ed. 2.1, 8.1.3.7).

    Attributes:
        leap_seconds_known: The clock has counted every leap second.
        clock_failure: The time source of the device has failed.
        clock_not_synchronised: The device has lost its outer time source.
        accuracy_bits: Number of fraction bits that are exact, 0 to 24; 31 is unspecified.
    """

    leap_seconds_known: bool = True
    clock_failure: bool = False
    clock_not_synchronised: bool = False
    accuracy_bits: int = 10

    @property
    def accuracy_s(self) -> float | None:
        """Time accuracy in seconds, 2 to the power of -n; None where it is unspecified."""
        return None if self.accuracy_bits > 24 else 2.0**-self.accuracy_bits

    def to_octet(self) -> int:
        """The eighth octet of a timestamp."""
        return (
            (_LEAP_SECONDS_KNOWN if self.leap_seconds_known else 0)
            | (_CLOCK_FAILURE if self.clock_failure else 0)
            | (_CLOCK_NOT_SYNCHRONISED if self.clock_not_synchronised else 0)
            | (self.accuracy_bits & 0x1F)
        )

    @classmethod
    def from_octet(cls, octet: int) -> TimeQuality:
        """Time quality of the eighth octet."""
        return cls(
            bool(octet & _LEAP_SECONDS_KNOWN),
            bool(octet & _CLOCK_FAILURE),
            bool(octet & _CLOCK_NOT_SYNCHRONISED),
            octet & 0x1F,
        )


class Timestamp(msgspec.Struct, frozen=True):
    """A UTC time as the wire has it: lossless both ways.

    Attributes:
        seconds: Seconds since 1970-01-01T00:00:00 UTC, 0 to 2**32 - 1.
        fraction: Fraction of a second in units of 2**-24 s, 0 to 2**24 - 1.
        quality: Whether the time may be trusted.
    """

    seconds: int
    fraction: int = 0
    quality: TimeQuality = TimeQuality()

    @property
    def t_utc_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00 UTC, rounded to the nearest."""
        return self.seconds * _NS + (self.fraction * _NS + (_FRACTION >> 1)) // _FRACTION

    @property
    def t_utc_s(self) -> float:
        """Seconds since 1970-01-01T00:00:00 UTC; exact to about 0.2 µs."""
        return self.seconds + self.fraction / _FRACTION

    @classmethod
    def from_utc_ns(cls, t_utc_ns: int, quality: TimeQuality | None = None) -> Timestamp:
        """The nearest timestamp to a UTC time in nanoseconds.

        Raises:
            ValueError: Before 1970 or after 2106, where the 32-bit seconds end.
        """
        ticks = (t_utc_ns * _FRACTION + (_NS >> 1)) // _NS
        seconds, fraction = divmod(ticks, _FRACTION)
        if not 0 <= seconds < 1 << 32:
            raise ValueError(f"{t_utc_ns} ns is outside the timestamp's 1970 to 2106")
        return cls(seconds, fraction, quality or TimeQuality())

    def to_octets(self) -> bytes:
        """The eight octets of MMS UtcTime, GOOSE ``t`` and sampled value ``refrTm``."""
        return (
            self.seconds.to_bytes(4, "big")
            + self.fraction.to_bytes(3, "big")
            + bytes((self.quality.to_octet(),))
        )

    @classmethod
    def from_octets(cls, octets: bytes) -> Timestamp:
        """The timestamp of eight octets.

        Raises:
            DecodeError: Not eight octets.
        """
        if len(octets) != 8:
            raise DecodeError(f"a timestamp has 8 octets, not {len(octets)}")
        return cls(
            int.from_bytes(octets[:4], "big"),
            int.from_bytes(octets[4:7], "big"),
            TimeQuality.from_octet(octets[7]),
        )
