"""Chaining records and bringing them to the disk; one thread calls it, nothing here waits."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Final

from agent.audit import store
from agent.audit.reader import log_files
from agent.audit.record import Head, Kind, decode, encode_body, seal

_WHO: Final = "v2g-audit"


class ChainWriter:
    """Seals bodies into the chain and appends them; after an OSError the same call may be repeated.

    What the system did not take stays in the buffer and is written first next time, from the byte
    where it stopped. After a failed sync the pages in memory can no longer be trusted to reach the
    disk, so the chain goes on in a new file that says from which record on the old one may lack.
    """

    def __init__(
        self, path: Path, key: bytes, rotate_bytes: int, open_file: store.OpenFile
    ) -> None:
        self.path = path
        self._key = key
        self._rotate_bytes = rotate_bytes
        self._open_file = open_file
        self._file: store.LogFile | None = None
        self._head = Head()
        self._buffer = bytearray()
        self._size = 0
        self._first_seq = 0
        self._opening: dict[str, object] = {}
        self._new_file = True
        self._unsynced = False
        self._new_name = False
        self.synced = Head()
        self.files_begun = 0

    def recover(self) -> Head:
        """Find the end of the chain on the disk. Raises OSError."""
        state = store.recover(self.path, self._key)
        self._head = self.synced = state.head
        self._size, self._first_seq = state.size, state.first_seq
        self._new_file, self._opening = state.new_file, state.opening
        return state.head

    def prepare(self) -> None:
        """Have a file to append to; called before `add`. Raises OSError."""
        if self._file is None:
            self._file = self._begin_file() if self._new_file else self._open_file(self.path)

    def add(self, seq: int, body: bytes) -> None:
        """Seal one record into the buffer."""
        line, mac = seal(body, self._head.mac, self._key)
        self._buffer += line
        self._head = Head(seq, mac)

    def flush(self) -> None:
        """Give the buffer to the system. Raises OSError."""
        self.prepare()
        while self._buffer and self._file is not None:
            written = self._file.write(self._buffer)
            del self._buffer[:written]
            self._size += written
            self._unsynced = True

    def sync(self) -> None:
        """Return when everything added is on the disk; rotate when the file is full.

        Raises:
            OSError: It is not; what was not acknowledged stays unacknowledged.
        """
        self.flush()
        if self._unsynced and self._file is not None:
            try:
                self._file.sync()
                if self._new_name:
                    store.sync_folder(self.path.parent)
            except OSError:
                self._leave_file({"unsynced_from": self.synced.seq + 1})
                raise
            self._unsynced = self._new_name = False
        self.synced = self._head
        if self._size >= self._rotate_bytes:
            self._leave_file({})

    def surplus(self, keep_bytes: int) -> list[tuple[Path, Head]]:
        """Return the oldest files beyond a total size, each with the last record in it."""
        files = log_files(self.path)
        excess = sum(file.stat().st_size for file in files) - keep_bytes
        found: list[tuple[Path, Head]] = []
        for file, following in itertools.pairwise(files):
            if excess <= 0:
                break
            end = _end_before(following)
            if end is None:
                break
            excess -= file.stat().st_size
            found.append((file, end))
        return found

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _leave_file(self, opening: dict[str, object]) -> None:
        self.close()
        self._new_file, self._opening = True, opening
        self._unsynced = False

    def _begin_file(self) -> store.LogFile:
        """Move the old file aside and open a new one; its opening line goes first."""
        before = store.archive(self.path, self._first_seq)
        if before:
            self._opening["after"] = before
        file = self._open_file(self.path)
        self._new_file, self._new_name = False, True
        self._size, self._first_seq = 0, self._head.seq
        now_utc_s, now_s, seq = time.time(), time.monotonic(), self._head.seq
        self.add(
            seq, encode_body(seq, now_utc_s, now_s, Kind.FILE, _WHO, "opened", "", self._opening)
        )
        self._opening = {}
        self.files_begun += 1
        return file


def _end_before(following: Path) -> Head | None:
    """The head that a file's opening line continues: the last record of the file before it."""
    with following.open("rb") as file:
        record = decode(file.readline().rstrip(b"\n"))
    return Head(record.seq, record.prev) if record else None
