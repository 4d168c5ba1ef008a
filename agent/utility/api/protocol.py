"""HTTP/1.1 for clients that may be slow, silent, or many: none of them keeps the others out.

uvicorn bounds how long a connection may rest between two requests, not how long one may take to
send its first or its next headers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S: Final = 10.0
"""From the connection, or from the first byte of a request, to the end of its headers."""
PER_ADDRESS: Final = 64
"""Connections of one address at the same time."""

_open: Counter[str] = Counter()


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with a time for headers and a bound for each address."""

    _waiting: asyncio.TimerHandle | None = None
    _address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; close it where its address has too many."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        _open[self._address] += 1
        self._wait()
        if _open[self._address] > PER_ADDRESS:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request that begins must have its headers in time."""
        # None before the first request, whatever its type says
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._wait()
        super().data_received(data)

    def handle_events(self) -> None:
        """Stop the clock when a request's headers are complete."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        _open[self._address] -= 1
        if _open[self._address] <= 0:
            del _open[self._address]
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEADERS_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.abort()
