"""Frames to measurements: counters, clocks, gaps, forgeries."""

import dataclasses

import numpy as np
import pytest

from agent.messages import Validity
from agent.processbus.supervision import SvSupervision
from agent.processbus.sv.channels import default_channels
from agent.processbus.sv.encode import SvStream
from agent.processbus.sv.identity import SvExpectation
from agent.processbus.timeline import LiveTimeline
from agent.processbus.tracks import TrackRules, counter_offset_s, sample_index
from tests.processbus.conftest import START_S, Player, Unit, frames_of_rows, join

SETTLED_S = 0.5


def settled(measurements, after_s=SETTLED_S):
    return [m for m in measurements if m.t_utc_s > START_S + after_s]


def counters(player):
    for group in player.pipeline.groups:
        group.settle_counters()
    return player.pipeline.table.tracks[0].counters


def test_reports_fall_on_utc_and_say_the_frequency(player, unit):
    unit.f_hz = 49.87
    reports = settled(player.play(unit.frames(0, 8000)))
    assert len(reports) > 60
    steps = np.diff([m.t_utc_s for m in reports])
    assert steps == pytest.approx(np.full(len(steps), 0.02), abs=1e-6)
    for m in reports:
        assert (m.t_utc_s * 50) % 1 == pytest.approx(0, abs=1e-4) or (
            m.t_utc_s * 50
        ) % 1 == pytest.approx(1, abs=1e-4)
        assert m.f_hz == pytest.approx(49.87, abs=1e-4)
        assert m.v1_v == pytest.approx(230, abs=0.05)
        assert m.quality is Validity.GOOD
        assert m.p_w == pytest.approx(3 * 230 * 10, rel=1e-3)
        # Known when the sample 55 ms after the instant has arrived.
        assert m.wire_s - m.t_utc_s == pytest.approx(0.055 + unit.delay_s, abs=1e-5)


def test_smp_cnt_wraps_without_a_trace(player, unit):
    reports = settled(player.play(unit.frames(2000, 2000 + 3 * 4000)), 1.0)
    assert {m.quality for m in reports} == {Validity.GOOD}
    assert counters(player).lost == 0


def test_a_short_gap_is_filled_and_flagged_and_counted_exactly(player, unit):
    frames = unit.frames(0, 8000)
    keep = np.ones(8000, dtype=bool)
    keep[5000:5080] = False
    reports = settled(player.play(frames.select(keep)))
    assert counters(player).lost == 80
    assert all(abs(m.f_hz - 50.0) < 1e-3 for m in reports)
    inside = [m for m in reports if 1.24 < m.t_utc_s - START_S < 1.28]
    assert Validity.GOOD not in {m.quality for m in inside}


def test_a_long_gap_is_invalid_and_over_when_samples_come_back(player, unit):
    frames = unit.frames(0, 16000)
    keep = np.ones(16000, dtype=bool)
    keep[5000:6000] = False
    reports = settled(player.play(frames.select(keep)))
    during = [m for m in reports if 1.30 < m.t_utc_s - START_S < 1.45]
    assert {m.quality for m in during} == {Validity.INVALID}
    after = [m for m in reports if m.t_utc_s - START_S > 2.5]
    assert {m.quality for m in after} == {Validity.GOOD}


def test_duplicates_and_reordering_change_nothing_and_are_counted(player, unit):
    frames = unit.frames(0, 8000)
    order = np.arange(8000)
    order[4001], order[4002] = 4002, 4001
    order = np.insert(order, 6000, order[5999])
    times = frames.time_ns[np.minimum(np.arange(8001), 7999)]
    frames = dataclasses.replace(frames.select(order), time_ns=times)
    reports = settled(player.play(frames))
    assert {m.quality for m in reports} == {Validity.GOOD}
    assert counters(player).duplicates == 1
    assert counters(player).reordered == 1
    assert counters(player).lost == 0
    assert counters(player).conflicts == 0


