"""Blocks of a pcapng file (draft-ietf-opsawg-pcapng).

Enhanced and simple packet blocks carry frames; interface descriptions give link type, resolution
and offset of the time stamps. Every other block is skipped by its length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agent.processbus.frames import UNTAGGED, ByteArray, Frames

SECTION_HEADER: Final = b"\x0a\x0d\x0d\x0a"
_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6
_BYTE_ORDER_LITTLE: Final = b"\x4d\x3c\x2b\x1a"
_BYTE_ORDER_BIG: Final = b"\x1a\x2b\x3c\x4d"
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14
_ETHERNET: Final = 1
_SHORTEST_BLOCK: Final = 12
_LONGEST_BLOCK: Final = 1 << 20
_SHORTEST_RUN: Final = 16
_PACKET_HEADER: Final = 28


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of a section.

    Attributes:
        ethernet: Its frames are Ethernet frames.
        ticks_per_s: Resolution of its time stamps.
        offset_s: Added to them.
    """

    ethernet: bool
    ticks_per_s: int = 1_000_000
    offset_s: int = 0

    def time_ns(self, ticks: np.ndarray) -> np.ndarray:
        """Return time stamps in nanoseconds of UTC."""
        whole, part = np.divmod(ticks, self.ticks_per_s)
        fraction = part * (1_000_000_000 / self.ticks_per_s)
        return (whole + self.offset_s) * 1_000_000_000 + np.rint(fraction).astype(np.int64)


@dataclass(slots=True)
class BlockFormat:
    """Reads blocks; remembers byte order and interfaces of the section."""

    order: str = "<"
    interfaces: list[Interface] = field(default_factory=list)

    def read(self, buffer: ByteArray, end: int) -> tuple[list[Frames], int]:
        """Return the frames of the whole blocks before `end`, and where the rest begins."""
        found: list[Frames] = []
        at = 0
        while at + _SHORTEST_BLOCK <= end:
            kind, length = self._block(buffer, at)
            if length < _SHORTEST_BLOCK or length % 4 or length > _LONGEST_BLOCK:
                break
            if at + length > end:
                break
            count = 1
            if kind == _ENHANCED_PACKET and length >= _PACKET_HEADER + 4:
                count = self._run(buffer, at, end, length)
                found += self._packets(buffer, at, length, count)
            elif kind == _INTERFACE:
                self.interfaces.append(self._interface(buffer[at : at + length].tobytes()))
            elif kind == _SIMPLE_PACKET:
                found += self._simple(buffer, at, length)
            at += length * count
        return found, at

    def _block(self, buffer: ByteArray, at: int) -> tuple[int, int]:
        """Type and length of a block; a section header also sets the byte order."""
        head = buffer[at : at + 12].tobytes()
        if head[:4] == SECTION_HEADER:
            order = {_BYTE_ORDER_LITTLE: "<", _BYTE_ORDER_BIG: ">"}.get(head[8:12])
            if order is None:
                return _SECTION, 0
            self.order = order
            self.interfaces = []
        kind, length = struct.unpack(f"{self.order}II", head[:8])
        return kind, length

    def _interface(self, block: bytes) -> Interface:
        (link_type,) = struct.unpack_from(f"{self.order}H", block, 8)
        ticks_per_s, offset_s = 1_000_000, 0
        at = 16
        while at + 4 <= len(block) - 4:
            code, size = struct.unpack_from(f"{self.order}HH", block, at)
            value = block[at + 4 : at + 4 + size]
            if code == 0 or at + 4 + size > len(block) - 4:
                break
            if code == _OPTION_RESOLUTION and size == 1:
                ticks_per_s = _resolution(value[0])
            elif code == _OPTION_OFFSET and size == 8:
                (offset_s,) = struct.unpack(f"{self.order}q", value)
            at += 4 + size + (-size) % 4
        return Interface(link_type == _ETHERNET, ticks_per_s, offset_s)

    def _run(self, buffer: ByteArray, at: int, end: int, length: int) -> int:
        """How many blocks from `at` on have the same type and length."""
        most = (end - at) // length
        second = at + length
        if most < _SHORTEST_RUN or (buffer[second : second + 8] != buffer[at : at + 8]).any():
            return 1
        heads = np.ndarray((most,), dtype="u8", buffer=buffer.data, offset=at, strides=(length,))
        same = heads == heads[0]
        return most if same.all() else int(np.argmin(same))

    def _packets(self, buffer: ByteArray, at: int, length: int, count: int) -> list[Frames]:
        start = at + length * np.arange(count, dtype=np.int64)
        fields = np.ndarray(
            (count, 5),
            dtype=f"{self.order}u4",
            buffer=buffer.data,
            offset=at + 8,
            strides=(length, 4),
        ).astype(np.int64)
        ticks = fields[:, 1] << 32 | fields[:, 2]
        fits = fields[:, 3] <= length - _PACKET_HEADER - 4
        found = []
        for number in np.unique(fields[fits, 0]).tolist():
            if number >= len(self.interfaces) or not self.interfaces[number].ethernet:
                continue
            which = fits & (fields[:, 0] == number)
            found.append(
                Frames(
                    buffer,
                    start[which] + _PACKET_HEADER,
                    fields[which, 3],
                    self.interfaces[number].time_ns(ticks[which]),
                    np.full(int(which.sum()), UNTAGGED),
                )
            )
        return found

    def _simple(self, buffer: ByteArray, at: int, length: int) -> list[Frames]:
        """A simple packet block has no time stamp: the frame is taken at 1970."""
        if not self.interfaces or not self.interfaces[0].ethernet or length < 16:
            return []
        (size,) = struct.unpack_from(f"{self.order}I", buffer[at : at + 12].tobytes(), 8)
        one = np.ones(1, dtype=np.int64)
        captured = one * min(size, length - 16)
        return [Frames(buffer, one * (at + 12), captured, one * 0, one * UNTAGGED)]


def _resolution(value: int) -> int:
    """Ticks per second of if_tsresol: a power of ten, or of two with the upper bit set."""
    exponent = value & 0x7F
    if value & 0x80:
        return 1 << min(exponent, 40)
    return int(10 ** min(exponent, 12))
