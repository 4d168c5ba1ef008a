"""Follow every stream, and keep samples and estimates around each event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.comtrade import AnalogChannel, Record
from agent.messages import Measurement
from agent.processbus.events.detector import EventDetector, EventRules
from agent.processbus.events.store import EventSummary, event_name
from agent.processbus.groups import Group

PRE_TRIGGER_S: Final = 0.3
_VOLTAGES: Final = tuple(AnalogChannel(f"V{p}", p, "V") for p in "ABC")
_CURRENTS: Final = tuple(AnalogChannel(f"I{p}", p, "A") for p in "ABC")
_ESTIMATES: Final = (
    AnalogChannel("f", "", "Hz"),
    AnalogChannel("ROCOF", "", "Hz/s"),
    AnalogChannel("V1", "", "V"),
)
_TIME_UNKNOWN: Final = 15


class Store(Protocol):
    """Where finished records go."""

    def put(self, record: Record, summary: EventSummary) -> None:
        """Take a record."""


@dataclass(slots=True)
class _Recording:
    """What has been gathered of the event that is on."""

    first: int
    next: int
    blocks: list[NDArray[np.float32]] = field(default_factory=list)
    reports: list[Measurement] = field(default_factory=list)


@dataclass(slots=True)
class EventRecorder:
    """Records the events of all streams.

    Attributes:
        rules: What makes an event.
        store: Takes the records.
        station: Name of the place, for the files.
        most_at_once: Streams recorded at the same time; a disturbance hits all of them.
    """

    rules: EventRules
    store: Store
    station: str
    most_at_once: int = 4
    _detectors: dict[str, EventDetector] = field(default_factory=dict)
    _recordings: dict[str, _Recording] = field(default_factory=dict)

    def see(self, group: Group, row: int, report: Measurement) -> None:
        """Take one report of one stream, whose samples are still in its group."""
        name = report.source
        detector = self._detectors.setdefault(name, EventDetector(self.rules))
        ended = detector.see(report)
        recording = self._recordings.get(name)
        if recording is None and detector.cause is not None:
            if len(self._recordings) >= self.most_at_once:
                return
            recording = self._begin(group, report)
            self._recordings[name] = recording
        if recording is None:
            return
        self._gather(recording, group, row, report)
        if ended:
            del self._recordings[name]
            self._finish(recording, group, report, detector)

    def _begin(self, group: Group, report: Measurement) -> _Recording:
        instant = round((report.t_utc_s - group.label_s) * group.rate_hz)
        first = max(instant - int(PRE_TRIGGER_S * group.rate_hz), group.grid.oldest)
        return _Recording(first, first)

    def _gather(self, recording: _Recording, group: Group, row: int, report: Measurement) -> None:
        recording.blocks.append(group.grid.samples(row, recording.next, group.grid.pushed))
        recording.next = group.grid.pushed
        recording.reports.append(report)

    def _finish(
        self, recording: _Recording, group: Group, last: Measurement, detector: EventDetector
    ) -> None:
        samples = np.concatenate(recording.blocks).T
        begin_s = recording.first / group.rate_hz + group.label_s
        times_s = begin_s + np.arange(samples.shape[1]) / group.rate_hz
        channels = (*_VOLTAGES, *(_CURRENTS if len(samples) > len(_VOLTAGES) else ()))
        trigger_s = recording.reports[0].t_utc_s
        record = Record(
            station=self.station,
            device=last.source,
            nominal_hz=round(self.rules.nominal_hz),
            rate_hz=group.rate_hz,
            begin_utc_s=begin_s,
            trigger_utc_s=trigger_s,
            channels=(*channels, *_ESTIMATES),
            values=np.concatenate([samples, _held(recording.reports, times_s)]),
            time_quality=0 if last.smp_synch else _TIME_UNKNOWN,
        )
        self.store.put(record, self._summary(recording, record, detector))

    def _summary(
        self, recording: _Recording, record: Record, detector: EventDetector
    ) -> EventSummary:
        frequencies = [report.f_hz for report in recording.reports]
        voltages = [report.v1_v for report in recording.reports]
        return EventSummary(
            name=event_name(record.device, record.trigger_utc_s),
            stream=record.device,
            t_utc_s=record.trigger_utc_s,
            duration_s=record.values.shape[1] / record.rate_hz,
            cause=str(detector.ended_cause),
            f_min_hz=min(frequencies),
            f_max_hz=max(frequencies),
            v_min_v=min(voltages),
            v_max_v=max(voltages),
        )


def _held(reports: list[Measurement], times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Estimates at each sample: the newest report not later than it, NaN before the first."""
    instants_s = np.array([report.t_utc_s for report in reports])
    at = np.searchsorted(instants_s, times_s + 1e-9, side="right") - 1
    columns = np.array([[r.f_hz, r.rocof_hz_s, r.v1_v] for r in reports], dtype=np.float32).T
    held: NDArray[np.float32] = np.where(at >= 0, columns[:, np.maximum(at, 0)], np.nan)
    return held.astype(np.float32)
