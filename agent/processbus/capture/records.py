"""Records of a classic capture file, found without looking at each one.

A record is a 16-byte header (seconds, fraction, captured length, wire length) and the frame. Each
header says where the next one is, a chain; but merging units send frames of one length, so long
stretches have one stride and are found by comparing lengths at that stride.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.processbus.frames import SLACK, UNTAGGED, ByteArray, Frames, IntArray

HEADER: Final = 16
LONGEST_RECORD: Final = 1 << 18
_SHORTEST_RUN: Final = 16


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """How a file writes its records.

    Attributes:
        big_endian: Byte order of the headers.
        nanoseconds: Unit of the fraction: nanoseconds or microseconds.
    """

    big_endian: bool = False
    nanoseconds: bool = True

    @property
    def word(self) -> str:
        """Numpy's name of a header field."""
        return ">u4" if self.big_endian else "<u4"


def records(buffer: ByteArray, first: int, end: int, kind: RecordFormat) -> tuple[Frames, int]:
    """Return the whole records between two offsets.

    Args:
        buffer: Bytes with `SLACK` readable bytes behind `end`.
        first: Offset of the first record.
        end: Where the data ends.
        kind: Byte order and unit.

    Returns:
        The frames, and the offset of the first byte that belongs to none of them: `end`, or
        where the data stops making sense.
    """
    offsets, stop = _offsets(buffer, first, end, kind)
    header = np.lib.stride_tricks.as_strided(buffer, (len(buffer) - HEADER + 1, HEADER), (1, 1))
    fields = header[offsets].view(kind.word).astype(np.int64)
    unit = 1 if kind.nanoseconds else 1000
    return (
        Frames(
            buffer=buffer,
            start=offsets + HEADER,
            length=fields[:, 2],
            time_ns=fields[:, 0] * 1_000_000_000 + fields[:, 1] * unit,
            vlan=np.full(len(offsets), UNTAGGED),
        ),
        stop,
    )


def _offsets(buffer: ByteArray, first: int, end: int, kind: RecordFormat) -> tuple[IntArray, int]:
    unpack = struct.Struct(">8xI" if kind.big_endian else "<8xI").unpack_from
    octets = buffer.data
    parts: list[IntArray] = []
    single: list[int] = []
    at = first
    while at + HEADER <= end:
        (length,) = unpack(octets, at)
        stride = HEADER + length
        if length > LONGEST_RECORD or at + stride > end:
            break
        run = _run(buffer, at, end, stride, kind.word)
        if run >= _SHORTEST_RUN:
            parts += [np.array(single, dtype=np.int64), at + stride * np.arange(run)]
            single = []
            at += stride * run
        else:
            single.append(at)
            at += stride
    parts.append(np.array(single, dtype=np.int64))
    return np.concatenate(parts), at


def _run(buffer: ByteArray, at: int, end: int, stride: int, word: str) -> int:
    """How many records from `at` on have the same length as the first."""
    most = (end - at) // stride
    if most < _SHORTEST_RUN:
        return 1
    # A look at the second record spares mixed traffic the arrays.
    second = at + stride + 8
    if (buffer[second : second + 4] != buffer[at + 8 : at + 12]).any():
        return 1
    lengths = np.ndarray((most,), dtype=word, buffer=buffer.data, offset=at + 8, strides=(stride,))
    same = lengths == lengths[0]
    return most if same.all() else int(np.argmin(same))


def pack_records(frames: list[bytes], time_ns: list[int]) -> bytes:
    """Return frames as records of the default format."""
    return b"".join(
        struct.pack("<IIII", *divmod(stamp, 1_000_000_000), len(frame), len(frame)) + frame
        for frame, stamp in zip(frames, time_ns, strict=True)
    )


def padded(data: bytes) -> ByteArray:
    """Return bytes as an array with the slack that `records` needs."""
    return np.frombuffer(data + bytes(SLACK), dtype=np.uint8)
