"""TPKT framing seen from outside (RFC 1006, 6): counts packets, refuses what is none."""

from __future__ import annotations

from typing import Final

from agent.errors import DecodeError

_VERSION: Final = 3
_HEADER: Final = 4
_LEAST: Final = 7
"""A TPKT holds at least the three octets of a COTP data TPDU."""


class Framing:
    """Follows one direction of a stream without keeping its content.

    Attributes:
        packets: Whole TPKTs seen.
    """

    def __init__(self) -> None:
        self.packets = 0
        self._header = b""
        self._missing = 0

    def feed(self, data: bytes) -> int:
        """Follow some octets; return how many packets they completed.

        Raises:
            DecodeError: The octets are no TPKT stream.
        """
        before, offset = self.packets, 0
        while offset < len(data):
            if self._missing:
                step = min(self._missing, len(data) - offset)
                self._missing -= step
                offset += step
                self.packets += not self._missing
                continue
            take = _HEADER - len(self._header)
            self._header += data[offset : offset + take]
            offset += take
            if len(self._header) == _HEADER:
                self._missing = _length(self._header) - _HEADER
                self._header = b""
        return self.packets - before


def _length(header: bytes) -> int:
    length = int.from_bytes(header[2:4], "big")
    if header[0] != _VERSION or length < _LEAST:
        raise DecodeError(f"no TPKT header: {header.hex()}")
    return length