def with_redundancy_trailer(frames):
    """Every frame on both LANs of a PRP network: sequence, LAN and size, suffix (IEC 62439-3)."""
    length = int(frames.length[0])
    rows = frames.parts((0, length))[0]
    size = length - 14 + 6
    parts = []
    for lan, delay_ns in ((0xA000, 0), (0xB000, 40_000)):
        trailer = np.zeros((len(rows), 6), dtype=np.uint8)
        trailer[:, 0], trailer[:, 1] = np.arange(len(rows)) >> 8 & 0xFF, np.arange(len(rows)) & 0xFF
        trailer[:, 2:4] = np.frombuffer((lan | size).to_bytes(2, "big"), np.uint8)
        trailer[:, 4:] = (0x88, 0xFB)
        both = np.concatenate([rows, trailer], axis=1)
        parts.append(frames_of_rows(both, frames.time_ns + delay_ns))
    return parts


def test_both_lans_of_a_redundant_network_are_one_stream(player, unit):
    one, other = with_redundancy_trailer(unit.frames(0, 8000))
    reports = settled(player.play(join(one, other)))
    assert {m.quality for m in reports} == {Validity.GOOD}
    assert len({m.t_utc_s for m in reports}) == len(reports) > 60
    assert counters(player).duplicates >= 7000
    assert counters(player).lost == counters(player).conflicts == 0


def test_one_lan_of_a_redundant_network_is_enough(player, unit):
    one, _ = with_redundancy_trailer(unit.frames(0, 8000))
    assert {m.quality for m in settled(player.play(one))} == {Validity.GOOD}


@pytest.mark.parametrize("rate_hz", [4000, 4800, 14400])
def test_a_network_that_reorders_and_loses_from_the_first_frame_on(filters, rate_hz):
    """2 ms of jitter let frames overtake each other by up to thirty; 1 % are lost."""
    player, rng = Player(filters), np.random.default_rng(1)
    frames = Unit(rate_hz=rate_hz, f_hz=50.03).frames(0, 2 * rate_hz)
    times = frames.time_ns + rng.integers(0, 2_000_000, len(frames))
    order = np.argsort(times, kind="stable")
    order = order[rng.random(len(order)) > 0.01]
    reports = settled(player.play(dataclasses.replace(frames, time_ns=times).select(order)))
    assert player.pipeline.table.tracks[0].rate_hz == rate_hz
    assert len(reports) > 60
    assert all(abs(m.f_hz - 50.03) < 2e-3 for m in reports)
    assert {m.quality for m in reports} <= {Validity.GOOD, Validity.QUESTIONABLE}


def test_a_sample_that_comes_twice_with_other_values_is_not_believed(player, unit):
    forged = Unit(v_v=400.0).frames(5000, 5040)
    reports = settled(player.play(join(unit.frames(0, 8000), forged)))
    assert counters(player).conflicts > 0
    assert all(abs(m.f_hz - 50.0) < 1e-3 for m in reports)
    assert all(m.v1_v < 232 for m in reports)


def test_a_forger_on_every_sample_leaves_no_report_good(player, unit):
    forged = Unit(f_hz=49.0).frames(6000, 12000)
    reports = player.play(join(unit.frames(0, 12000), forged))
    late = [m for m in reports if m.t_utc_s - START_S > 1.7]
    assert late
    assert {m.quality for m in late} == {Validity.INVALID}


def test_a_second_source_address_is_never_the_stream(filters, unit):
    player = Player(filters)
    other = Unit(SvStream(source=bytes.fromhex("02000000ff01")), f_hz=47.0)
    reports = settled(player.play(join(unit.frames(0, 8000), other.frames(4000, 8000))))
    assert {m.quality for m in reports} == {Validity.GOOD}
    assert all(abs(m.f_hz - 50.0) < 1e-3 for m in reports)
    assert "second source" in player.pipeline.table.refused["MU01"]


