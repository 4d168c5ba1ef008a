"""A log in a fresh folder, and a disk that fails on demand."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.audit import AuditLog
from agent.audit.store import LogFile

KEY = bytes(range(32))


class Disk:
    """What the failing files obey: bytes left, and errors for write and sync."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.write_error = 0
        self.sync_error = 0
        self.open_error = 0

    def open(self, path: Path) -> LogFile:
        if self.open_error:
            raise OSError(self.open_error, os.strerror(self.open_error))
        return _File(path, self)


class _File(LogFile):
    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, data: bytes | bytearray) -> int:
        disk = self._disk
        if disk.write_error:
            raise OSError(disk.write_error, os.strerror(disk.write_error))
        if disk.room is None:
            return super().write(data)
        if disk.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(bytes(data[: disk.room]))
        disk.room -= written
        return written

    def sync(self) -> None:
        if self._disk.sync_error:
            raise OSError(self._disk.sync_error, os.strerror(self._disk.sync_error))
        super().sync()


@pytest.fixture
def key() -> bytes:
    return KEY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "stability-audit.log"


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def open_log(path: Path) -> Iterator[Callable[..., AuditLog]]:
    """Open logs at `path`; those still open at the end are closed."""
    opened: list[AuditLog] = []

    def opener(**arguments: object) -> AuditLog:
        log = AuditLog(path, KEY, **arguments)  # type: ignore[arg-type]
        opened.append(log)
        return log

    yield opener
    for log in opened:
        if log._thread.is_alive():
            log.close()
