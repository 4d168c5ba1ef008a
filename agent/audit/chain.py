"""Checking one file's chain; used to find the end of a log and to verify it. Total on any bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from agent.audit.reader import split_lines
from agent.audit.record import Head, Kind, Record, decode, is_authentic


@dataclass(slots=True)
class FileScan:
    """What the bytes of one file hold.

    Attributes:
        opening: The authentic first line, of kind `file`; None where there is no such line.
        last: The last authentic record; None where there is none.
        records: Number of authentic records, without the opening.
        damage: (byte offset, what is wrong) for every line that does not belong to the chain.
        torn: Bytes after the last newline: a write that a crash interrupted, or a truncation.
        removed: Heads that retention records declare as the ends of removed files.
        seq_hint: Highest sequence number that any line claims, authentic or not.
    """

    opening: Record | None = None
    last: Record | None = None
    records: int = 0
    damage: list[tuple[int, str]] = field(default_factory=list)
    torn: bytes = b""
    removed: list[Head] = field(default_factory=list)
    seq_hint: int = 0

    @property
    def torn_sha256(self) -> str:
        """Digest by which the next file declares the torn bytes."""
        return hashlib.sha256(self.torn).hexdigest()


def scan(data: bytes, key: bytes) -> FileScan:
    """Walk through the bytes of a file and check every line against the one before it."""
    found = FileScan()
    for offset, line, complete in split_lines(data):
        if not complete:
            found.torn = line
            break
        record = decode(line)
        if record is not None:
            found.seq_hint = max(found.seq_hint, record.seq)
        if record is None or not is_authentic(line, key):
            found.damage.append((offset, f"line {line[:60]!r} is not authentic"))
            continue
        _link(found, record, offset)
    return found


def _link(found: FileScan, record: Record, offset: int) -> None:
    """Add an authentic record; note where it does not continue the chain."""
    last = found.last
    if record.kind == Kind.FILE:
        if last is None and offset == 0:
            found.opening = found.last = record
            return
        found.damage.append((offset, f"an opening line stands after record {record.seq}"))
    elif last is None:
        found.damage.append((offset, f"record {record.seq} has no opening line before it"))
    elif record.prev != last.mac or record.seq != last.seq + 1:
        found.damage.append((offset, f"record {record.seq} does not follow record {last.seq}"))
    found.last = record
    found.records += 1
    removed = _removed(record)
    if removed is not None:
        found.removed.append(removed)


def _removed(record: Record) -> Head | None:
    seq, mac = record.data.get("removed_seq"), record.data.get("removed_mac")
    if record.kind != Kind.AUDIT or not isinstance(seq, int) or not isinstance(mac, str):
        return None
    return Head(seq, mac)