def test_a_replaced_unit_is_accepted_after_the_old_one_was_silent(player, unit):
    player.play(unit.frames(0, 4000))
    new = Unit(SvStream(source=bytes.fromhex("02000000ff01")))
    player.play(new.frames(8000, 8200))
    assert {m.quality for m in settled(player.measurements, 1.9)} <= {Validity.INVALID}
    player.wait(15.0)
    player.pipeline.look_after(START_S + 15.0)
    reports = player.play(new.frames(60_000, 64_000))
    assert reports[-1].quality is Validity.GOOD


def test_invalid_samples_are_missing_and_questionable_ones_are_marked(player, unit):
    quality = np.zeros((8000, 8), dtype=int)
    quality[4000:4400, 4] = 3
    quality[6000:8000, 5] = 1
    reports = player.play(unit.frames(0, 8000, quality))
    by_time = {round(m.t_utc_s - START_S, 2): m for m in reports}
    assert by_time[0.9].quality is Validity.GOOD
    assert by_time[1.0].quality is Validity.QUESTIONABLE
    assert by_time[1.9].quality is Validity.INVALID


def test_simulated_frames_count_only_where_permitted(filters):
    simulated = Unit(SvStream(simulated=True))
    strict, testing = Player(filters), Player(filters, TrackRules(50, simulation=True))
    assert strict.play(simulated.frames(0, 4000)) == []
    assert strict.pipeline.table.refused == {"MU01": "simulated"}
    assert testing.play(simulated.frames(0, 4000))[-1].quality is Validity.GOOD


def test_a_simulated_stream_hides_the_real_one_while_it_is_accepted(filters):
    real, simulated = Unit(), Unit(SvStream(simulated=True, source=bytes.fromhex("0200000000aa")))
    expected = SvExpectation("MU/LLN0$MS$CB", "MU01", 1, default_channels(64))
    player = Player(filters, TrackRules(50, expected=(expected,)))
    supervision = SvSupervision(player.pipeline.table, (expected,))

    def play(begin, end, *units):
        for unit, f_hz in ((real, 50.0), (simulated, 49.7)):
            unit.f_hz = f_hz
        reports = player.play(join(*(unit.frames(begin, end) for unit in units)))
        ends_s = START_S + end / 4000 - 0.5
        last = [m for m in reports if m.t_utc_s > ends_s]
        health = next(supervision.health())
        return {round(m.f_hz, 2) for m in last}, health.alive, health.simulated

    assert play(0, 8000, real, simulated) == ({50.0}, True, False)
    player.pipeline.simulate(True)
    assert play(8000, 12000, real) == ({50.0}, True, False), "nothing simulated has come since"
    assert play(12000, 20000, real, simulated) == ({49.7}, True, True)
    assert play(20000, 28000, real)[1:] == (False, True), "the real one stays hidden"
    player.pipeline.simulate(False)
    assert play(28000, 36000, real, simulated) == ({50.0}, True, False)
    player.pipeline.simulate(True)
    assert play(36000, 44000, real, simulated) == ({49.7}, True, True)


def test_a_wrong_conf_rev_is_refused(filters, unit):
    expected = SvExpectation("MU/LLN0$MS$CB", "MU01", 7, default_channels(64))
    player = Player(filters, TrackRules(50, expected=(expected,)))
    assert player.play(unit.frames(0, 4000)) == []
    assert "confRev 1, the SCL has 7" in player.pipeline.table.refused["MU01"]


def test_only_subscribed_or_selected_streams_are_followed(filters):
    both = join(Unit().frames(0, 4000), Unit(SvStream(sv_id="MU02")).frames(0, 4000))
    expected = SvExpectation("MU/LLN0$MS$CB", "MU02", 1, default_channels(64))
    bound = Player(filters, TrackRules(50, expected=(expected,)))
    named = Player(filters, TrackRules(50, names=("MU01",)))
    assert {m.source for m in bound.play(both)} == {"MU02"}
    assert {m.source for m in named.play(both)} == {"MU01"}


