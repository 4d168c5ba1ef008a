"""Many captured Ethernet frames as arrays over one buffer.

A capture hands over everything that waits at once; nothing below this line looks at one frame at
a time. The frames stay where they are (kernel ring, file mapping, datagram) until a decoder
copies the rows it wants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import every

ETHERTYPE_SV: Final = 0x88BA
ETHERTYPE_GOOSE: Final = 0x88B8
ETHERTYPE_VLAN: Final = 0x8100
ETHERTYPE_VLAN_STACKED: Final = 0x88A8
UNTAGGED: Final = -1
VLAN_ID: Final = 0xFFF
"""Bits of a TCI that name the VLAN."""
MAC_HEADER: Final = 14
"""Two addresses and the EtherType."""
BATCH: Final = 1 << 12
"""Frames taken at once: what is made of them stays in the second-level cache."""
MAX_FRAME: Final = 1522
MIN_FRAME: Final = 26
"""Shortest frame with APPID, length and the reserved words behind an untagged header."""
SLACK: Final = 16
"""Readable bytes behind the last frame of every buffer: rows are copied in whole words."""

ByteArray = NDArray[np.uint8]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frames:
    """Captured frames in order of arrival.

    Attributes:
        buffer: The bytes that hold them, one-dimensional, with `SLACK` bytes behind the last.
        start: Offset of each frame's destination address.
        length: Captured bytes of each frame, without FCS.
        time_ns: Time stamp of each frame, nanoseconds of UTC.
        vlan: TCI that the kernel took out of each frame, `UNTAGGED` where none.
        even: They are known to be of one length and to begin equally far apart, forwards.
    """

    buffer: ByteArray
    start: IntArray
    length: IntArray
    time_ns: IntArray
    vlan: IntArray
    even: bool = False

    def __len__(self) -> int:
        return len(self.start)

    def select(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Frames:
        """Return some of the frames."""
        return Frames(
            self.buffer,
            self.start[which],
            self.length[which],
            self.time_ns[which],
            self.vlan[which],
        )

    def octets(self, index: int) -> bytes:
        """Return one frame."""
        start = int(self.start[index])
        return self.buffer[start : start + int(self.length[index])].tobytes()

    def parts(self, *places: tuple[int, int]) -> list[ByteArray]:
        """Copy the same parts of every frame into the rows of new arrays.

        The caller knows that the frames are that long; at most `SLACK` - 1 bytes beyond them
        may be asked for, and hold anything.

        Args:
            places: Offset and width of each part.
        """
        start, count = self.start, len(self.start)
        step = int(start[1] - start[0]) if count > 1 else 1
        if self.even or (count and step > 0 and every(start[1:] - start[:-1] == step)):
            # Slots of a ring, records of a file: one stride, no index.
            first = int(start[0])
            return [
                pieces(self.buffer, first + offset, step, count, width) for offset, width in places
            ]
        return [self._gathered(start + offset, width) for offset, width in places]

    def _gathered(self, start: IntArray, width: int) -> ByteArray:
        windows = np.lib.stride_tricks.as_strided(
            self.buffer, (len(self.buffer) - width + 1, width), (1, 1), writeable=False
        )
        return windows[start]


def pieces(buffer: ByteArray, first: int, step: int, count: int, width: int) -> ByteArray:
    """Copy `count` pieces of `width` bytes, `step` bytes apart, into the rows of a new array.

    A piece is one item of a type without meaning: numpy then copies it whole instead of byte by
    byte, and reads each cache line once.
    """
    whole = np.ndarray((count,), f"V{width}", buffer.data, first, (step,)).copy()
    return whole.view(np.uint8).reshape(count, width)


_NOTHING: Final[IntArray] = np.zeros(0, dtype=np.int64)
_NO_FRAMES: Final = Frames(np.zeros(SLACK, dtype=np.uint8), _NOTHING, _NOTHING, _NOTHING, _NOTHING)


_UNTAGGED: Final[IntArray] = np.full(BATCH, UNTAGGED, dtype=np.int64)
_UNTAGGED.flags.writeable = False


def untagged(count: int) -> IntArray:
    """Return the TCIs of up to `BATCH` frames without a tag."""
    return _UNTAGGED[:count]


def empty_frames() -> Frames:
    """Return no frames."""
    return _NO_FRAMES


def frames_from_bytes(frames: Iterable[bytes], time_ns: Iterable[int]) -> Frames:
    """Return frames that are given one by one (tests, tools)."""
    parts = list(frames)
    length = np.array([len(part) for part in parts], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(length)[:-1]]) if parts else length
    buffer = np.frombuffer(b"".join(parts) + bytes(SLACK), dtype=np.uint8)
    times = np.fromiter(time_ns, dtype=np.int64, count=len(parts))
    return Frames(buffer, start.astype(np.int64), length, times, np.full(len(parts), UNTAGGED))


def ether_types(frames: Frames) -> tuple[IntArray, IntArray]:
    """Return the EtherType behind up to two VLAN tags, and where the bytes after it begin.

    Returns:
        (ethertype, payload): -1 for frames too short to have one; payload counts from the
        frame's start.
    """
    long_enough = frames.length >= MIN_FRAME
    payload = np.full(len(frames), MAC_HEADER, dtype=np.int64)
    kind = np.where(long_enough, _word(frames, payload - 2, long_enough), -1)
    for _ in range(2):
        tagged = (kind == ETHERTYPE_VLAN) | (kind == ETHERTYPE_VLAN_STACKED)
        if not tagged.any():
            break
        payload[tagged] += 4
        enough = tagged & (frames.length >= payload + 12)
        kind = np.where(tagged, np.where(enough, _word(frames, payload - 2, enough), -1), kind)
    return kind, payload


def _word(frames: Frames, offset: IntArray, valid: NDArray[np.bool_]) -> IntArray:
    at = np.where(valid, frames.start + offset, 0)
    word: IntArray = (frames.buffer[at].astype(np.int64) << 8) | frames.buffer[at + 1]
    return word
