"""The sample station's SCL becomes expectations, and GOOSE messages become inputs."""

from pathlib import Path

import numpy as np
import pytest

from agent.messages import DigitalInput, Measurement, Validity
from agent.processbus.frames import frames_from_bytes
from agent.processbus.goose.binding import goose_bindings
from agent.processbus.goose.publisher import BayPublisher
from agent.processbus.goose.receiver import GooseReceiver
from agent.processbus.goose.signals import SignalKind, SignalReader
from agent.processbus.goose.subscription import GooseSubscription
from agent.processbus.sv.binding import sv_expectations
from agent.processbus.timeline import FileTimeline
from agent.processbus.tracks import TrackRules
from agent.scl import read_scl, subscriptions
from tests.processbus.conftest import Player, Unit

SCD = Path(__file__).parents[2] / "scl" / "sample-station.scd"
UTC_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def bound():
    return subscriptions(read_scl(SCD), "V2G1")


@pytest.fixture
def receiver(bound):
    readers = [
        SignalReader(GooseSubscription(b.expected), b.signals, b.source, 230.0)
        for b in goose_bindings(bound)
    ]
    return GooseReceiver(readers, FileTimeline())


def test_the_merging_unit_is_bound_with_its_scale_factors(bound):
    (expected,) = sv_expectations(bound, 50)
    assert (expected.sv_id, expected.conf_rev, expected.rate_hz) == ("MU01", 1, 4000)
    assert expected.destination == bytes.fromhex("010ccd040001")
    values, _ = expected.channels.values(
        np.array([[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0]], dtype=">u4").view(np.uint8)
    )
    assert values[0] == pytest.approx([0.05, 0.06, 0.07, 0.001, 0.002, 0.003])


def test_the_bound_stream_is_followed(bound, filters):
    player = Player(filters, TrackRules(50, expected=sv_expectations(bound, 50)))
    assert player.play(Unit().frames(0, 2000))[-1].quality is Validity.GOOD


def test_frequency_and_breaker_are_found_in_the_data_set(bound):
    (binding,) = goose_bindings(bound)
    kinds = {signal.kind: (signal.value, signal.quality, signal.time) for signal in binding.signals}
    assert kinds == {SignalKind.HZ: (0, 1, 2), SignalKind.BREAKER_CLOSED: (3, 4, 5)}
    assert binding.expected.control_block == "BAY1LD0/LLN0$GO$gcbMeasurements"


def feed(receiver, frame, at_s):
    frames = frames_from_bytes([frame], [int(at_s * 1e9)])
    return list(receiver.feed(frames, at_s, None))


def test_messages_become_a_frequency_and_a_breaker_position(receiver):
    bay = BayPublisher()
    feed(receiver, bay.due(50.0, True, 0.0, UTC_NS), 0.0)
    messages = feed(receiver, bay.due(50.0, True, 0.01, UTC_NS), 0.01)
    frequency = next(m for m in messages if isinstance(m, Measurement))
    breaker = next(m for m in messages if isinstance(m, DigitalInput))
    assert (frequency.f_hz, frequency.quality) == (50.0, Validity.GOOD)
    assert frequency.source == "BAY1LD0/LLN0$GO$gcbMeasurements"
    assert (breaker.name, breaker.value, breaker.quality) == (
        "breaker_closed",
        True,
        Validity.GOOD,
    )


def test_an_open_breaker_is_told_at_once(receiver):
    bay = BayPublisher()
    for step in range(3):
        feed(receiver, bay.due(50.0, True, step, UTC_NS), step)
    messages = feed(receiver, bay.due(50.0, False, 3.0, UTC_NS + 10**9), 3.0)
    assert [m.value for m in messages if isinstance(m, DigitalInput)] == [False]


def test_a_publisher_that_falls_silent_is_told_of_once(receiver):
    bay = BayPublisher()
    for step in range(2):
        feed(receiver, bay.due(50.0, True, step, UTC_NS), step)
    life_s = receiver.readers[0].subscription.expiry_s()
    assert list(receiver.expire(life_s - 0.001)) == []
    told = list(receiver.expire(life_s + 0.001))
    assert {m.quality for m in told} == {Validity.QUESTIONABLE}
    assert list(receiver.expire(life_s + 5)) == []
    assert next(iter(receiver.health(life_s + 5))).alive is False


def test_frames_that_are_no_goose_and_of_no_subscription_are_counted(receiver):
    other = BayPublisher(ied="BAY9")
    assert feed(receiver, b"\x00" * 60, 0.0) == []
    assert feed(receiver, other.due(50.0, True, 0.0, UTC_NS), 0.0) == []
    assert receiver.rejected == {"malformed": 1, "not subscribed": 1}
