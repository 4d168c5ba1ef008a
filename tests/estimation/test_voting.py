from __future__ import annotations

import math

import pytest

from agent.estimation.estimates import Quality
from agent.estimation.voting import (
    Reading,
    Suspicion,
    Vote,
    VotingSettings,
    VotingState,
    step,
)

SETTINGS = VotingSettings(nominal_hz=50.0)
TICK_S = 0.02


class Bench:
    """Runs ``step`` every 20 ms with the frequencies of the moment."""

    def __init__(self, settings: VotingSettings = SETTINGS) -> None:
        self.settings = settings
        self.state = VotingState()
        self.now_s = 100.0
        self.phase_rad: dict[str, float] = {}
        self.f_hz: dict[str, float] = {}

    def tick(self, f_hz: dict[str, float], with_phase: bool = False, **change: object) -> Vote:
        self.now_s += TICK_S
        readings = {}
        for name, value in f_hz.items():
            turns = (self.f_hz.get(name, value) + value) / 2 * TICK_S
            phase = math.remainder(self.phase_rad.get(name, 0.0) + 2 * math.pi * turns, 2 * math.pi)
            self.phase_rad[name], self.f_hz[name] = phase, value
            readings[name] = Reading(
                f_hz=value,
                quality=Quality.GOOD,
                instant_s=self.now_s,
                arrived_s=self.now_s,
                phase_rad=phase if with_phase else None,
                **(change if name == "a" else {}),
            )
        self.state, vote = step(self.settings, self.state, readings, self.now_s)
        return vote

    def run(self, seconds: float, f_hz: dict[str, float], **change: object) -> Vote:
        for _ in range(round(seconds / TICK_S)):
            vote = self.tick(f_hz, **change)
        return vote


def test_median_of_three_is_the_answer() -> None:
    vote = Bench().run(1.0, {"a": 50.010, "b": 50.001, "c": 50.004})
    assert vote.f_hz == 50.004
    assert vote.quality is Quality.GOOD
    assert not vote.disagreement


@pytest.mark.parametrize("offset_hz", [0.021, -0.021, 1.0])
def test_one_of_three_away_for_200_ms_is_set_aside_with_an_alarm(offset_hz: float) -> None:
    bench = Bench()
    readings = {"a": 50.0, "b": 50.0, "c": 50.0 + offset_hz}
    before = bench.run(0.2, readings)
    assert not before.disagreement
    after = bench.run(0.04, readings)
    assert after.disagreement
    assert after.set_aside == {"c": Suspicion.DISAGREES}
    assert after.f_hz == 50.0


def test_a_difference_of_20_mhz_is_no_disagreement() -> None:
    vote = Bench().run(5.0, {"a": 50.0, "b": 50.0, "c": 50.0199})
    assert not vote.disagreement


def test_a_short_excursion_is_forgotten() -> None:
    bench = Bench()
    bench.run(0.18, {"a": 50.0, "b": 50.0, "c": 50.1})
    bench.run(0.02, {"a": 50.0, "b": 50.0, "c": 50.0})
    assert not bench.run(0.18, {"a": 50.0, "b": 50.0, "c": 50.1}).disagreement


@pytest.mark.parametrize(
    ("behaviour", "expected_hz", "quality"),
    [
        ("hold", 50.0, Quality.HELD),
        ("nearest-nominal", 50.02, Quality.QUESTIONABLE),
        ("mean", 50.17, Quality.QUESTIONABLE),
    ],
)
def test_two_that_disagree_follow_the_configured_behaviour(
    behaviour: str, expected_hz: float, quality: Quality
) -> None:
    bench = Bench(VotingSettings(nominal_hz=50.0, behaviour=behaviour))
    bench.run(1.0, {"a": 50.0, "b": 50.0})
    vote = bench.run(0.24, {"a": 50.02, "b": 50.32})
    assert vote.disagreement
    assert vote.f_hz == pytest.approx(expected_hz)
    assert vote.quality is quality


def test_hold_ends_in_an_invalid_frequency() -> None:
    bench = Bench()
    bench.run(1.0, {"a": 50.0, "b": 50.0})
    assert bench.run(0.38, {"a": 50.0, "b": 50.3}).quality is Quality.HELD
    assert bench.run(0.10, {"a": 50.0, "b": 50.3}).quality is Quality.INVALID


@pytest.mark.parametrize(
    ("anomaly", "suspicion"),
    [("mac_changed", Suspicion.MAC_CHANGED), ("rate_jumped", Suspicion.RATE_JUMPED)],
)
def test_an_announced_anomaly_sets_a_source_aside_at_once(
    anomaly: str, suspicion: Suspicion
) -> None:
    bench = Bench()
    bench.run(1.0, {"a": 50.0, "b": 50.0})
    vote = bench.tick({"a": 49.0, "b": 50.0}, **{anomaly: True})
    assert vote.set_aside == {"a": suspicion}
    assert vote.f_hz == 50.0


