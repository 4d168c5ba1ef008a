"""What must survive `kill -9` and a power cut: transaction messages, in order, and what runs.

SQLite with `synchronous=FULL`: a commit returns when the disk has it. A record and the transaction
it belongs to change in one commit, so neither a sequence number nor a message is used twice or
lost. A message leaves the journal when the CSMS has answered it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import orjson
from loguru import logger

from agent.errors import UnavailableError
from agent.ocpp import Payload
from agent.utility.csms.records import Record, Transaction

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, periodic INTEGER,
    record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refused (number INTEGER PRIMARY KEY, record BLOB NOT NULL,
    why TEXT NOT NULL, t_utc_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS transactions (evse INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS remote (transaction_id TEXT PRIMARY KEY, remote_id INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS evses (number INTEGER PRIMARY KEY AUTOINCREMENT, evse_id TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS profiles (profile_id INTEGER, evse INTEGER, t_utc_s REAL, payload BLOB,
    PRIMARY KEY (profile_id));
"""
_THIN: Final = """
DELETE FROM outbox WHERE number IN (SELECT number FROM
    (SELECT number, row_number() OVER (ORDER BY number) AS place FROM outbox WHERE periodic = 1)
    WHERE place % 2 = 0)
"""
_REFUSED_KEPT: Final = 1000
_RECORD: Final = msgspec.msgpack.Decoder(Record)
_STATE: Final = msgspec.msgpack.Decoder(Transaction)


