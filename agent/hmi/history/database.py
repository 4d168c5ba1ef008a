"""The SQLite file: its tables, its pragmas, what goes in and what goes out by age and size.

Instants are whole microseconds and the primary key, so a table needs no second index; a clock
that was stepped back replaces what it writes again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.hmi.history.batch import Batch
from agent.messages import Validity

VERSION: Final = 1
QUALITIES: Final = tuple(Validity)
"""A quality is stored as its place in this tuple."""
TEXT_LIMIT: Final = 512
TABLES: Final = ("measurements", "evses", "events")
_SCHEMA: Final = """
CREATE TABLE measurements (
    t_us INTEGER PRIMARY KEY, f_hz REAL, rocof_hz_s REAL, v1_v REAL, quality INTEGER NOT NULL,
    target_w REAL, ordered_w REAL, p_w REAL);
CREATE TABLE evse_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE evses (
    t_us INTEGER NOT NULL, evse INTEGER NOT NULL, p_w REAL, ordered_w REAL, soc_pct REAL,
    online INTEGER NOT NULL, PRIMARY KEY (t_us, evse)) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, t_us INTEGER NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE INDEX events_t ON events (t_us);
"""
_SLICE_ROWS: Final = 5_000
"""Rows of the largest table removed in one transaction, so that none grows the journal."""
_JOURNAL_LIMIT: Final = 4 << 20


class OtherVersionError(sqlite3.DatabaseError):
    """The file was written by another version of this program."""


def micros(t_utc_s: float) -> int:
    """Return an instant in whole microseconds."""
    return round(t_utc_s * 1e6)


class Database:
    """One open file; for one thread.

    Raises:
        sqlite3.Error: It cannot be opened or is no database.
    """

    def __init__(self, path: Path, octets: float) -> None:
        self._octets = octets
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            self._prepare(octets)
        except sqlite3.Error:
            self._db.close()
            raise
        self._names: dict[str, int] = dict(self._db.execute("SELECT name, id FROM evse_names"))

    def write(self, batch: Batch) -> None:
        """Write a batch in one transaction."""
        with self._db:  # commits, or rolls back on an error
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (micros(row.t_utc_s), *row[1:4], QUALITIES.index(row.quality), *row[5:])
                    for row in batch.measurements
                ),
            )
            new = self._new_names({row.evse_id for row in batch.evses})
            names = self._names | new
            self._db.executemany(
                "INSERT OR REPLACE INTO evses VALUES (?, ?, ?, ?, ?, ?)",
                ((micros(r[0]), names[r[1]], *r[2:]) for r in batch.evses),
            )
            self._db.executemany(
                "INSERT INTO events (t_us, kind, source, text) VALUES (?, ?, ?, ?)",
                ((micros(r[0]), r[1], r[2][:TEXT_LIMIT], r[3][:TEXT_LIMIT]) for r in batch.events),
            )
        self._names = names

    def remove_before(self, t_utc_s: float) -> int:
        """Remove what is older than an instant, slice by slice; return the number of rows."""
        limit, removed = micros(t_utc_s), 0
        while (cut := self._slice_end()) is not None and cut < limit:
            removed += self._remove_to(cut)
        return removed + self._remove_to(limit - 1)

    def shrink(self, share: float = 1.0) -> int:
        """Remove the oldest rows until the rest fits; return the number of rows.

        Args:
            share: Of the size that is allowed; less makes room for what comes next.
        """
        removed = 0
        while self.used() > self._octets * share and (cut := self._slice_end()) is not None:
            removed += self._remove_to(cut)
        if self._pragma("freelist_count") * 10 > self._pragma("page_count"):
            self._db.execute("PRAGMA incremental_vacuum(4096)").fetchall()
        return removed

    def used(self) -> float:
        """Octets of the pages in use."""
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return float(pages * self._pragma("page_size"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _prepare(self, octets: float) -> None:
        db = self._db
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts for a new file only
        db.execute("PRAGMA journal_mode = WAL")
        # After a power cut the last moments may be missing, never the file.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT}")
        page_size = self._pragma("page_size")
        db.execute(f"PRAGMA max_page_count = {int(octets * 1.05 / page_size)}")
        version = self._pragma("user_version")
        if version == 0:
            db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
        elif version != VERSION:
            raise OtherVersionError(f"written by version {version} of the store")

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _new_names(self, used: Iterable[str]) -> dict[str, int]:
        new: dict[str, int] = {}
        for name in used:
            if name not in self._names:
                cursor = self._db.execute("INSERT INTO evse_names (name) VALUES (?)", (name,))
                new[name] = int(cursor.lastrowid or 0)
        return new

    def _slice_end(self) -> int | None:
        """Instant up to which no table holds more than a slice of rows; None where all is less."""
        found = []
        for table in TABLES:
            row = self._db.execute(
                f"SELECT t_us FROM {table} ORDER BY t_us LIMIT 1 OFFSET {_SLICE_ROWS - 1}"  # noqa: S608
            ).fetchone()
            if row is not None:
                found.append(int(row[0]))
        return min(found, default=None)

    def _remove_to(self, t_us: int) -> int:
        removed = 0
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                done = self._db.execute(f"DELETE FROM {table} WHERE t_us <= ?", (t_us,))  # noqa: S608
                removed += done.rowcount
        return removed
