"""Measure GOOSE from wire to message over a veth pair, in this process."""

from __future__ import annotations

import select
import time

import numpy as np

from agent.processbus.capture import bpf
from agent.processbus.capture.ring import Ring, RingSettings
from agent.processbus.capture.sender import open_sender
from agent.processbus.frames import ETHERTYPE_GOOSE
from agent.processbus.goose.publisher import BayPublisher
from agent.processbus.goose.receiver import GooseReceiver
from agent.processbus.goose.signals import Signal, SignalKind, SignalReader
from agent.processbus.goose.subscription import GooseExpectation, GooseSubscription
from agent.processbus.timeline import LiveTimeline


def latencies_ms(sender_name: str, receiver_name: str, count: int) -> np.ndarray:
    """From the kernel's time stamp to the message, for `count` changes of a breaker."""
    ring = Ring(receiver_name, bpf.accept(ETHERTYPE_GOOSE), RingSettings(slot=2048, slots=1024))
    sender = open_sender(sender_name)
    expected = GooseExpectation(control_block="BAY1LD0/LLN0$GO$gcbMeasurements")
    signals = (Signal(SignalKind.BREAKER_CLOSED, 3, 4, 5),)
    reader = SignalReader(GooseSubscription(expected), signals, "bay", 230.0)
    receiver = GooseReceiver([reader], LiveTimeline(time.monotonic, time.time))
    bay, found = BayPublisher(), []
    for number in range(count):
        frame = bay.due(50.0, number % 2 == 0, time.monotonic(), time.time_ns())
        assert frame is not None
        sender.send([frame])
        select.select([ring.fileno()], [], [], 1.0)
        frames = ring.take()
        messages = list(receiver.feed(frames, time.monotonic(), None))
        if messages:
            found.append((time.time_ns() - int(frames.time_ns[-1])) / 1e6)
        time.sleep(0.001)
    sender.close()
    ring.close()
    return np.array(found)
