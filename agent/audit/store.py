"""The file below the log, and the recovery of what a crash left of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.audit.chain import FileScan, scan
from agent.audit.reader import archive_path, log_files
from agent.audit.record import Head


class LogFile:
    """An open file that can only grow. The tests put failing disks in its place."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o640)

    def write(self, data: bytes | bytearray) -> int:
        """Append and return how many bytes the system took. Raises OSError."""
        return os.write(self._fd, data)

    def sync(self) -> None:
        """Return when the disk has everything written. Raises OSError."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


OpenFile = Callable[[Path], LogFile]


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the chain goes on.

    Attributes:
        head: The last record. `size`: bytes of the active file.
        first_seq: Sequence number that the active file starts after.
        new_file: The chain must go on in a new file; `opening` is what that file declares.
    """

    head: Head
    size: int
    first_seq: int
    new_file: bool
    opening: dict[str, object] = field(default_factory=dict)


def recover(active: Path, key: bytes) -> Recovered:
    """Find the end of the chain; nothing that could be evidence is changed.

    A last line without its newline was never acknowledged: the next file declares its bytes. Any
    other damage stays in its file for `verify` to find, and the log goes on in a new file.

    Raises:
        OSError: The files cannot be read.
    """
    active.parent.mkdir(parents=True, exist_ok=True)
    files = [file for file in log_files(active) if not _remove_without_record(file, active)]
    if not files:
        return Recovered(Head(), 0, 0, new_file=True)
    data = files[-1].read_bytes()
    found = scan(data, key)
    head = found.last.head if found.last else Head(found.seq_hint)
    intact = found.opening is not None and not found.damage and not found.torn
    return Recovered(
        head=head,
        size=len(data),
        first_seq=found.opening.seq if found.opening else head.seq,
        new_file=not intact or files[-1] != active,
        opening=_declaration(found),
    )


def _remove_without_record(file: Path, active: Path) -> bool:
    """Remove an active file that holds not one complete line; tell whether it was one."""
    if file != active or b"\n" in file.read_bytes():
        return False
    file.unlink()
    return True


def _declaration(found: FileScan) -> dict[str, object]:
    declared: dict[str, object] = {}
    if found.torn:
        declared |= {"torn_bytes": len(found.torn), "torn_sha256": found.torn_sha256}
    if found.damage or found.opening is None:
        declared["damaged"] = True
    return declared


def archive(active: Path, first_seq: int) -> str:
    """Give the active file its lasting name and return it; empty where there was none."""
    if not active.exists():
        return ""
    target = archive_path(active, first_seq)
    attempt = 0
    while target.exists():
        attempt += 1
        target = target.with_name(f"{archive_path(active, first_seq).name}-{attempt}")
    active.rename(target)
    return target.name


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