class Journal:
    """The file. Every method that changes something returns when it is on the disk.

    Args:
        path: Made with its folder where it does not exist; a file that is damaged is put aside.
        limit: Records that wait for the CSMS at most; beyond it periodic values are thinned out.

    Raises:
        UnavailableError: The file can be neither opened nor made.
    """

    def __init__(self, path: Path, limit: int = 200_000) -> None:
        self.path = path
        self.thinned = 0
        self._limit = limit
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = _open(path)
        except (OSError, sqlite3.Error) as error:
            raise UnavailableError(f"{path}: cannot be opened: {error}") from error
        self._count = self._one("SELECT count(*) FROM outbox")

    def __len__(self) -> int:
        """Return how many records wait for the CSMS."""
        return self._count

    def append(self, entries: Iterable[tuple[Record, Transaction | None]]) -> None:
        """Keep records and, with each, its transaction as it then is (None: it ended).

        Raises:
            sqlite3.Error: The disk is full or broken; nothing was kept.
        """
        with self._commit() as database:
            for record, transaction in entries:
                database.execute(
                    "INSERT INTO outbox (periodic, record) VALUES (?, ?)",
                    (record.periodic, msgspec.msgpack.encode(record)),
                )
                _put_transaction(database, record.evse, transaction)
                self._count += 1
        if self._count > self._limit:
            self._thin()

    def first(self) -> tuple[int, Record] | None:
        """Return the oldest record and its number."""
        row = self._database.execute(
            "SELECT number, record FROM outbox ORDER BY number LIMIT 1"
        ).fetchone()
        return None if row is None else (row[0], _RECORD.decode(row[1]))

    def delivered(
        self, number: int, transaction_id: str = "", remote_id: int | None = None
    ) -> None:
        """The CSMS has a record; in 1.6 it may have given the transaction a number."""
        with self._commit() as database:
            database.execute("DELETE FROM outbox WHERE number = ?", (number,))
            if remote_id is not None:
                database.execute(
                    "INSERT OR REPLACE INTO remote VALUES (?, ?)", (transaction_id, remote_id)
                )
        self._count -= 1

    def refused(self, number: int, record: Record, why: str) -> None:
        """The CSMS will not take a record: it is put aside, so that others can follow."""
        with self._commit() as database:
            database.execute("DELETE FROM outbox WHERE number = ?", (number,))
            database.execute(
                "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
                (number, msgspec.msgpack.encode(record), why, time.time()),
            )
            database.execute(
                "DELETE FROM refused WHERE number NOT IN"
                " (SELECT number FROM refused ORDER BY number DESC LIMIT ?)",
                (_REFUSED_KEPT,),
            )
        self._count -= 1

    def forget_remote(self, transaction_id: str) -> None:
        """The number of a transaction whose end was delivered is not needed any more."""
        with self._commit() as database:
            database.execute("DELETE FROM remote WHERE transaction_id = ?", (transaction_id,))

    def remote_id(self, transaction_id: str) -> int | None:
        """Return the number that a 1.6 CSMS gave a transaction."""
        row = self._database.execute(
            "SELECT remote_id FROM remote WHERE transaction_id = ?", (transaction_id,)
        ).fetchone()
        return None if row is None else int(row[0])

    def transactions(self) -> dict[int, Transaction]:
        """Return the transactions that ran when the process ended, by EVSE."""
        rows = self._database.execute("SELECT state FROM transactions").fetchall()
        found = [_STATE.decode(row[0]) for row in rows]
        return {each.evse: each for each in found}

    def number_of(self, evse_id: str) -> int:
        """Return the number of an EVSE: given at its first sight, the same for ever."""
        row = self._database.execute(
            "SELECT number FROM evses WHERE evse_id = ?", (evse_id,)
        ).fetchone()
        if row is not None:
            return int(row[0])
        with self._commit() as database:
            made = database.execute("INSERT INTO evses (evse_id) VALUES (?)", (evse_id,))
        return int(made.lastrowid or 0)

    def numbers(self) -> dict[str, int]:
        """Return the number of every EVSE that was ever seen."""
        rows = self._database.execute("SELECT evse_id, number FROM evses ORDER BY number")
        return {str(evse_id): int(number) for evse_id, number in rows}

    def put_profile(self, profile_id: int, evse: int, t_utc_s: float, payload: Payload) -> None:
        """Keep a charging profile that holds over a restart."""
        with self._commit() as database:
            database.execute(
                "INSERT OR REPLACE INTO profiles VALUES (?, ?, ?, ?)",
                (profile_id, evse, t_utc_s, orjson.dumps(payload)),
            )

    def drop_profiles(self, profile_ids: Iterable[int]) -> None:
        """Forget charging profiles."""
        with self._commit() as database:
            database.executemany(
                "DELETE FROM profiles WHERE profile_id = ?", [(each,) for each in profile_ids]
            )

    def profiles(self) -> list[tuple[int, float, Payload]]:
        """Return EVSE, arrival and payload of the profiles that are kept."""
        rows = self._database.execute("SELECT evse, t_utc_s, payload FROM profiles")
        return [(int(evse), float(t_utc_s), orjson.loads(raw)) for evse, t_utc_s, raw in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _thin(self) -> None:
        """Drop every second periodic value; the older they are, the wider they lie apart."""
        with self._commit() as database:
            gone = database.execute(_THIN).rowcount
        if gone:
            self.thinned += gone
            self._count -= gone
            logger.warning("{}: full; {} periodic meter values are dropped", self.path, gone)

    def _one(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0] or 0)

    @contextlib.contextmanager
    def _commit(self) -> Iterator[sqlite3.Connection]:
        before = self._count
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except BaseException:
            self._count = before
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def _open(path: Path) -> sqlite3.Connection:
    """Open and check; what is damaged is kept under another name, and a new file made."""
    try:
        return _prepare(path)
    except sqlite3.DatabaseError as error:
        if not path.exists() or isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        logger.error("{}: damaged ({}); kept as {}, a new one is made", path, error, aside)
        return _prepare(path)


def _prepare(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
        _check(database)
    except BaseException:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection) -> None:
    answer = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)


def _put_transaction(
    database: sqlite3.Connection, evse: int, transaction: Transaction | None
) -> None:
    if transaction is None:
        database.execute("DELETE FROM transactions WHERE evse = ?", (evse,))
    else:
        state = msgspec.msgpack.encode(transaction)
        database.execute("INSERT OR REPLACE INTO transactions VALUES (?, ?)", (evse, state))
