"""The outbox behind asyncio: messages are gathered, committed together, and then announced.

One thread does everything that touches the disk, so a slow disk delays telemetry and nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from loguru import logger

from agent.utility.bus.outbox import Entry, Outbox

ResultT = TypeVar("ResultT")

TIDY_S: Final = 5.0
LOOK_S: Final = 0.5
"""How old the counters of the outbox may be."""
GATHERED_MAX: Final = 20_000
"""Messages kept in memory while the disk does not take them; beyond it the oldest are lost."""


class Store:
    """Gathers messages and serves them to the transports.

    Args:
        outbox: Used by this object's thread only.
        commit_s: Time between two commits.
    """

    def __init__(self, outbox: Outbox, commit_s: float) -> None:
        self._outbox = outbox
        self._commit_s = commit_s
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._gathered: list[tuple[float, str, bytes]] = []
        self._committed = asyncio.Condition()
        self._tidied_s = self._looked_s = time.monotonic()
        self.last_seq = outbox.last_seq
        self.usage = outbox.usage()
        self.overrun = 0
        """Messages lost before they reached the disk."""

    def put(self, t_utc_s: float, profile: str, payload: bytes) -> None:
        """Take one message; it is sent after the next commit."""
        if len(self._gathered) >= GATHERED_MAX:
            del self._gathered[0]
            self.overrun += 1
        self._gathered.append((t_utc_s, profile, payload))

    async def run(self) -> None:
        """Commit and tidy until cancelled."""
        while True:
            await asyncio.sleep(self._commit_s)
            await self.flush()
            now_s = time.monotonic()
            if now_s - self._tidied_s >= TIDY_S:
                self._tidied_s = now_s
                await self._tidy()
            elif now_s - self._looked_s >= LOOK_S:
                self._looked_s = now_s
                self.usage = await self._call(self._outbox.usage)

    async def flush(self) -> None:
        """Commit what was gathered."""
        batch, self._gathered = self._gathered, []
        if not batch:
            return
        try:
            await self._call(lambda: self._outbox.commit(batch))
        except sqlite3.Error as error:
            logger.error("the outbox cannot be written: {}", error)
            self._gathered = batch + self._gathered
            excess = max(0, len(self._gathered) - GATHERED_MAX)
            self.overrun += excess
            del self._gathered[:excess]
            return
        async with self._committed:
            self.last_seq = self._outbox.last_seq
            self._committed.notify_all()

    async def read(self, after: int, count: int) -> list[Entry]:
        """Return up to `count` messages with numbers above `after`; wait until there is one."""
        async with self._committed:
            await self._committed.wait_for(lambda: self.last_seq > after)
        return await self._call(lambda: self._outbox.read(after, count))

    async def position(self, transport: str) -> int:
        """Return the number up to which this broker has acknowledged."""
        return await self._call(lambda: self._outbox.positions[transport])

    async def acknowledge(self, transport: str, seq: int) -> None:
        """Note that this broker has everything up to `seq`."""
        await self._call(lambda: self._outbox.acknowledge(transport, seq))

    async def renumber(self, above: int) -> None:
        """Give all messages numbers above `above`, in their order."""
        await self._call(lambda: self._outbox.renumber(above))
        self.last_seq = self._outbox.last_seq

    async def close(self) -> None:
        """Commit what was gathered, write the positions, close the file."""
        await self.flush()
        await self._tidy()
        await self._call(self._outbox.close)
        self._thread.shutdown()

    def counters(self, now_utc_s: float) -> dict[str, float]:
        """Return what the heartbeat tells of the outbox."""
        usage = self.usage
        age_s = max(0.0, now_utc_s - usage.oldest_utc_s) if usage.oldest_utc_s else 0.0
        return {
            "outbox_waiting": float(usage.waiting),
            "outbox_stored": float(usage.stored),
            "outbox_bytes": float(usage.bytes),
            "outbox_oldest_s": age_s,
            "outbox_lost": float(usage.lost + self.overrun),
            "outbox_seq": float(self.last_seq),
        }

    async def _tidy(self) -> None:
        try:
            self.usage = await self._call(lambda: self._outbox.tidy(time.time()))
        except sqlite3.Error as error:
            logger.error("the outbox cannot be tidied: {}", error)

    async def _call(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
