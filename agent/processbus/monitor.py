"""What `v2g-monitor` shows: measurements of a running bus or of a capture file."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from agent.errors import ConfigurationError, Finding
from agent.messages import Measurement
from agent.processbus.capture.pcap import CaptureFile
from agent.processbus.capture.source import CaptureOptions, open_source, split
from agent.processbus.filters import FilterChoice
from agent.processbus.frames import Frames
from agent.processbus.pipeline import Pipeline
from agent.processbus.sv.binding import sv_expectations
from agent.processbus.sv.decoder import MOST_ENTRIES, SvDecoder
from agent.processbus.sv.identity import SvExpectation
from agent.processbus.timeline import FileTimeline, LiveTimeline
from agent.processbus.tracks import TrackRules
from agent.scl import read_scl, subscriptions

SLOWEST_REPORTS_PER_S: Final = 10
PRIME_S: Final = 1.0
SLICE_NS: Final = 100_000_000
"""Frames of a file are fed in slices of this much of its time."""
LONGEST_PAUSE_S: Final = 0.005

Report = tuple[Measurement, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorOptions:
    """What to show.

    Attributes:
        interface: Where to capture, empty for a file. `pcap`: the file.
        period_s: From one report to the next.
        real_time: Play a file at the speed at which it was captured.
        names: svIDs to show; empty: all, or those that the SCL binds.
        scd, ied: The station's SCL, and whose subscriptions in it.
    """

    interface: str = ""
    pcap: Path | None = None
    period_s: float = 0.02
    real_time: bool = True
    nominal_hz: int = 50
    filter: Literal["default", "low-latency"] = "default"
    names: tuple[str, ...] = ()
    scd: Path | None = None
    ied: str = ""
    simulation: bool = False


def live_reports(options: MonitorOptions) -> Iterator[Report]:
    """Yield every report with the UTC time at which it was known, until interrupted.

    Raises:
        UnavailableError: The interface cannot be captured from.
    """
    source = open_source(options.interface, CaptureOptions(goose=False))
    timeline = LiveTimeline(time.monotonic, time.time)
    pipeline, keep = _pipeline(options, timeline, wait=False)
    try:
        while True:
            begun_s = timeline.now_s()
            taken = source.take()
            for frames in taken.sv:
                pipeline.feed(frames)
            for measurement in pipeline.reports(taken.known_until_s(begun_s, timeline.bus_s)):
                if keep(measurement):
                    yield measurement, time.time()
            if not taken.drained:
                continue
            wait_s = pipeline.due_s(timeline.now_s()) - timeline.now_s()
            select.select(source.urgent(), [], [], min(max(wait_s, 0.0005), LONGEST_PAUSE_S))
    finally:
        source.close()


def file_reports(options: MonitorOptions) -> Iterator[Report]:
    """Yield every report of a file with the capture time at which it could be known.

    Raises:
        ConfigurationError: The file cannot be read, or holds no sampled values.
    """
    if options.pcap is None:
        raise ConfigurationError((Finding("--pcap", "no file is named"),))
    file = CaptureFile(options.pcap)
    timeline = FileTimeline()
    pipeline, keep = _pipeline(options, timeline, wait=True)
    pipeline.prime(_beginning(file))
    started_s, first_s, last_s = time.monotonic(), math.nan, 0.0
    for frames in _slices(file):
        pipeline.feed(frames)
        last_s = float(frames.time_ns[-1]) / 1e9
        first_s = last_s if math.isnan(first_s) else first_s
        if options.real_time:
            time.sleep(max(0.0, started_s + last_s - first_s - time.monotonic()))
        yield from ((m, m.wire_s) for m in pipeline.reports(last_s) if keep(m))
    if not pipeline.table.tracks:
        raise ConfigurationError((Finding(str(file.path), _why_nothing(pipeline)),))


def _pipeline(
    options: MonitorOptions, timeline: FileTimeline | LiveTimeline, wait: bool
) -> tuple[Pipeline, _Keep]:
    reports_per_s, every = _rate(options.period_s)
    filters = FilterChoice(options.nominal_hz, reports_per_s, options.filter, wait=wait)
    if not wait:
        filters.design(80 * options.nominal_hz)
    rules = TrackRules(options.nominal_hz, options.names, _expected(options), options.simulation)
    budget = MOST_ENTRIES if wait else 32
    pipeline = Pipeline(rules, filters, timeline, time.monotonic, decoder=SvDecoder(budget))
    return pipeline, _Keep(every, options.period_s)


def _expected(options: MonitorOptions) -> tuple[SvExpectation, ...]:
    """What the SCL says about the streams that the IED subscribes to."""
    if options.scd is None:
        return ()
    scl = read_scl(options.scd)
    if not options.ied:
        names = ", ".join(ied.name for ied in scl.ieds)
        raise ConfigurationError((Finding("--ied", "is needed with --scd", f"one of {names}"),))
    return sv_expectations(subscriptions(scl, options.ied), options.nominal_hz)


def _rate(period_s: float) -> tuple[int, int]:
    """Return (reports a second of the estimator, keep every n-th) for a period."""
    rate = 1 / period_s
    if rate >= SLOWEST_REPORTS_PER_S:
        return round(rate), 1
    every = math.ceil(SLOWEST_REPORTS_PER_S * period_s)
    return max(SLOWEST_REPORTS_PER_S, round(every / period_s)), every


@dataclass(frozen=True, slots=True)
class _Keep:
    """Leaves out reports where fewer are wanted than the estimator makes."""

    every: int
    period_s: float

    def __call__(self, measurement: Measurement) -> bool:
        if self.every == 1:
            return True
        off = measurement.t_utc_s / self.period_s
        return abs(off - round(off)) * self.period_s < self.period_s / self.every / 2


def _beginning(file: CaptureFile) -> Frames:
    """The sampled values of the first second."""
    for frames in file.frames():
        for part in split(frames).sv:
            if len(part):
                end_ns = int(part.time_ns[0]) + int(PRIME_S * 1e9)
                return part.select(np.flatnonzero(part.time_ns < end_ns))
    raise ConfigurationError((Finding(str(file.path), "holds no sampled values"),))


def _slices(file: CaptureFile) -> Iterator[Frames]:
    for frames in file.frames():
        for part in split(frames).sv:
            if not len(part):
                continue
            number = part.time_ns // SLICE_NS
            borders = np.flatnonzero(np.diff(number)) + 1
            for piece in np.split(np.arange(len(part)), borders):
                yield part.select(piece)


def _why_nothing(pipeline: Pipeline) -> str:
    reasons = sorted(f"{name}: {reason}" for name, reason in pipeline.table.refused.items())
    decoder = pipeline.decoder.counters
    if decoder.malformed and not reasons:
        reasons = [f"{decoder.malformed} malformed frames"]
    return "no stream can be followed" + (f" ({'; '.join(reasons[:5])})" if reasons else "")
