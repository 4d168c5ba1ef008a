"""Write one record as COMTRADE (IEC 60255-24:2013, IEEE C37.111-2013), FLOAT32 data."""

from __future__ import annotations

import datetime
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.comtrade.record import AnalogChannel, Record

_REVISION: Final = "2013"
_FIRST_SAMPLE: Final = 1
_MICROSECOND_S: Final = 1e-6
_NO_LEAP_SECOND: Final = 0
_LARGEST: Final = 99999.0


def configuration(record: Record) -> str:
    """Return the .cfg file."""
    samples = record.values.shape[1]
    count = len(record.channels)
    lines = [
        f"{_plain(record.station)},{_plain(record.device)},{_REVISION}",
        f"{count},{count}A,0D",
        *(
            _analog(number, channel, record.values[number - 1])
            for number, channel in enumerate(record.channels, start=1)
        ),
        str(record.nominal_hz),
        "1",
        f"{record.rate_hz},{samples}",
        _stamp(record.begin_utc_s),
        _stamp(record.trigger_utc_s),
        "FLOAT32",
        "1",
        "0,0",
        f"{record.time_quality:X},{_NO_LEAP_SECOND}",
    ]
    return "\r\n".join(lines) + "\r\n"


def data(record: Record) -> bytes:
    """Return the .dat file: sample number, time in µs, the channels."""
    samples = record.values.shape[1]
    kind = np.dtype(
        [("number", "<u4"), ("time", "<u4"), ("values", "<f4", (len(record.channels),))]
    )
    rows = np.empty(samples, dtype=kind)
    rows["number"] = np.arange(_FIRST_SAMPLE, samples + _FIRST_SAMPLE)
    rows["time"] = np.rint(np.arange(samples) / record.rate_hz / _MICROSECOND_S)
    rows["values"] = record.values.T
    return rows.tobytes()


def _analog(number: int, channel: AnalogChannel, values: NDArray[np.float32]) -> str:
    known = values[np.isfinite(values)]
    low = max(float(known.min()), -_LARGEST) if len(known) else 0.0
    high = min(float(known.max()), _LARGEST) if len(known) else 0.0
    return (
        f"{number},{_plain(channel.name)},{channel.phase},,{channel.unit},"
        f"1,0,0,{low:.6g},{high:.6g},1,1,P"
    )


def _stamp(utc_s: float) -> str:
    whole = math.floor(utc_s)
    moment = datetime.datetime.fromtimestamp(whole, tz=datetime.UTC)
    microseconds = min(round((utc_s - whole) / _MICROSECOND_S), 999_999)
    return f"{moment:%d/%m/%Y,%H:%M:%S}.{microseconds:06d}"


def _plain(text: str) -> str:
    """Commas and line ends divide fields."""
    return "".join(" " if letter in ",\r\n" else letter for letter in text)[:64]
