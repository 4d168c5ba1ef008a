"""Messages on disk until every broker has them, in the order of their numbers.

SQLite in WAL mode with `synchronous=FULL`: what `commit` returned from survives a power cut. A
message is sent only after it was committed, so a number that a broker has seen can never be given
to another message. All methods block on the disk; `agent.utility.bus.store` calls them in a
thread of their own.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import UnavailableError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, previous INTEGER NOT NULL, t_utc_s REAL NOT NULL,
    profile TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS positions (transport TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS last (profile TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
NUMBERS_PER_S: Final = 1000
"""The first number of a new outbox is the time in these units; no gateway sends as many."""
_ROW_BYTES: Final = 64
"""What a row costs beside its payload."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message.

    Attributes:
        seq: Rises by one with every message of this gateway, for ever.
        previous: Number of the message before it with the same profile; 0 for the first.
        t_utc_s: When it was made. `profile`: `essmodule.ESSReadingProfile`.
    """

    seq: int
    previous: int
    t_utc_s: float
    profile: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Usage:
    """What lies in the outbox; `oldest_utc_s` is 0 while nothing waits for a broker."""

    waiting: int = 0
    stored: int = 0
    bytes: int = 0
    oldest_utc_s: float = 0.0
    lost: int = 0


class Outbox:
    """The file.

    Args:
        path: The database; its folder exists.
        transports: Names of the brokers that must have a message before it may go.
        max_bytes: Beyond it the oldest messages are lost.
        keep_s: Messages that every broker has stay so long after they were made.

    Raises:
        UnavailableError: The file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        transports: Iterable[str],
        *,
        max_bytes: float,
        keep_s: float,
    ) -> None:
        self._max_bytes, self._keep_s = max_bytes, keep_s
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise UnavailableError(f"{path}: the outbox cannot be opened: {error}") from error
        self._previous: dict[str, int] = dict(self._db.execute("SELECT profile, seq FROM last"))
        # A new file starts above every number that a lost one can have given.
        self._seq = max(self._previous.values(), default=int(time.time() * NUMBERS_PER_S))
        self._lost = self._value("lost")
        self._acked = {name: self._position(name) for name in transports}
        self._stored, self._bytes = self._measure()

    @property
    def last_seq(self) -> int:
        """Number of the newest message ever committed."""
        return self._seq

    @property
    def positions(self) -> Mapping[str, int]:
        """Number up to which each broker has acknowledged."""
        return self._acked

    def renumber(self, above: int) -> None:
        """Give all messages numbers above `above`, in their order.

        For a broker that has seen higher numbers than this file ever gave: the file is new and
        the clock was wrong when it was made.
        """
        first = self._db.execute("SELECT MIN(seq) FROM messages").fetchone()[0]
        shift = above + 1 - (self._seq + 1 if first is None else first)
        if shift <= 0:
            return
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            # By way of negative numbers, so that none collides with one that is still to move.
            self._db.execute("UPDATE messages SET seq = -(seq + ?)", (shift,))
            self._db.execute(
                "UPDATE messages SET seq = -seq, "
                "previous = CASE WHEN previous > 0 THEN previous + ? ELSE 0 END",
                (shift,),
            )
            self._db.execute("UPDATE last SET seq = seq + ?", (shift,))
        self._previous = {name: seq + shift for name, seq in self._previous.items()}
        self._acked = {name: seq and seq + shift for name, seq in self._acked.items()}
        self._seq += shift

    def commit(self, messages: Iterable[tuple[float, str, bytes]]) -> list[Entry]:
        """Number messages (UTC, profile, payload) and write them in one transaction.

        Raises:
            sqlite3.Error: The disk is full or broken; none of them was written or numbered.
        """
        entries: list[Entry] = []
        previous, seq = dict(self._previous), self._seq
        for t_utc_s, profile, payload in messages:
            seq += 1
            entries.append(Entry(seq, previous.get(profile, 0), t_utc_s, profile, payload))
            previous[profile] = seq
        rows = [(e.seq, e.previous, e.t_utc_s, e.profile, e.payload) for e in entries]
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO messages VALUES (?,?,?,?,?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO last VALUES (?,?)", previous.items())
        self._previous, self._seq = previous, seq
        self._stored += len(entries)
        self._bytes += sum(len(e.payload) + _ROW_BYTES for e in entries)
        return entries

    def read(self, after: int, count: int) -> list[Entry]:
        """Return up to `count` messages with numbers above `after`, in order."""
        rows = self._db.execute(
            "SELECT seq, previous, t_utc_s, profile, payload FROM messages "
            "WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, count),
        )
        return [Entry(*row) for row in rows]

    def acknowledge(self, transport: str, seq: int) -> None:
        """Note that a broker has everything up to `seq`; it is on disk after the next `tidy`.

        Should the note be lost, messages are sent again and the broker's side discards them.
        """
        self._acked[transport] = seq

    def tidy(self, now_utc_s: float) -> Usage:
        """Write the positions down, remove what nobody needs and what has no room; count it."""
        border, count, size, lost = self._removable(now_utc_s)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?,?)", self._acked.items()
            )
            self._db.execute("DELETE FROM messages WHERE seq <= ?", (border,))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('lost', ?)", (self._lost + lost,))
        self._stored, self._bytes = self._stored - count, self._bytes - size
        self._lost += lost
        return self.usage()

    def usage(self) -> Usage:
        """Return what waits and what is stored."""
        done = self._done
        oldest = self._db.execute(
            "SELECT t_utc_s FROM messages WHERE seq > ? ORDER BY seq LIMIT 1", (done,)
        ).fetchone()
        waiting = min(self._seq - done, self._stored) if oldest else 0
        return Usage(waiting, self._stored, self._bytes, oldest[0] if oldest else 0.0, self._lost)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def _done(self) -> int:
        """Number up to which every broker has everything."""
        return min(self._acked.values(), default=self._seq)

    def _removable(self, now_utc_s: float) -> tuple[int, int, int, int]:
        """Return the number up to which messages go, how many, their bytes, and how many unsent."""
        excess, done = self._bytes - self._max_bytes, self._done
        border = count = size = lost = 0
        rows = self._db.execute("SELECT seq, t_utc_s, LENGTH(payload) FROM messages ORDER BY seq")
        for seq, t_utc_s, length in rows:
            finished = seq <= done and t_utc_s < now_utc_s - self._keep_s
            if not finished and excess <= 0:
                break
            border, count, size = seq, count + 1, size + length + _ROW_BYTES
            excess -= length + _ROW_BYTES
            lost += seq > done
        return border, count, size, lost

    def _measure(self) -> tuple[int, int]:
        count, size = self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(payload)), 0) FROM messages"
        ).fetchone()
        return count, size + count * _ROW_BYTES

    def _position(self, transport: str) -> int:
        row = self._db.execute(
            "SELECT seq FROM positions WHERE transport = ?", (transport,)
        ).fetchone()
        return int(row[0]) if row else 0

    def _value(self, name: str) -> int:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0
