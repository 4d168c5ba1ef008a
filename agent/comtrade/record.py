"""One record of COMTRADE: what the recorder writes and the study reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AnalogChannel:
    """One analog channel.

    Attributes:
        name: Channel identifier. `phase`: A, B, C or empty. `unit`: V, A, Hz…
    """

    name: str
    phase: str
    unit: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is written.

    Attributes:
        station: Name of the place. `device`: the recorder, here the stream.
        nominal_hz: Of the network. `rate_hz`: samples per second.
        begin_utc_s: Instant of the first sample. `trigger_utc_s`: of the trigger.
        channels: One for each row of `values`.
        values: (channels, samples); NaN where a sample is missing.
        time_quality: Quality of the time (C37.118 message time quality): 0 locked, 15 unknown.
    """

    station: str
    device: str
    nominal_hz: int
    rate_hz: int
    begin_utc_s: float
    trigger_utc_s: float
    channels: tuple[AnalogChannel, ...]
    values: NDArray[np.float32]
    time_quality: int = 0
