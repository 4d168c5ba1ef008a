"""The reader's pauses: as long as nothing can be due, and none while frames wait."""

import time

import pytest

from agent.processbus.bus import BUSY_PAUSE_S, SHORTEST_PAUSE_S, ProcessBusReader
from agent.processbus.capture.source import Taken
from agent.processbus.frames import BATCH, empty_frames, frames_from_bytes
from agent.processbus.goose.receiver import GooseReceiver
from agent.processbus.pipeline import Pipeline
from agent.processbus.timeline import LiveTimeline
from agent.processbus.tracks import TrackRules

NONSENSE = frames_from_bytes([bytes(60)] * BATCH, [time.time_ns()] * BATCH)


class Bus:
    """Hands over what it is told to."""

    received = dropped = card_stamped = by_xdp = 0

    def __init__(self):
        self.taken = Taken((), empty_frames())

    def take(self):
        return self.taken

    def urgent(self):
        return []

    def close(self):
        pass


@pytest.fixture
def bus():
    return Bus()


@pytest.fixture
def reader(bus):
    timeline = LiveTimeline(time.monotonic, time.time)
    pipeline = Pipeline(TrackRules(50), lambda rate_hz: None, timeline, time.monotonic)
    return ProcessBusReader(bus, pipeline, GooseReceiver([], timeline), timeline)


def test_a_process_that_is_behind_does_not_pause_between_batches(bus, reader):
    bus.taken = Taken((NONSENSE,), empty_frames(), drained=False)
    list(reader.step())
    assert reader.pause_s() == 0
    bus.taken = Taken((NONSENSE,), empty_frames())
    list(reader.step())
    assert SHORTEST_PAUSE_S <= reader.pause_s() <= BUSY_PAUSE_S


def test_a_quiet_bus_is_looked_at_now_and_then(reader):
    list(reader.step())
    assert BUSY_PAUSE_S < reader.pause_s() <= 2 * BUSY_PAUSE_S
