"""Read the store, while it is written or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from agent.errors import UnavailableError
from agent.hmi.history.database import QUALITIES, micros
from agent.hmi.history.store import FILE

CHUNK: Final = 32_768


class Table(StrEnum):
    """What can be read."""

    MEASUREMENTS = "measurements"
    EVSES = "evses"
    EVENTS = "events"


COLUMNS: Final[dict[Table, tuple[str, ...]]] = {
    Table.MEASUREMENTS: (
        "t_utc_s", "f_hz", "rocof_hz_s", "v1_v", "quality", "target_w", "ordered_w", "p_w",
    ),
    Table.EVSES: ("t_utc_s", "evse_id", "p_w", "ordered_w", "soc_pct", "online"),
    Table.EVENTS: ("t_utc_s", "kind", "source", "text"),
}  # fmt: skip
_QUERIES: Final = {
    Table.MEASUREMENTS: "SELECT t_us, f_hz, rocof_hz_s, v1_v, quality, target_w, ordered_w, p_w"
    " FROM measurements WHERE t_us BETWEEN ? AND ? ORDER BY t_us",
    Table.EVSES: "SELECT t_us, name, p_w, ordered_w, soc_pct, online FROM evses"
    " JOIN evse_names ON id = evse WHERE t_us BETWEEN ? AND ? ORDER BY t_us, evse",
    Table.EVENTS: "SELECT t_us, kind, source, text FROM events"
    " WHERE t_us BETWEEN ? AND ? ORDER BY t_us, id",
}
_QUALITY_AT: Final = 4
_ONLINE_AT: Final = 5


def history_file(state_dir: Path) -> Path:
    """Return the store's file: the HMI's unit has a folder of its own below `state_dir`."""
    beside = state_dir / "hmi" / FILE
    return beside if beside.exists() else state_dir / FILE


def read(
    path: Path, table: Table, from_utc_s: float, to_utc_s: float
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield the rows of a table between two instants in chunks, oldest first.

    Each row has the values of `COLUMNS`; None where one is unknown.

    Raises:
        UnavailableError: There is no store, or it cannot be read.
    """
    if not path.exists():
        raise UnavailableError(f"{path}: no telemetry has been recorded ([history] enabled?)")
    bounds = (micros(max(from_utc_s, 0.0)), micros(min(to_utc_s, 1e11)))
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            cursor = db.execute(_QUERIES[table], bounds)
            while chunk := cursor.fetchmany(CHUNK):
                yield [_row(table, row) for row in chunk]
        finally:
            db.close()
    except sqlite3.Error as error:
        raise UnavailableError(f"{path}: cannot be read: {error}") from error


def _row(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    values = [row[0] / 1e6, *row[1:]]
    if table is Table.MEASUREMENTS:
        values[_QUALITY_AT] = str(QUALITIES[row[_QUALITY_AT]])
    elif table is Table.EVSES:
        values[_ONLINE_AT] = bool(row[_ONLINE_AT])
    return tuple(values)