@pytest.mark.parametrize("synch", [0, 1, 2])
def test_smp_synch_is_reported_and_lack_of_it_is_no_good_quality(player, synch):
    reports = settled(player.play(Unit(synch=synch).frames(0, 6000)))
    assert {m.smp_synch for m in reports} == {synch}
    if synch == 0:
        assert Validity.GOOD not in {m.quality for m in reports}


def test_a_free_running_counter_keeps_its_own_second(player):
    unit = Unit(synch=0, first_cnt=1234, f_hz=50.2)
    reports = settled(player.play(unit.frames(0, 8000)), 1.0)
    assert all(abs(m.f_hz - 50.2) < 1e-3 for m in reports)
    # Its reports are labelled by arrival: within delay and jitter of the truth.
    assert all(0 <= m.wire_s - m.t_utc_s - 0.055 < 0.002 for m in reports)


@pytest.mark.parametrize("first_cnt", [600, 2000, 3000])
def test_a_counter_that_claims_a_clock_is_believed_wherever_its_second_begins(player, first_cnt):
    """The second comes from the time stamps, the place in it from smpCnt."""
    reports = settled(player.play(Unit(first_cnt=first_cnt, f_hz=50.2).frames(0, 8000)), 0.3)
    assert len(reports) > 20
    for m in reports:
        assert m.quality is Validity.GOOD
        assert m.f_hz == pytest.approx(50.2, abs=1e-3)
        assert -0.1 < m.wire_s - m.t_utc_s - 0.055 < 0.9


def test_a_clock_that_is_set_costs_a_moment_and_no_wrong_frequency(player):
    """smpCnt jumps by 80 ms while smpSynch is 0: the stream starts anew with its own second."""
    before, after = Unit(synch=0, first_cnt=1000), Unit(synch=0, first_cnt=680)
    parts = join(before.frames(0, 8000), after.frames(8000, 20_000))
    reports = settled(player.play(parts), 1.0)
    assert all(abs(m.f_hz - 50.0) < 0.01 for m in reports if m.quality is not Validity.INVALID)
    last = reports[-1]
    assert last.t_utc_s - START_S > 4.9
    assert last.quality is Validity.QUESTIONABLE
    assert last.wire_s - last.t_utc_s == pytest.approx(0.055, abs=0.003)


def test_many_streams_share_one_estimator(player):
    streams = [SvStream(sv_id=f"MU{n:02d}", source=bytes([2, 0, 0, 0, 0, n])) for n in range(12)]
    units = [Unit(stream, f_hz=49.5 + n / 12) for n, stream in enumerate(streams)]
    player.play(join(*(unit.frames(0, 4000) for unit in units)))
    assert len(player.pipeline.groups) == 1
    last = {m.source: m.f_hz for m in player.measurements}
    for number in range(12):
        assert last[f"MU{number:02d}"] == pytest.approx(49.5 + number / 12, abs=1e-3)


def test_one_dead_stream_delays_the_others_by_little(player):
    alive = Unit()
    dying = Unit(SvStream(sv_id="MU02", source=bytes.fromhex("020000000009")))
    reports = player.play(join(alive.frames(0, 16000), dying.frames(0, 6000)))
    good = [m for m in reports if m.source == "MU01" and m.t_utc_s > START_S + SETTLED_S]
    assert {m.quality for m in good} == {Validity.GOOD}
    assert len(good) > 160
    last = max(m.t_utc_s for m in reports if m.source == "MU02")
    assert last - START_S < 3.0


