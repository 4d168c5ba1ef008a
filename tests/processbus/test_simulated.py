"""The simulated merging unit: what it sends, and when it says so."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agent.processbus.capture.virtual import VirtualReceiver
from agent.processbus.simulated import Dips, MergingUnit, Waveform
from agent.processbus.sv.decoder import SvDecoder
from agent.processbus.sv.encode import SvStream


class Sent:
    def __init__(self):
        self.frames = []

    def send(self, frames):
        self.frames += frames

    def close(self):
        pass


def test_every_sample_is_sent_once_and_smp_cnt_follows_utc():
    sent = Sent()
    unit = MergingUnit(SvStream(), Waveform(50, 50.0), sent)
    unit.start(1000.99)
    for step in range(1, 21):
        unit.send_due(1000.99 + step * 0.001)
    counts = [int.from_bytes(frame[39:41], "big") for frame in sent.frames]
    assert counts == [n % 4000 for n in range(3960, 4041)][: len(counts)]
    assert len(counts) == 81


def test_a_pause_of_more_than_a_second_is_not_made_up_for():
    sent = Sent()
    unit = MergingUnit(SvStream(), Waveform(50, 50.0), sent)
    unit.start(1000.0)
    assert unit.send_due(1005.0) == 0
    assert unit.send_due(1005.001) == 5


def test_the_phase_is_continuous_when_the_frequency_moves():
    wave = Waveform(50, 50.0)
    before = wave.next(100)
    wave.f_hz = 49.8
    voltages = np.concatenate([before, wave.next(100)])[:, 4]
    largest_step = np.abs(np.diff(voltages)).max()
    assert largest_step <= np.sqrt(2) * 23000 * 2 * np.pi * 50 / 4000 * 1.01


def test_dips_come_by_schedule_and_on_request():
    dips = Dips(every_s=20, length_s=8, start_s=0)
    assert [t for t in range(60) if dips.low(t)] == [*range(20, 28), *range(40, 48)]
    dips = Dips(every_s=0, length_s=8, start_s=0)
    assert not dips.low(100)
    dips.ask(101)
    assert dips.low(105)
    assert not dips.low(109)


def test_the_process_publishes_and_tells_of_a_dip_that_was_asked_for(tmp_path):
    bus = Path(tmp_path, "bus")
    receiver = VirtualReceiver(bus)
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.processbus.simulated", "--interface", f"virtual:{bus}",
         "--dip-every", "0", "--dip-length", "0.3"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        asked_s = time.monotonic()
        process.stdin.write("dip\n")
        process.stdin.flush()
        begin, end = (json.loads(process.stdout.readline()) for _ in range(2))
        assert begin["event"] == "dip"
        assert begin["f_hz"] == 49.8
        assert asked_s < begin["wire_s"] < time.monotonic()
        assert end["event"] == "end"
        assert end["wire_s"] - begin["wire_s"] == pytest.approx(0.3, abs=0.25)
        decoder = SvDecoder()
        assert sum(len(b.entry) for b in decoder.decode(receiver.take())) > 100
    finally:
        process.terminate()
        assert process.wait(10) == 0
        receiver.close()


def test_an_interface_that_does_not_exist_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "agent.processbus.simulated", "--interface", "nowhere0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 69
    assert "nowhere0: no such interface" in done.stderr
