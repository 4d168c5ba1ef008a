"""Bit-packed streams (EXI 1.0, clause 7): most significant bit first, no alignment."""

from __future__ import annotations

import struct
from typing import Final

from agent.exi.errors import ExiDecodeError

MAX_BITS: Final = 32
"""Widest field that `BitReader.bits` reads at once."""
_FLUSH_BITS: Final = 512
_MAX_INTEGER_OCTETS: Final = 10
"""Octets of a 64-bit Unsigned Integer; no ISO 15118 type is wider."""
_MASKS: Final = tuple((1 << n) - 1 for n in range(MAX_BITS + 1))


class BitWriter:
    """Collects fields; the open bits are kept in one integer that never grows large."""

    __slots__ = ("_count", "_done", "_open")

    def __init__(self) -> None:
        self._open = 0
        self._count = 0
        self._done = bytearray()

    def bits(self, value: int, count: int) -> None:
        """Append the `count` lowest bits of `value`, which must not be wider."""
        self._open = self._open << count | value
        self._count += count
        if self._count > _FLUSH_BITS:
            self._flush()

    def unsigned(self, value: int) -> None:
        """Append an Unsigned Integer (7.1.6): 7 bits an octet, least significant first."""
        while value > 0x7F:
            self.bits(value & 0x7F | 0x80, 8)
            value >>= 7
        self.bits(value, 8)

    def octets(self, data: bytes) -> None:
        """Append whole octets."""
        self.bits(int.from_bytes(data, "big"), 8 * len(data))

    def finish(self) -> bytes:
        """Return the stream, padded with zero bits to a whole octet."""
        self.bits(0, -self._count % 8)
        self._flush()
        return bytes(self._done)

    def _flush(self) -> None:
        rest = self._count % 8
        whole = self._count // 8
        self._done += (self._open >> rest).to_bytes(whole, "big")
        self._open &= _MASKS[rest]
        self._count = rest


class BitReader:
    """Reads fields in constant time each, however long the stream is.

    Args:
        data: The whole stream.
        start: First bit to read.
    """

    __slots__ = ("_data", "_end", "_words", "position")

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = data
        self._end = 8 * len(data)
        self.position = start
        # 64-bit words that start every 32 bits: any field of 32 bits lies within one of them.
        count = len(data) // 8 + 2
        padded = data.ljust(8 * count + 4, b"\0")
        words = [0] * (2 * count)
        words[0::2] = struct.unpack_from(f">{count}Q", padded)
        words[1::2] = struct.unpack_from(f">{count}Q", padded, 4)
        self._words = words

    @property
    def remaining(self) -> int:
        """Bits that are left."""
        return self._end - self.position

    def bits(self, count: int) -> int:
        """Return the next `count` ≤ 32 bits.

        Raises:
            ExiDecodeError: The stream ends before.
        """
        start = self.position
        self.position = end = start + count
        if end > self._end:
            raise ExiDecodeError("the stream ends too early")
        return self._words[start >> 5] >> (64 - (start & 31) - count) & _MASKS[count]

    def unsigned(self) -> int:
        """Return an Unsigned Integer (7.1.6).

        Raises:
            ExiDecodeError: Wider than any type of ISO 15118, or the stream ends before.
        """
        octet = self.bits(8)
        if octet < 0x80:
            return octet
        value = octet & 0x7F
        for shift in range(7, 7 * _MAX_INTEGER_OCTETS, 7):
            octet = self.bits(8)
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                return value
        raise ExiDecodeError("an integer is wider than 64 bits")

    def octets(self, count: int) -> bytes:
        """Return the next `count` whole octets.

        Raises:
            ExiDecodeError: The stream ends before; nothing is allocated for what is not there.
        """
        if 8 * count > self.remaining:
            raise ExiDecodeError(f"{count} octets are announced, {self.remaining // 8} are left")
        first, shift = divmod(self.position, 8)
        self.position += 8 * count
        if not shift:
            return self._data[first : first + count]
        window = int.from_bytes(self._data[first : first + count + 1], "big") >> (8 - shift)
        return (window & ((1 << 8 * count) - 1)).to_bytes(count, "big")
