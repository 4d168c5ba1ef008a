"""An entry of a report buffer in one piece of memory.

A thousand entries wait in every buffered block, most of them for a client that never comes. As
octets an entry of one value costs 120 bytes, less than half of what the package's own structure
takes. It has the attributes of that structure, so the package sends it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

_HEAD: Final = struct.Struct(">QQHH")
"""EntryID, microseconds since 1970, number of members, octets of their reasons."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(bytes):
    """Head, positions of the members (16 bit), their reasons, their values; immutable."""

    __slots__ = ()

    @classmethod
    def now(cls, entry_id: int, indexes: Sequence[int], values: bytes, reasons: bytes) -> Entry:
        """An entry of this moment.

        Args:
            entry_id: Rises from entry to entry.
            indexes: Positions in the data set.
            values: Encoded one after the other, in the order of `indexes`.
            reasons: Likewise.
        """
        head = _HEAD.pack(entry_id, time.time_ns() // 1000, len(indexes), len(reasons))
        return cls(b"".join((head, struct.pack(f">{len(indexes)}H", *indexes), reasons, values)))

    @property
    def entry_id(self) -> int:
        """EntryID as a number."""
        return int.from_bytes(self[:8], "big")

    @property
    def time(self) -> datetime:
        """TimeOfEntry."""
        return _EPOCH + timedelta(microseconds=int.from_bytes(self[8:16], "big"))

    @property
    def indexes(self) -> tuple[int, ...]:
        """Positions of the members in the data set."""
        count = _HEAD.unpack_from(self)[2]
        return struct.unpack_from(f">{count}H", self, _HEAD.size)

    @property
    def reasons(self) -> bytes:
        """Encoded reasons for inclusion."""
        _, _, count, octets = _HEAD.unpack_from(self)
        start = _HEAD.size + 2 * count
        return bytes(self[start : start + octets])

    @property
    def values(self) -> bytes:
        """Encoded values."""
        _, _, count, octets = _HEAD.unpack_from(self)
        return bytes(self[_HEAD.size + 2 * count + octets :])

    @property
    def size(self) -> int:
        """What the buffer counts: octets of values and reasons."""
        _, _, count, _ = _HEAD.unpack_from(self)
        return len(self) - _HEAD.size - 2 * int(count)
