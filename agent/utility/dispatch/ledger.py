"""What was used, on disk: no token is carried out twice, not even over a power cut.

One line a token: ``counter issued jti checksum``. A line is on the disk (fdatasync) before its
token counts as accepted. Counters only rise. Where the history is lost (no file, or a damaged
one), nothing that was issued before the loss is accepted any more; that bounds what a replay
could find to nothing, without an operator having to do anything.
"""

from __future__ import annotations

import os
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger

from agent.errors import RefusedError, SignatureError

REMEMBERED: Final = 10_000
"""Names of tokens kept; older ones are refused by their counter anyway."""
BEGIN: Final = "-"
"""Name in the line that marks a beginning without history."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One used token: its counter, its `iat`, its `jti`."""

    counter: int
    issued_s: float
    jti: str

    def line(self) -> bytes:
        """Return the line that stands for it."""
        body = f"{self.counter} {self.issued_s!r} {self.jti}".encode()
        return b"%s %08x\n" % (body, zlib.crc32(body))


class Ledger:
    """The used tokens of one issuer.

    Args:
        path: The file; its folder must exist.
        max_skew_s: By how much `iat` may fall behind that of the token before.

    Attributes:
        counter: Of the last accepted token.
        begun: There is a history to judge by; else call `begin` first.
    """

    def __init__(self, path: Path, max_skew_s: float = 5.0) -> None:
        self.path = path
        self.counter = 0
        self.begun = False
        self._skew_s = max_skew_s
        self._issued_s = 0.0
        self._floor_s = 0.0
        self._used: OrderedDict[str, None] = OrderedDict()
        self._lines = 0
        self._size = 0
        self._broken = ""
        entries, damaged = _read(path)
        for entry in entries:
            self._note(entry)
        self.begun = bool(entries) and not damaged
        self._fd = -1
        if self.begun:
            self._rewrite(entries)

    def begin(self, now_utc_s: float) -> None:
        """Start a history now: what was issued until now, by any clock, is refused.

        Raises:
            RefusedError: The disk does not take it.
        """
        if self.begun:
            return
        mark = Entry(self.counter, now_utc_s + self._skew_s, BEGIN)
        kept = [Entry(self.counter, self._issued_s, jti) for jti in self._used]
        self._rewrite([*kept, mark])
        self._note(mark)
        self.begun = True

    def check(self, counter: int, issued_s: float, jti: str) -> None:
        """Tell whether a token may be accepted.

        Raises:
            SignatureError: It, or a newer one, was used before.
        """
        if not self.begun:
            raise SignatureError("replay: there is no record of used tokens yet")
        if jti in self._used:
            raise SignatureError(f"replay: jti {jti} was used before")
        if counter <= self.counter:
            raise SignatureError(f"replay: ctr {counter} is not above {self.counter}")
        if issued_s <= self._floor_s:
            raise SignatureError("replay: issued before the record of used tokens began")
        if issued_s < self._issued_s - self._skew_s:
            raise SignatureError("replay: issued before a token that was accepted")

    def commit(self, counter: int, issued_s: float, jti: str) -> None:
        """Mark a token as used; when this returns, the disk knows.

        Raises:
            SignatureError: As `check`.
            RefusedError: The disk does not take it; the token is not used.
        """
        self.check(counter, issued_s, jti)
        entry = Entry(counter, issued_s, jti)
        self._append(entry.line())
        self._note(entry)
        self._lines += 1
        if self._lines > 2 * REMEMBERED:
            self._shorten()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _note(self, entry: Entry) -> None:
        self.counter = max(self.counter, entry.counter)
        self._issued_s = max(self._issued_s, entry.issued_s)
        if entry.jti == BEGIN:
            self._floor_s = max(self._floor_s, entry.issued_s)
            return
        self._used[entry.jti] = None
        if len(self._used) > REMEMBERED:
            self._used.popitem(last=False)

    def _shorten(self) -> None:
        try:
            self._rewrite([Entry(self.counter, self._issued_s, name) for name in self._used])
        except RefusedError as error:  # the long file is as good, and the token is in it
            logger.warning("{}", error)
            self._lines = 0

    def _append(self, line: bytes) -> None:
        if self._broken:
            raise RefusedError(self._broken)
        try:
            if os.write(self._fd, line) != len(line):
                raise OSError("a part of the line was written")  # noqa: TRY301
            os.fdatasync(self._fd)
        except OSError as error:
            self._cut(str(error))
            raise RefusedError(f"the token cannot be recorded: {error}") from error
        self._size += len(line)

    def _cut(self, reason: str) -> None:
        """Take back what a failed write left; without that the file is not written again."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._broken = f"{self.path} cannot be written: {reason}"
            logger.error("{}; signed dispatch is refused until a restart", self._broken)

    def _rewrite(self, entries: list[Entry]) -> None:
        """Replace the file by these entries, the floor among them, at once or not at all."""
        kept = entries[-REMEMBERED:]
        if self._floor_s and all(entry.jti != BEGIN for entry in kept):
            kept.insert(0, Entry(self.counter, self._floor_s, BEGIN))
        data = b"".join(entry.line() for entry in kept)
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            fresh.replace(self.path)
            _sync_folder(self.path.parent)
            self.close()
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise RefusedError(f"{self.path} cannot be written: {error.strerror}") from error
        self._lines, self._size = len(kept), len(data)


def _read(path: Path) -> tuple[list[Entry], bool]:
    """Return the entries of a file, and whether some were lost.

    A last line that was torn by a power cut counts as a loss: it costs the sender one new token.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], False
    found = [_entry(line) for line in data.removesuffix(b"\n").split(b"\n")]
    entries = [entry for entry in found if entry is not None]
    damaged = len(entries) != len(found) or not data.endswith(b"\n")
    if damaged:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        logger.error("{} is damaged, kept as {}; older tokens are refused", path, aside.name)
    return entries, damaged


def _entry(line: bytes) -> Entry | None:
    body, _, checksum = line.rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        counter, issued_s, jti = body.decode("ascii").split(" ")
        return Entry(int(counter), float(issued_s), jti)
    except ValueError:
        return None


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
