"""Sampling rates that nobody states: found from the wire, doubted, and found anew."""

import dataclasses

import numpy as np
import pytest

from agent.messages import Validity
from agent.processbus.pipeline import ASTRAY_S
from agent.processbus.sv.encode import SvStream
from tests.processbus.conftest import START_S, Player, Unit


def test_a_publisher_too_slow_for_its_rate_is_not_taken_for_one_of_another_rate(player):
    """It sends 4000 of 4800 samples a second, falls behind, and leaves out what is too late."""
    unit = Unit(rate_hz=4800, f_hz=50.02)
    for second in range(4):
        cycle, sent = np.divmod(np.arange(4 * 1000), 1000)
        index = second * 4800 + cycle * 1200 + sent
        late = unit.frames(index.min(), index.max() + 1).select(index - index.min())
        arrival_s = second + cycle * 0.25 + sent / 4000 + unit.delay_s
        times = START_S * 10**9 + np.rint(arrival_s * 1e9).astype(np.int64)
        player.play(dataclasses.replace(late, time_ns=times))
        player.pipeline.look_after(START_S + second + 1.0)
    assert player.pipeline.table.tracks[0].rate_hz == 4800
    reports = player.play(unit.frames(4 * 4800, 6 * 4800))
    last = reports[-1]
    assert (last.quality, last.f_hz) == (Validity.GOOD, pytest.approx(50.02, abs=1e-3))


def test_a_rate_that_samples_contradict_is_found_anew(player):
    before, after = Unit(rate_hz=4000), Unit(rate_hz=4800, f_hz=50.03)
    player.play(before.frames(0, 2 * 4000))
    assert player.pipeline.table.tracks[0].rate_hz == 4000
    for second in range(2, 5):
        reports = player.play(after.frames(second * 4800, (second + 1) * 4800))
        player.pipeline.look_after(START_S + second + 1.0)
    assert player.pipeline.table.tracks[0].rate_hz == 4800
    assert reports[-1].f_hz == pytest.approx(50.03, abs=1e-3)


def test_forged_samples_do_not_make_a_stream_begin_anew_whose_rate_is_declared(filters):
    player = Player(filters)
    unit = Unit(SvStream(smp_rate=4000, smp_mod=1))
    player.play(unit.frames(0, 2 * 4000))
    group = player.pipeline.groups[0]
    forged = unit.frames(8000, 9000)
    player.play(dataclasses.replace(forged, time_ns=forged.time_ns - 10**9 // 2))
    player.pipeline.look_after(START_S + 3.0)
    assert player.pipeline.counters.off_grid > ASTRAY_S * 4000
    assert player.pipeline.groups == [group]
    assert player.pipeline.table.tracks[0].rate_hz == 4000
