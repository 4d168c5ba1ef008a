"""Write telemetry in a thread of its own; a full disk or a damaged file costs rows, no more."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loguru import logger

from agent.hmi.history.batch import Batch
from agent.hmi.history.database import Database, OtherVersionError

FILE: Final = "history.sqlite"
RETENTION_S: Final = 30.0
WAITING: Final = 30
"""Batches that may wait for the disk; with one a second, half a minute."""
_MALFORMED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
_FULL: Final = sqlite3.SQLITE_FULL
_ROOM_SHARE: Final = 0.9
_DAY_S: Final = 86400.0
_SIDE_FILES: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept.

    Attributes:
        octets: Of the file. `age_s`: of the oldest row.
    """

    octets: float
    age_s: float

    @classmethod
    def of(cls, megabytes: float, days: float) -> Bounds:
        """Return the bounds in the settings' units."""
        return cls(megabytes * 1e6, days * _DAY_S)


class HistoryStore:
    """Owns the file and its thread.

    Attributes:
        error: Why nothing is written now; empty while all is well.
        written, lost, removed: Rows since the start: on the disk, dropped, gone by age or size.
        damaged: Files set aside since the start.
    """

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.path = folder / FILE
        self._bounds = bounds
        self._queue: queue.Queue[Batch | None] = queue.Queue(WAITING)
        self._database: Database | None = None
        self._retention_s = 0.0
        self.error = ""
        self.written = self.lost = self.removed = self.damaged = 0
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    @property
    def aside(self) -> Path | None:
        """The damaged file that waits for somebody to look at it, if there is one."""
        return next(iter(sorted(self.path.parent.glob(f"{FILE}.damaged-*"))), None)

    def counters(self) -> dict[str, float]:
        """Return what the heartbeat tells."""
        names = ("written", "lost", "removed", "damaged")
        return {f"history_{name}": float(getattr(self, name)) for name in names}

    def put(self, batch: Batch) -> None:
        """Hand over rows without waiting; they are dropped and counted if too many wait."""
        try:
            self._queue.put_nowait(batch)
        except queue.Full:
            self.lost += len(batch)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, then end."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            try:
                self._take(batch)
            except (sqlite3.Error, OSError) as error:
                self.lost += len(batch)
                self._fail(error)
            else:
                self.written += len(batch)
                if self.error:
                    logger.info("{}: telemetry is written again", self.path)
                self.error = ""
        self._forget()

    def _take(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except sqlite3.DatabaseError as error:
            if isinstance(error, OtherVersionError) or _code(error) in _MALFORMED:
                self._set_aside(error)
                self._write(batch)
            elif _code(error) == _FULL and self._database is not None:
                self.removed += self._database.shrink(_ROOM_SHARE)
                self._write(batch)
            else:
                raise

    def _write(self, batch: Batch) -> None:
        if self._database is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = Database(self.path, self._bounds.octets)
        self._database.write(batch)
        now_s = time.monotonic()
        if now_s >= self._retention_s:
            self._retention_s = now_s + RETENTION_S
            self.removed += self._database.remove_before(time.time() - self._bounds.age_s)
            self.removed += self._database.shrink()

    def _set_aside(self, error: Exception) -> None:
        """Keep the first damaged file for whoever wants to look; later ones are not kept."""
        self._forget()
        self.damaged += 1
        for suffix in _SIDE_FILES:
            self.path.with_name(FILE + suffix).unlink(missing_ok=True)
        if self.aside is None:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            self.path.replace(self.path.with_name(f"{FILE}.damaged-{stamp}"))
        else:
            self.path.unlink(missing_ok=True)
        logger.error("{}: damaged ({}); set aside, a new one is begun", self.path, error)

    def _fail(self, error: Exception) -> None:
        text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        if text != self.error:
            logger.error("{}: telemetry is not kept: {}", self.path, text)
        self.error = text
        self._forget()

    def _forget(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; -1 where the error is not SQLite's own."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else code
