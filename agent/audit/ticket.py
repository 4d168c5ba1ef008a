"""The promise that a record will be on the disk."""

from __future__ import annotations

import threading
from typing import Final

from agent.errors import UnavailableError

HANG_LIMIT_S: Final = 30.0


class Ticket:
    """Follows one durable record; an outcome is told to its sender only when `ok` is true.

    Attributes:
        seq: The record's sequence number; 0 where the log took no record.
        error: Why it is not durable; empty where it is.
    """

    __slots__ = ("_event", "error", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.error = ""
        self._event = threading.Event()

    @property
    def done(self) -> bool:
        """It is decided: the record is durable, or the disk refused it."""
        return self._event.is_set()

    @property
    def ok(self) -> bool:
        """The record is durable."""
        return self.done and not self.error

    def wait(self, timeout_s: float = HANG_LIMIT_S) -> int:
        """Block until it is durable; return its sequence number. Never call it in a tick.

        Raises:
            UnavailableError: It could not be made durable.
        """
        if not self._event.wait(timeout_s):
            raise UnavailableError(f"audit: the disk did not answer in {timeout_s:g} s")
        if self.error:
            raise UnavailableError(f"audit: {self.error}")
        return self.seq

    def resolve(self, error: str = "") -> None:
        """Decide it; called once, by the log."""
        self.error = error
        self._event.set()
