"""Read a COMTRADE record: .cfg of 1991, 1999 or 2013, data ASCII, BINARY, BINARY32 or FLOAT32.

The reader is lenient where relays of the field are: missing revision year, spaces around fields,
several sampling rates (the time stamps of the samples then count), sizes of the .dat file that
are not a whole number of samples.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.comtrade.record import AnalogChannel, Record
from agent.errors import ConfigurationError, Finding

MOST_CHANNELS: Final = 9999
MOST_BYTES: Final = 2**30
_STORED: Final = {"BINARY": "<i2", "BINARY32": "<i4", "FLOAT32": "<f4"}
_MISSING: Final = {"BINARY": -32768, "BINARY32": -(2**31)}
_MISSING_STAMP: Final = 0xFFFFFFFF
_MICROSECOND_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Header:
    """What the .cfg file says."""

    station: str
    device: str
    channels: tuple[AnalogChannel, ...]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    digital: int
    nominal_hz: float
    rate_hz: float
    begin_utc_s: float
    trigger_utc_s: float
    form: str
    stamp_s: float
    time_quality: int


class _Lines:
    """The .cfg file line by line; every complaint names file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        text = path.read_bytes()[:MOST_BYTES].decode("utf-8", "replace")
        self.lines = text.splitlines()

    def next(self, least: int = 1) -> list[str]:
        """Return the fields of the next line."""
        self.number += 1
        line = self.lines[self.number - 1] if self.number <= len(self.lines) else ""
        fields = [field.strip() for field in line.split(",")]
        if len(fields) < least or not any(fields):
            raise self.wrong(f"{least} fields expected, {line!r} found")
        return fields

    @property
    def left(self) -> bool:
        """There is another line that says something."""
        return self.number < len(self.lines) and bool(self.lines[self.number].strip())

    def wrong(self, what: str) -> ConfigurationError:
        """Return the error for the line read last."""
        return ConfigurationError((Finding(f"{self.path}:{self.number}", what),))

    def real(self, text: str) -> float:
        """Return a number."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(f"{text!r} is not a number")
        return value

    def count(self, text: str, suffix: str) -> int:
        """Return a number of channels such as `6A`."""
        digits = text.upper().removesuffix(suffix)
        if not digits.isdecimal() or int(digits) > MOST_CHANNELS:
            raise self.wrong(f"{text!r} is not a number of channels")
        return int(digits)


def read_comtrade(path: Path) -> Record:
    """Return the record of a .cfg file (or of the .dat beside it).

    Digital channels are skipped; analog values are in the units of their channels, scaled as the
    .cfg says, NaN where the record says that the sample is missing.

    Raises:
        ConfigurationError: The files are not a COMTRADE record; names file and line.
    """
    cfg = path if path.suffix.lower() == ".cfg" else _sibling(path, ".cfg")
    try:
        header = _header(_Lines(cfg))
        dat = _sibling(cfg, ".dat")
        if dat.stat().st_size > MOST_BYTES:
            raise ConfigurationError((Finding(str(dat), "larger than 1 GiB"),))
        raw, stamps = _samples(header, dat)
    except OSError as error:
        raise ConfigurationError((Finding(str(error.filename), str(error.strerror)),)) from error
    if raw.shape[1] == 0:
        raise ConfigurationError((Finding(str(dat), "holds no sample"),))
    values = (raw * header.scale[:, None] + header.offset[:, None]).astype(np.float32)
    return Record(
        station=header.station,
        device=header.device,
        nominal_hz=round(header.nominal_hz),
        rate_hz=_rate(header, stamps),
        begin_utc_s=header.begin_utc_s,
        trigger_utc_s=header.trigger_utc_s,
        channels=header.channels,
        values=values,
        time_quality=header.time_quality,
    )


def _sibling(path: Path, suffix: str) -> Path:
    for candidate in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if candidate.exists():
            return candidate
    return path.with_suffix(suffix)


def _header(lines: _Lines) -> _Header:
    station, device, *_ = lines.next(2)
    _total, analog, *rest = lines.next(2)
    count = lines.count(analog, "A")
    digital = lines.count(rest[0], "D") if rest else 0
    rows = [lines.next(7) for _ in range(count)]
    scale = [lines.real(row[5]) for row in rows]
    offset = [lines.real(row[6]) for row in rows]
    for _ in range(digital):
        lines.next()
    nominal_hz = lines.real(lines.next()[0])
    rates = max(int(lines.real(lines.next()[0])), 0)
    pairs = [lines.next(2) for _ in range(max(rates, 1))]
    begin_s, trigger_s = _instant(lines), _instant(lines)
    form = lines.next()[0].upper()
    if form not in (*_STORED, "ASCII"):
        raise lines.wrong(f"{form!r} is not a form of data that COMTRADE has")
    multiplier = lines.real(lines.next()[0]) if lines.left else 1.0
    code = lines.next() if lines.left else ["0"]
    quality = lines.next()[0] if lines.left else "0"
    return _Header(
        station=station,
        device=device,
        channels=tuple(AnalogChannel(row[1], row[2], row[4]) for row in rows),
        scale=np.array(scale, dtype=np.float64),
        offset=np.array(offset, dtype=np.float64),
        digital=digital,
        nominal_hz=nominal_hz,
        rate_hz=lines.real(pairs[0][0]) if rates == 1 else 0.0,
        begin_utc_s=begin_s - _offset_s(code[0]),
        trigger_utc_s=trigger_s - _offset_s(code[0]),
        form=form,
        stamp_s=multiplier * _MICROSECOND_S,
        time_quality=int(quality, 16) if quality in set("0123456789abcdefABCDEF") else 15,
    )


def _instant(lines: _Lines) -> float:
    day, clock, *_ = lines.next(2)
    try:
        whole, _, fraction = clock.partition(".")
        moment = datetime.datetime.strptime(f"{day} {whole}", "%d/%m/%Y %H:%M:%S")
        part = float(f"0.{fraction}") if fraction else 0.0
    except ValueError:
        raise lines.wrong(f"{day},{clock} is not dd/mm/yyyy,hh:mm:ss.ssssss") from None
    return moment.replace(tzinfo=datetime.UTC).timestamp() + part


def _offset_s(code: str) -> float:
    """Return the offset from UTC of a time code such as `-5h30` (2013); 0 for anything else."""
    hours, _, minutes = code.lower().partition("h")
    try:
        sign = -1.0 if hours.startswith("-") else 1.0
        return sign * (abs(int(hours)) * 3600.0 + (int(minutes) if minutes else 0) * 60.0)
    except ValueError:
        return 0.0


def _samples(header: _Header, dat: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return raw values, shape (channels, samples), and the samples' times in s."""
    count = len(header.channels)
    if header.form == "ASCII":
        return _ascii(header, dat)
    words = (header.digital + 15) // 16
    kind = np.dtype(
        [
            ("number", "<u4"),
            ("time", "<u4"),
            ("values", _STORED[header.form], (count,)),
            ("digital", "<u2", (words,)),
        ]
    )
    data = dat.read_bytes()
    rows = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], dtype=kind)
    raw = rows["values"].T.astype(np.float64)
    if header.form in _MISSING:
        raw[raw == _MISSING[header.form]] = np.nan
    stamps = np.where(rows["time"] == _MISSING_STAMP, np.nan, rows["time"].astype(np.float64))
    return raw, stamps * header.stamp_s


def _ascii(header: _Header, dat: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    width = 2 + len(header.channels)
    rows = []
    for number, line in enumerate(dat.read_text("ascii", "replace").splitlines(), start=1):
        fields = line.split(",")
        if len(fields) < width:
            continue
        try:
            rows.append([float(field) if field.strip() else np.nan for field in fields[:width]])
        except ValueError:
            found = Finding(f"{dat}:{number}", f"not numbers: {line[:60]!r}")
            raise ConfigurationError((found,)) from None
    table = np.array(rows, dtype=np.float64).reshape(-1, width)
    raw = table[:, 2:].T.copy()
    raw[raw == 99999] = np.nan
    return raw, table[:, 1] * header.stamp_s


def _rate(header: _Header, stamps: NDArray[np.float64]) -> int:
    """Return samples a second: as declared, else as the time stamps say."""
    if header.rate_hz > 0.0:
        return round(header.rate_hz)
    steps = np.diff(stamps)
    step_s = float(np.nanmedian(steps)) if len(steps) and not np.isnan(steps).all() else 0.0
    return max(round(1.0 / step_s), 1) if step_s > 0.0 else 1