def test_faster_than_4_hz_per_s_without_a_phase_is_set_aside() -> None:
    bench = Bench()
    bench.run(1.0, {"a": 50.0, "b": 50.0})
    vote = bench.tick({"a": 49.4, "b": 50.0})
    assert vote.set_aside == {"a": Suspicion.ROCOF}


@pytest.mark.parametrize("rate_hz_s", [3.9, -3.9])
def test_a_change_below_the_limit_is_believed(rate_hz_s: float) -> None:
    bench = Bench()
    for tick in range(50):
        vote = bench.tick({"a": 50.0 + rate_hz_s * tick * TICK_S})
    assert vote.sources == ("a",)


def test_a_fast_change_with_its_phase_is_believed() -> None:
    bench = Bench()
    for tick in range(50):
        vote = bench.tick({"a": 50.0 - 6.0 * tick * TICK_S}, with_phase=True)
    assert vote.sources == ("a",)


def test_a_fast_change_of_the_number_alone_is_set_aside() -> None:
    """The phase stays that of 50 Hz while the frequency claims -10 Hz/s."""
    settings, state = SETTINGS, VotingState()
    for tick in range(15):
        now_s = tick * TICK_S
        f_hz = 50.0 - max(0.0, 10.0 * (now_s - 0.1))
        reading = Reading(f_hz, Quality.GOOD, now_s, now_s, phase_rad=0.0)
        state, vote = step(settings, state, {"a": reading}, now_s)
    assert vote.set_aside == {"a": Suspicion.ROCOF}


def test_a_source_returns_after_behaving_for_10_s() -> None:
    bench = Bench()
    bench.run(1.0, {"a": 50.0, "b": 50.0, "c": 50.5})
    assert "c" in bench.run(9.9, {"a": 50.0, "b": 50.0, "c": 50.0}).set_aside
    assert bench.run(0.3, {"a": 50.0, "b": 50.0, "c": 50.0}).set_aside == {}


def test_a_source_that_keeps_away_never_returns() -> None:
    vote = Bench().run(60.0, {"a": 50.0, "b": 50.0, "c": 50.05})
    assert vote.set_aside == {"c": Suspicion.DISAGREES}


def test_an_old_reading_does_not_count() -> None:
    bench = Bench()
    bench.run(1.0, {"a": 50.0})
    stale = Reading(50.0, Quality.GOOD, bench.now_s, bench.now_s)
    bench.state, fresh = step(SETTINGS, bench.state, {"a": stale}, bench.now_s + 0.19)
    assert fresh.sources == ("a",)
    bench.state, held = step(SETTINGS, bench.state, {"a": stale}, bench.now_s + 0.3)
    assert (held.f_hz, held.quality, held.sources) == (50.0, Quality.HELD, ())
    bench.state, lost = step(SETTINGS, bench.state, {"a": stale}, bench.now_s + 0.5)
    assert lost.quality is Quality.INVALID


def test_held_sources_count_only_where_none_measures() -> None:
    held = Reading(50.3, Quality.HELD, 1.0, 1.0)
    good = Reading(50.0, Quality.GOOD, 1.0, 1.0)
    assert step(SETTINGS, VotingState(), {"a": held, "b": good}, 1.0)[1].sources == ("b",)
    vote = step(SETTINGS, VotingState(), {"a": held}, 1.0)[1]
    assert (vote.f_hz, vote.quality) == (50.3, Quality.HELD)


def test_without_any_source_there_is_no_frequency() -> None:
    assert step(SETTINGS, VotingState(), {}, 0.0)[1] == Vote(None, Quality.INVALID, (), {}, False)


def test_a_slower_third_is_not_set_aside_while_the_frequency_moves() -> None:
    """Two streams after 55 ms, a GOOSE ten times a second after 150 ms; 1 Hz/s for a second."""

    def true_hz(t_s: float) -> float:
        return 50.0 - min(max(t_s - 101.0, 0.0), 1.0)

    state, readings, votes = VotingState(), {}, []
    for tick in range(200):
        now_s = 100.0 + tick * TICK_S
        for name, delay_s in (("mu1", 0.055), ("mu2", 0.055), ("bay", 0.15)):
            if name != "bay" or tick % 5 == 0:
                t_s = now_s - delay_s
                readings[name] = Reading(true_hz(t_s), Quality.GOOD, t_s, now_s)
        state, vote = step(SETTINGS, state, dict(readings), now_s)
        votes.append(vote)
    assert not any(vote.disagreement or vote.set_aside for vote in votes[10:])
    assert votes[-1].f_hz == pytest.approx(49.0)
    assert len(votes[-1].sources) == 3
