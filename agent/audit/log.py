"""The log that the control process writes to: never waits in a tick, never forgets in silence."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.audit.record import Head, Kind, encode_body
from agent.audit.store import LogFile, OpenFile
from agent.audit.ticket import Ticket
from agent.audit.writer import ChainWriter

QUEUE_LIMIT: Final = 65_536
"""Records kept in memory while the disk refuses them; later ones are counted as dropped."""
FLUSH_S: Final = 0.1
SYNC_S: Final = 1.0
"""Longest time that a record which nobody waits for stays only in the page cache."""
RETRY_S: Final = 1.0
ANCHOR_S: Final = 300.0
_BATCH: Final = 512
_WHO: Final = "v2g-audit"

_Item = tuple[int, bytes, Ticket | None]


class AuditLog:
    """Append-only log with a writer thread. All methods may be called from any thread.

    Args:
        path: The active file; archives stand beside it.
        key: Secret of the chain, at least 16 bytes.
        rotate_bytes: The log goes on in a new file beyond this size.
        keep_bytes: Oldest files are removed beyond this total; each removal is a record.
        anchor: Called with the durable head every five minutes and at `close`, from the writer
            thread; send it off this machine.
        open_file, retry_s: For tests: the disk, and the pause between attempts.

    Raises:
        ValueError: The key is too short.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        rotate_bytes: int = 8 << 20,
        keep_bytes: int = 1 << 30,
        anchor: Callable[[Head], None] | None = None,
        open_file: OpenFile = LogFile,
        retry_s: float = RETRY_S,
    ) -> None:
        if len(key) < 16:
            raise ValueError("the audit key needs at least 16 bytes")
        self.path = path
        self._writer = ChainWriter(path, key, rotate_bytes, open_file)
        self._keep_bytes = keep_bytes
        self._anchor = anchor
        self._retry_s = retry_s
        self._queue: deque[_Item] = deque()
        self._changed = threading.Condition()  # its lock is re-entrant
        self._seq: int | None = None  # None until the end of the chain is known
        self._urgent = False
        self._closing = False
        self._error = ""
        self._dropped = 0
        self._removals: list[tuple[Ticket, Path]] = []
        self._files_checked = 0
        self._synced_s = self._anchored_s = time.monotonic()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._attempt([])
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    @property
    def writable(self) -> bool:
        """The disk took the last write; while False remote commands are to be refused."""
        return not self._error

    @property
    def error(self) -> str:
        """What the disk said; empty while `writable`."""
        return self._error

    @property
    def dropped(self) -> int:
        """Records that found neither disk nor room in memory since the last good write."""
        return self._dropped

    @property
    def head(self) -> Head:
        """The last durable record, for anchoring outside."""
        return self._writer.synced

    def fileno(self) -> int:
        """Descriptor that can be read when tickets were decided; `clear_wake` resets it."""
        return self._wake

    def clear_wake(self) -> None:
        """Make `fileno` quiet until the next ticket is decided."""
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            pass

    def append(
        self, kind: str, who: str, what: str, why: str = "", *, durable: bool = True,
        **fields: object,
    ) -> int:  # fmt: skip
        """Add a record and return its sequence number.

        Args:
            kind: One of `Kind`.
            who: Originator: peer, user or process.
            what: What was ordered, changed, refused or seen.
            why: The reason given or found.
            durable: Return only when it is on the disk. Without, it is there within a second;
                the number is 0 where neither disk nor memory had room.
            fields: Further values, kept under `data`.

        Raises:
            UnavailableError: `durable` was asked for and the disk refused.
        """
        if durable:
            return self.append_async(kind, who, what, why, **fields).wait()
        return self._enqueue(None, kind, who, what, why, fields)

    def append_async(
        self, kind: str, who: str, what: str, why: str = "", **fields: object
    ) -> Ticket:
        """Add a record that somebody waits for; returns at once."""
        ticket = Ticket(0)
        if self._error:
            ticket.resolve(self._error)
        elif not self._enqueue(ticket, kind, who, what, why, fields):
            ticket.resolve("no room for the record")
        return ticket

    def close(self) -> None:
        """Write what waits, anchor the head, end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        os.close(self._wake)

    def _enqueue(
        self, ticket: Ticket | None, kind: str, who: str, what: str, why: str,
        fields: dict[str, object], extra: int = 0,
    ) -> int:  # fmt: skip
        with self._changed:
            if self._seq is None or len(self._queue) >= QUEUE_LIMIT + extra:
                self._dropped += 1
                return 0
            seq = self._seq + 1
            body = encode_body(seq, time.time(), time.monotonic(), kind, who, what, why, fields)
            self._seq = seq
            self._queue.append((seq, body, ticket))
            if ticket is not None:
                ticket.seq = seq
                self._urgent = True
                self._changed.notify()
        return seq

    def _run(self) -> None:
        try:
            while not self._closing:
                self._attempt(self._take())
                self._remove_old_files()
                self._say_anchor(ANCHOR_S)
            self._attempt([], final=True)
            while self._queue and self.writable:
                self._attempt(self._take(), final=True)
            self._finish_removals()
            self._say_anchor(0.0)
        except Exception as error:  # without its thread the log must say that it cannot write
            self._fail([], f"internal error: {error!r}")
            raise
        finally:
            self._fail_waiting()
            self._writer.close()

    def _take(self) -> list[_Item]:
        """Wait for work, then take a batch; nothing while the disk refuses."""
        with self._changed:
            if self._error:
                self._changed.wait_for(lambda: self._closing, self._retry_s)
                return []
            self._changed.wait_for(lambda: self._urgent or self._closing, FLUSH_S)
            count = min(len(self._queue), _BATCH)
            batch = [self._queue.popleft() for _ in range(count)]
            self._urgent = any(ticket is not None for _, _, ticket in self._queue)
            return batch

    def _attempt(self, batch: list[_Item], *, final: bool = False) -> None:
        """Bring a batch to the disk; on failure it is kept and the next call goes on."""
        tickets = [ticket for _, _, ticket in batch if ticket is not None]
        try:
            self._prepare(batch)
            for seq, body, _ in batch:
                self._writer.add(seq, body)
            if tickets or final or self._error or time.monotonic() - self._synced_s >= SYNC_S:
                self._writer.sync()
                self._synced_s = time.monotonic()
            else:
                self._writer.flush()
        except OSError as error:
            self._fail(tickets, error.strerror or str(error))
            return
        self._resolve(tickets)
        if self._error:
            self._account("writable again")
        elif self._dropped:
            self._account("records dropped")

    def _prepare(self, batch: list[_Item]) -> None:
        """Find the chain's end and open its file; a batch that cannot go there yet goes back."""
        try:
            if self._seq is None:
                self._seq = self._writer.recover().seq
            self._writer.prepare()
        except OSError:
            with self._changed:
                self._queue.extendleft((seq, body, None) for seq, body, _ in reversed(batch))
            raise

    def _fail(self, tickets: list[Ticket], reason: str) -> None:
        with self._changed:
            self._error = reason
            self._resolve(tickets, reason)
        self._fail_waiting()

    def _fail_waiting(self) -> None:
        """Tell those who wait that they wait in vain; their records stay in the queue."""
        with self._changed:
            waiting = [ticket for _, _, ticket in self._queue if ticket is not None]
            self._queue = deque((seq, body, None) for seq, body, _ in self._queue)
            self._resolve(waiting, self._error or "the log is closed")

    def _resolve(self, tickets: list[Ticket], error: str = "") -> None:
        for ticket in tickets:
            ticket.resolve(error)
        if tickets:
            os.eventfd_write(self._wake, 1)

    def _account(self, what: str) -> None:
        """Put into the chain that the disk refused, and how many records that cost."""
        with self._changed:
            why, self._error = self._error, ""
            fields: dict[str, object] = {"dropped_records": self._dropped}
            # One place more than others get, and than a batch that was put back takes.
            if self._enqueue(None, Kind.AUDIT, _WHO, what, why, fields, extra=_BATCH + 1):
                self._dropped = 0

    def _finish_removals(self) -> None:
        """Remove the files whose removal has become a durable record."""
        for ticket, file in self._removals:
            if ticket.ok:
                file.unlink(missing_ok=True)
        self._removals = [pair for pair in self._removals if not pair[0].done]

    def _remove_old_files(self) -> None:
        """After each rotation, record which files go because of the total size."""
        self._finish_removals()
        if self._error or self._removals or self._writer.files_begun == self._files_checked:
            return
        self._files_checked = self._writer.files_begun
        try:
            surplus = self._writer.surplus(self._keep_bytes)
        except OSError:
            return
        for file, end in surplus:
            ticket = self.append_async(
                Kind.AUDIT, _WHO, f"remove {file.name}", "retention",
                removed_seq=end.seq, removed_mac=end.mac,
            )  # fmt: skip
            self._removals.append((ticket, file))

    def _say_anchor(self, every_s: float) -> None:
        now_s = time.monotonic()
        if self._anchor is not None and now_s - self._anchored_s >= every_s:
            self._anchored_s = now_s
            self._anchor(self.head)