@pytest.mark.parametrize(("rate_hz", "asdus"), [(4800, 2), (14400, 6)])
def test_rates_of_iec_61869_9_are_found_from_the_wire(filters, rate_hz, asdus):
    player = Player(filters)
    unit = Unit(SvStream(asdus=asdus), rate_hz=rate_hz, f_hz=50.05)
    reports = settled(player.play(unit.frames(0, rate_hz)))
    assert player.pipeline.table.tracks[0].rate_hz == rate_hz
    assert all(abs(m.f_hz - 50.05) < 1e-3 for m in reports)
    assert reports[-1].quality is Validity.GOOD


def test_frames_that_cannot_be_placed_in_time_are_counted(player, unit):
    player.play(unit.frames(0, 4000))
    rows = unit.frames(4000, 4100)
    wrong = unit.frames(6000, 6100)
    strange = dataclasses.replace(wrong, time_ns=rows.time_ns)
    player.play(strange)
    assert player.pipeline.counters.off_grid == 100


def test_sample_index_survives_any_gap_and_wrap():
    cnt = np.array([0, 3999, 0, 10])
    bus_s = np.array([100.001, 100.999, 101.0004, 250.004])
    expected = [100 * 4000, 100 * 4000 + 3999, 101 * 4000, 250 * 4000 + 10]
    assert sample_index(4000, cnt, bus_s, 0.0).tolist() == expected


def test_an_offset_within_the_delay_of_a_unit_is_none():
    cnt = np.arange(400)
    assert counter_offset_s(4000, cnt, 50 + cnt / 4000 + 0.002) == 0.0
    assert counter_offset_s(4000, cnt, 50 + cnt / 4000 + 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_stepped_clock_moves_labels_by_whole_seconds_and_no_sample(step_s):
    now = {"mono": 1000.0, "utc": 1_700_000_000.25}
    timeline = LiveTimeline(lambda: now["mono"], lambda: now["utc"])
    before = timeline.bus_s(np.array([int(1_700_000_000.249e9)]))[0]
    now["mono"] += 0.01
    now["utc"] += 0.01 + step_s
    stamps = np.array([int(1_700_000_000.255e9), int((1_700_000_000.259 + step_s) * 1e9)])
    after = timeline.bus_s(stamps)
    assert after - before == pytest.approx([0.006, 0.010], abs=1e-5)
    assert timeline.utc_s(after[0]) - after[0] == step_s
    assert timeline.monotonic_s(after[1]) == pytest.approx(1000.009, abs=1e-5)


def test_a_unit_with_one_frame_is_no_stream(player, unit):
    assert player.play(unit.frames(0, 1)) == []


def test_frames_of_nothing_are_ignored(player):
    rows = np.random.default_rng(3).integers(0, 256, (500, 117)).astype(np.uint8)
    player.play(frames_of_rows(rows, START_S * 10**9 + np.arange(500) * 250_000))
    assert player.measurements == []
    assert player.pipeline.decoder.counters.decoded == 0


def test_every_lost_sample_is_counted(player, unit):
    frames = unit.frames(0, 4000)
    lost = np.zeros(4000, dtype=bool)
    lost[2000:2037] = lost[3000] = True
    player.play(frames.select(~lost))
    for group in player.pipeline.groups:
        group.settle_counters()
    assert player.pipeline.table.tracks[0].counters.lost == 38


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_bus_that_loses_most_frames_is_invalid_without_a_warning_and_recovers(
    player, unit, share
):
    frames = unit.frames(0, 16_000)
    burst = np.random.default_rng(5).random(16_000 // 40) < share
    lost = np.repeat(burst, 40)
    lost[:4000] = lost[12_000:] = False
    with np.errstate(all="raise", under="ignore"):
        reports = player.play(frames.select(~lost))
    at_s = np.array([m.t_utc_s - START_S for m in reports])
    quality = np.array([m.quality for m in reports])
    assert set(quality[(at_s > 1.2) & (at_s < 2.8)]) == {Validity.INVALID}
    assert set(quality[at_s > 3.4]) == {Validity.GOOD}
    assert all(abs(m.f_hz - 50) < 0.001 for m in reports if m.quality is Validity.GOOD)
