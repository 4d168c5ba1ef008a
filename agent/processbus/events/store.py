"""The folder of recorded events: written in the background, bounded in size and age."""

from __future__ import annotations

import datetime
import queue
import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent import strict_json
from agent.comtrade import Record, configuration, data

_SUFFIXES: Final = (".json", ".cfg", ".dat")
"""Removed in this order: without its summary an event is no longer listed."""
_WAITING: Final = 16
_DAY_S: Final = 86400.0


class EventSummary(msgspec.Struct, frozen=True):
    """One recorded event, as listed.

    Attributes:
        name: Of its files, without suffix. `stream`: svID.
        t_utc_s: When it began. `duration_s`: how long the record is.
        cause: `frequency`, `rocof`, `voltage` or `step`.
        f_min_hz, f_max_hz, v_min_v, v_max_v: Extremes of the reports in it.
        size: Octets of its files.
    """

    name: str
    stream: str
    t_utc_s: float
    duration_s: float
    cause: str
    f_min_hz: float
    f_max_hz: float
    v_min_v: float
    v_max_v: float
    size: int = 0


def list_events(folder: Path) -> tuple[EventSummary, ...]:
    """Return the recorded events of a folder, newest first; what is no event is left out."""
    found = []
    for path in folder.glob("*.json"):
        try:
            summary = strict_json.decode(path.read_bytes(), EventSummary)
        except (OSError, msgspec.DecodeError):
            continue
        if path.with_suffix(".cfg").exists():
            found.append(msgspec.structs.replace(summary, name=path.stem, size=_size(path)))
    return tuple(sorted(found, key=lambda summary: summary.t_utc_s, reverse=True))


def event_name(stream: str, t_utc_s: float) -> str:
    """Return a file name that sorts by time."""
    moment = datetime.datetime.fromtimestamp(t_utc_s, tz=datetime.UTC)
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", stream)[:32]
    return f"{moment:%Y%m%dT%H%M%S}_{int(t_utc_s * 1000) % 1000:03d}_{safe}"


def _size(path: Path) -> int:
    return sum(
        path.with_suffix(suffix).stat().st_size
        for suffix in _SUFFIXES
        if path.with_suffix(suffix).exists()
    )


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept.

    Attributes:
        octets: Of all files together. `age_s`: of the oldest.
    """

    octets: float
    age_s: float

    @classmethod
    def of(cls, megabytes: float, days: float) -> Retention:
        """Return the retention of the settings' units."""
        return cls(megabytes * 1e6, days * _DAY_S)


def keep(folder: Path, events: deque[EventSummary], retention: Retention, now_utc_s: float) -> int:
    """Remove the oldest events until the rest may stay; return how many went.

    Args:
        folder: Where their files are.
        events: What is there, oldest first; what is removed leaves it.
        retention: How much may stay.
        now_utc_s: For their age.
    """
    total = sum(event.size for event in events)
    removed = 0
    while events:
        too_old = now_utc_s - events[0].t_utc_s > retention.age_s
        if not too_old and total <= retention.octets:
            break
        event = events.popleft()
        for suffix in _SUFFIXES:
            (folder / f"{event.name}{suffix}").unlink(missing_ok=True)
        total -= event.size
        removed += 1
    return removed


class EventStore:
    """Writes records in a thread of its own; a full disk costs records, never a report."""

    def __init__(self, folder: Path, retention: Retention) -> None:
        self.folder = folder
        self._retention = retention
        self._events: deque[EventSummary] | None = None
        self._queue: queue.Queue[tuple[Record, EventSummary] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()
        self.written = 0
        self.lost = 0

    def put(self, record: Record, summary: EventSummary) -> None:
        """Hand over a record; it is dropped and counted if too many wait."""
        try:
            self._queue.put_nowait((record, summary))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits, then end."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                self._write(*job)
                self.written += 1
            except OSError as error:
                self.lost += 1
                logger.error("an event could not be recorded: {}", error)

    def _write(self, record: Record, summary: EventSummary) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._events is None:  # the folder is read once: an event costs the same among thousands
            self._events = deque(reversed(list_events(self.folder)))
        base = self.folder / summary.name
        base.with_suffix(".dat").write_bytes(data(record))
        base.with_suffix(".cfg").write_bytes(configuration(record).encode("ascii", "replace"))
        path = base.with_suffix(".json")
        path.write_bytes(msgspec.json.encode(summary))
        self._events.append(msgspec.structs.replace(summary, size=_size(path)))
        keep(self.folder, self._events, self._retention, time.time())
        logger.info("recorded {} ({})", summary.name, summary.cause)
