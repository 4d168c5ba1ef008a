"""Play waveforms through an estimator as a process bus would: report by report, on UTC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.estimation import Estimator, Settings
from agent.estimation.waveform import LE_VOLTS_PER_COUNT, to_counts

Array = NDArray[np.float64]
Transport = Callable[[Array], Array]
"""What a merging unit and its frames do to samples of shape (streams, 3, n)."""


class Source(Protocol):
    def voltages(self, t_s: Array) -> Array: ...


@dataclass(frozen=True)
class Recording:
    """Reports of every stream: arrays of shape (reports, streams)."""

    instant_s: Array
    f_hz: Array
    rocof_hz_s: Array
    uncertainty_hz: Array
    quality: NDArray[np.uint8]
    flags: NDArray[np.uint16]
    phase_rad: Array
    v1_v: Array

    def between(self, start_s: float, end_s: float) -> Recording:
        kept = (self.instant_s > start_s - 1e-9) & (self.instant_s < end_s + 1e-9)
        return Recording(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


def quantised(samples: Array) -> Array:
    """As IEC 61850-9-2LE sends them: INT32 of 10 mV."""
    return to_counts(samples) * LE_VOLTS_PER_COUNT


def exact(samples: Array) -> Array:
    return samples


def play(
    settings: Settings,
    sources: Sequence[Source],
    duration_s: float,
    transport: Transport = quantised,
) -> Recording:
    """Play one waveform a stream; the first sample is taken at t = 0, a UTC second."""

    rate = settings.samples_per_second
    t_s = np.arange(int(duration_s * rate) + rate // 50) / rate
    samples = transport(np.stack([source.voltages(t_s) for source in sources]))

    def voltages(block_s: Array) -> Array:
        first = round(block_s[0] * rate)
        return samples[..., first : first + len(block_s)]

    return play_block(settings, voltages, len(sources), duration_s)


def play_block(
    settings: Settings, voltages: Transport, streams: int, duration_s: float
) -> Recording:
    """Play ``voltages(t_s)`` of shape (streams, 3, len(t_s))."""
    estimator = Estimator(settings, streams)
    rate = settings.samples_per_second
    reports = int((duration_s - settings.delay_samples / rate) * settings.reports_per_second)
    rows = []
    start = 0
    for report in range(1, reports + 1):
        end = settings.newest_sample(report) + 1
        t_s = np.arange(start, end) / rate
        estimator.push(voltages(t_s))
        estimates = estimator.report()
        assert estimates.instant_sample == end - 1 - settings.delay_samples
        rows.append(
            (
                estimates.instant_sample / rate,
                estimates.f_hz,
                estimates.rocof_hz_s,
                estimates.uncertainty_hz,
                estimates.quality,
                estimates.flags,
                estimates.v1_phase_rad,
                estimates.v1_v,
            )
        )
        start = end
    return Recording(*(np.array(column) for column in zip(*rows, strict=True)))
