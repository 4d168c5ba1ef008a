"""Capture files: pcap and pcapng, any byte order and resolution, as `Frames`.

Classic files follow the libpcap file format, pcapng draft-ietf-opsawg-pcapng. Both are read in
stretches, so a file may be larger than memory; one that is cut off or damaged gives what comes
before the damage.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from agent.errors import ConfigurationError, Finding
from agent.processbus.capture import pcapng
from agent.processbus.capture.records import RecordFormat, padded, records
from agent.processbus.frames import ByteArray, Frames

_MAGIC: Final = {
    b"\xd4\xc3\xb2\xa1": RecordFormat(big_endian=False, nanoseconds=False),
    b"\x4d\x3c\xb2\xa1": RecordFormat(big_endian=False, nanoseconds=True),
    b"\xa1\xb2\xc3\xd4": RecordFormat(big_endian=True, nanoseconds=False),
    b"\xa1\xb2\x3c\x4d": RecordFormat(big_endian=True, nanoseconds=True),
}
_FILE_HEADER: Final = 24
_LINK_TYPE: Final = slice(20, 24)
ETHERNET: Final = 1
STRETCH: Final = 1 << 21
"""Octets read at a time; longer than any record or block that is accepted."""


class Format(Protocol):
    """Finds the frames in a stretch of a file."""

    def read(self, buffer: ByteArray, end: int) -> tuple[list[Frames], int]:
        """Return the whole frames before `end`, and where the rest begins."""


class ClassicFormat:
    """Records of a pcap file."""

    def __init__(self, kind: RecordFormat) -> None:
        self._kind = kind

    def read(self, buffer: ByteArray, end: int) -> tuple[list[Frames], int]:
        """Return the whole records before `end`, and where the rest begins."""
        frames, stop = records(buffer, 0, end, self._kind)
        return ([frames] if len(frames) else []), stop


class CaptureFile:
    """A capture file.

    Raises:
        ConfigurationError: It cannot be read, or is no capture of Ethernet frames.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._skip, self._format = self._recognise()
        self.damaged_at: int | None = None
        """Offset at which the file stopped making sense, if it did."""

    def _recognise(self) -> tuple[int, Format]:
        try:
            with self.path.open("rb") as file:
                head = file.read(_FILE_HEADER)
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from error
        if head[:4] == pcapng.SECTION_HEADER:
            return 0, pcapng.BlockFormat()
        kind = _MAGIC.get(head[:4])
        if kind is None or len(head) < _FILE_HEADER:
            raise self._unusable("is not a pcap or pcapng file")
        (network,) = struct.unpack(">I" if kind.big_endian else "<I", head[_LINK_TYPE])
        link_type = network & 0xFFFF  # the upper half is for FCS flags
        if link_type != ETHERNET:
            raise self._unusable(f"holds frames of link type {link_type}, not Ethernet")
        return _FILE_HEADER, ClassicFormat(kind)

    def frames(self) -> Iterator[Frames]:
        """Yield the frames of the file in order, many at a time."""
        rest, at = b"", self._skip
        with self.path.open("rb") as file:
            file.seek(self._skip)
            while data := file.read(STRETCH):
                buffer = padded(rest + data)
                end = len(rest) + len(data)
                found, stop = self._format.read(buffer, end)
                yield from found
                rest = buffer[stop:end].tobytes()
                at += stop
                if len(rest) >= STRETCH:
                    break
        self.damaged_at = at if rest else None

    def _unusable(self, what: str) -> ConfigurationError:
        return ConfigurationError((Finding(str(self.path), what),))
