"""A capture and everything that listens to it, in one `step`."""

from __future__ import annotations

import time
from collections.abc import Iterator

from agent.config import Settings
from agent.messages import Message
from agent.processbus.capture.source import Source, open_source
from agent.processbus.filters import FilterChoice
from agent.processbus.pipeline import Pipeline
from agent.processbus.timeline import LiveTimeline
from agent.processbus.tracks import TrackRules

USUAL_SAMPLES_PER_CYCLE = 80


class ProcessBusReader:
    """Everything that one process makes of one bus.

    Args:
        source: Where frames come from.
        pipeline: What sampled values become.
        timeline: Of the pipeline.
    """

    def __init__(self, source: Source, pipeline: Pipeline, timeline: LiveTimeline) -> None:
        self._source = source
        self._pipeline = pipeline
        self._timeline = timeline

    def step(self) -> Iterator[Message]:
        """Take what waits; yield what became of it."""
        taken = self._source.take()
        for frames in taken.sv:
            self._pipeline.feed(frames)
        yield from self._pipeline.reports(self._timeline.now_s())

    def idle_s(self) -> float:
        """How long nothing can become due."""
        now_s = self._timeline.now_s()
        return self._pipeline.due_s(now_s) - now_s

    def urgent(self) -> list[int]:
        """Descriptors to wake up for."""
        return self._source.urgent()

    def state(self) -> Iterator[Message]:
        """Yield what a control that just connected must know."""
        return iter(())

    def health(self) -> Iterator[Message]:
        """Yield the state of every subscription."""
        return iter(())

    def counters(self) -> dict[str, float]:
        """Return counters for the heartbeat."""
        decoder = self._pipeline.decoder.counters
        for group in self._pipeline.groups:
            group.settle_counters()
        tracks = self._pipeline.table.tracks
        return {
            "frames": self._source.received,
            "dropped": self._source.dropped,
            "malformed": decoder.malformed,
            "unknown": decoder.unknown,
            "streams": sum(track.group >= 0 for track in tracks),
            "samples_lost": sum(track.counters.lost for track in tracks),
            "samples_late": sum(track.counters.late for track in tracks),
        }

    def close(self) -> None:
        """End the capture."""
        self._source.close()


def reader_from_settings(settings: Settings) -> ProcessBusReader:
    """Return the reader that `[process_bus]` describes.

    Raises:
        UnavailableError: The interface cannot be captured from.
    """
    bus, nominal_hz = settings.process_bus, settings.grid.nominal_hz
    source = open_source(bus.interface)
    filters = FilterChoice(nominal_hz, bus.reports_per_s, bus.filter, settings.grid.nominal_v)
    filters.design(USUAL_SAMPLES_PER_CYCLE * nominal_hz)
    timeline = LiveTimeline(time.monotonic, time.time)
    rules = TrackRules(nominal_hz, bus.sv, simulation=bus.simulation)
    return ProcessBusReader(source, Pipeline(rules, filters, timeline, time.monotonic), timeline)
