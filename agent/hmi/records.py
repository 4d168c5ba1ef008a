"""Recorded events for the page: their list, their waveforms, their scores.

The process bus records them as COMTRADE (IEC 60255-24:2013) with a summary; `v2g-study event` may
lay scores beside one (`NAME-scores/scores.json`). The page gets the envelope of each waveform: of
every short span the least and the greatest sample, so that no peak is lost on a screen.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent import strict_json
from agent.comtrade import read_comtrade
from agent.errors import DecodeError

NEWEST: Final = 100
POINTS: Final = 3000
"""Points of a waveform that the page gets; a screen shows no more."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_LARGEST: Final = 64 << 20
_SHOWN: Final = ("name", "value", "unit", "passed", "note")


def event_folder(state_dir: Path) -> Path:
    """Return where the process bus records: each unit has a folder of its own."""
    candidates = (
        state_dir / "events",
        state_dir / "processbus" / "events",
        state_dir.parent / "processbus" / "events",
    )
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])


class Records:
    """The folder of recorded events, as the page sees it.

    Args:
        state_dir: See `event_folder`.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def newest(self) -> list[dict[str, Any]]:
        """Return the summaries of the newest events, with a score where there is one."""
        folder = event_folder(self._state_dir)
        found = []
        names = sorted((path.name for path in folder.glob("*.cfg")), reverse=True)[:NEWEST]
        for name in names:
            stem = name.removesuffix(".cfg")
            summary = _json(folder / f"{stem}.json")
            if summary is not None:
                found.append({**summary, "name": stem, "score": self._score(folder, stem)})
        return found

    def waveforms(self, name: str) -> bytes:
        """Return one event as JSON: summary, score and the envelope of each channel.

        Raises:
            OSError: There is no such event.
            DecodeError: Not a name, or more than a page can show.
            ConfigurationError: Its files are not a COMTRADE record.
        """
        if not _NAME.fullmatch(name) or name.startswith("."):
            raise DecodeError("not the name of an event")
        folder = event_folder(self._state_dir)
        if (folder / f"{name}.dat").stat().st_size > _LARGEST:
            raise DecodeError(f"{name} is larger than this page shows")
        record = read_comtrade(folder / f"{name}.cfg")
        times_s, channels = envelope(record.values.astype(np.float64), record.rate_hz)
        body = {
            "name": name,
            "summary": _json(folder / f"{name}.json"),
            "score": self._score(folder, name),
            "begin": _stamp(record.begin_utc_s),
            "trigger_s": round(record.trigger_utc_s - record.begin_utc_s, 6),
            "t_s": times_s,
            "channels": [
                {"name": channel.name, "unit": channel.unit, "values": values}
                for channel, values in zip(record.channels, channels, strict=True)
            ],
        }
        return msgspec.json.encode(body)

    def _score(self, folder: Path, stem: str) -> list[dict[str, Any]] | None:
        document = _json(folder / f"{stem}-scores" / "scores.json")
        rows = document.get("scores") if document is not None else None
        if not isinstance(rows, list):
            return None
        return [{key: row.get(key) for key in _SHOWN} for row in rows if isinstance(row, dict)]


def envelope(
    values: NDArray[np.float64], rate_hz: float
) -> tuple[list[float], list[list[float | None]]]:
    """Return instants (s from the beginning) and each channel, thinned to at most `POINTS`.

    Of each span both extremes are kept, at the span's beginning and middle.

    Args:
        values: (channels, samples), NaN where one is missing.
        rate_hz: Samples a second.
    """
    span = max(1, -(-2 * values.shape[1] // POINTS))
    if span <= 2:
        times_s = np.arange(values.shape[1]) / rate_hz
        return _plain(times_s), [_known(row) for row in values]
    spans = values.shape[1] // span
    blocks = values[:, : spans * span].reshape(len(values), spans, span)
    low, high = _extreme(blocks, np.inf), _extreme(blocks, -np.inf)
    pairs = np.stack((low, high), axis=2).reshape(len(values), 2 * spans)
    times_s = np.arange(2 * spans) * span / 2 / rate_hz
    return _plain(times_s), [_known(row) for row in pairs]


def _extreme(blocks: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Least (start +inf) or greatest (−inf) of each span; NaN where all of it is missing."""
    function = np.fmin if start > 0 else np.fmax
    found: NDArray[np.float64] = function.reduce(blocks, axis=2, initial=start)
    return np.where(np.isinf(found), np.nan, found)


def _stamp(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(sep=" ", timespec="milliseconds")[:-6]


def _plain(times_s: NDArray[np.float64]) -> list[float]:
    rounded: list[float] = np.round(times_s, 5).tolist()
    return rounded


def _known(row: NDArray[np.float64]) -> list[float | None]:
    return [round(value, 4) if value == value else None for value in row.tolist()]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = strict_json.decode(path.read_bytes(), dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    return found
