"""Recorded events for the page: their list, their waveforms, their scores.

The process bus records them as COMTRADE (IEC 60255-24:2013) with a summary; `v2g-study` may lay a
score beside one (`NAME.score.json`). The page gets the envelope of each waveform: of every short
span the least and the greatest sample, so that no peak is lost at any zoom of the first view.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent.errors import DecodeError

NEWEST: Final = 100
POINTS: Final = 3000
"""Points of a waveform that the page gets; a screen shows no more."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_LARGEST: Final = 64 << 20
_ANALOG_FIELDS: Final = 13


@dataclass(frozen=True, slots=True)
class Recording:
    """What one COMTRADE record holds.

    Attributes:
        names, units: Of the channels. `values`: (channels, samples), NaN where missing.
        rate_hz: Samples a second. `begin`, `trigger`: as the file has them, UTC.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: NDArray[np.float64]
    rate_hz: float
    begin: str
    trigger: str


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
            DecodeError: Its files are not what they should be.
        """
        if not _NAME.fullmatch(name) or name.startswith("."):
            raise DecodeError("not the name of an event")
        folder = event_folder(self._state_dir)
        recording = read_comtrade(folder / f"{name}.cfg")
        times_s, channels = envelope(recording)
        body = {
            "name": name,
            "summary": _json(folder / f"{name}.json"),
            "score": self._score(folder, name),
            "begin": recording.begin,
            "trigger": recording.trigger,
            "t_s": times_s,
            "channels": [
                {"name": channel, "unit": unit, "values": values}
                for channel, unit, values in zip(
                    recording.names, recording.units, channels, strict=True
                )
            ],
        }
        return msgspec.json.encode(body)

    def _score(self, folder: Path, stem: str) -> dict[str, Any] | None:
        return _json(folder / f"{stem}.score.json")


def read_comtrade(path: Path) -> Recording:
    """Read a record of analog channels in FLOAT32, as the process bus writes them.

    Raises:
        OSError: A file cannot be read.
        DecodeError: Not such a record.
    """
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    data_path = path.with_suffix(".dat")
    if data_path.stat().st_size > _LARGEST:
        raise DecodeError(f"{data_path}: larger than this page shows")
    try:
        count = int(lines[1].split(",")[1].removesuffix("A"))
        channels = [line.split(",") for line in lines[2 : 2 + count]]
        rate_hz = float(lines[4 + count].split(",")[0])
        begin, trigger, kind = lines[5 + count : 8 + count]
        if kind != "FLOAT32" or any(len(fields) != _ANALOG_FIELDS for fields in channels):
            raise DecodeError(f"{path}: not FLOAT32")
        row = np.dtype([("number", "<u4"), ("time", "<u4"), ("values", "<f4", (count,))])
        data = data_path.read_bytes()
        rows = np.frombuffer(data, dtype=row, count=len(data) // row.itemsize)
    except (ValueError, IndexError) as error:
        raise DecodeError(f"{path}: not a COMTRADE record: {error}") from error
    names = tuple(fields[1] for fields in channels)
    units = tuple(fields[4] for fields in channels)
    values = rows["values"].T.astype(np.float64)
    return Recording(names, units, values, rate_hz, begin, trigger)


def envelope(recording: Recording) -> tuple[list[float], list[list[float | None]]]:
    """Return instants (s from the beginning) and each channel, thinned to at most `POINTS`.

    Of each span both extremes are kept, at the span's beginning and middle.
    """
    values = recording.values
    span = max(1, -(-2 * values.shape[1] // POINTS))
    if span <= 2:
        times_s = np.arange(values.shape[1]) / recording.rate_hz
        return _plain(times_s), [_known(row) for row in values]
    spans = values.shape[1] // span
    blocks = values[:, : spans * span].reshape(len(values), spans, span)
    low, high = _extreme(blocks, np.inf), _extreme(blocks, -np.inf)
    pairs = np.stack((low, high), axis=2).reshape(len(values), 2 * spans)
    times_s = np.arange(2 * spans) * span / 2 / recording.rate_hz
    return _plain(times_s), [_known(row) for row in pairs]


def _extreme(blocks: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Least (start +inf) or greatest (−inf) of each span; NaN where all of it is missing."""
    function = np.fmin if start > 0 else np.fmax
    found: NDArray[np.float64] = function.reduce(blocks, axis=2, initial=start)
    return np.where(np.isinf(found), np.nan, found)


def _plain(times_s: NDArray[np.float64]) -> list[float]:
    rounded: list[float] = np.round(times_s, 5).tolist()
    return rounded


def _known(row: NDArray[np.float64]) -> list[float | None]:
    return [round(value, 4) if value == value else None for value in row.tolist()]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    return found
