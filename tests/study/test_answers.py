"""Answers of made-up courses, wear of made-up batteries, intervals of made-up samples."""

from __future__ import annotations

import numpy as np
import pytest

from agent.study import statistics
from agent.study.answers import answers_of
from agent.study.cases import Case, batch_of
from agent.study.search import delay_that_breaks, share_that_holds
from agent.study.simulate import Traces, simulate
from agent.study.wear import schmalstieg_loss, xu_loss
from tests.study.conftest import study


def answers(course, dt_s=0.02, seconds=60.0):
    made = study(**{"study.duration_s": seconds, "contingency.at_s": 0.0})
    batch = batch_of(made, [Case(share=0.0)])
    t = np.arange(batch.steps + 1) * dt_s
    f = course(t)[None, :]
    return answers_of(batch, Traces(t, f, np.zeros_like(f), ()))


def test_nadir_between_two_samples():
    got = answers(lambda t: 49.5 + 0.1 * np.minimum((t - 3.013) ** 2, 4.0))
    assert got["nadir_hz"][0] == pytest.approx(49.5, abs=1e-6)
    assert got["nadir_s"][0] == pytest.approx(3.013, abs=1e-4)


def test_rocof_is_the_steepest_500_ms():
    got = answers(lambda t: 50.0 - np.interp(t, [0, 1, 2, 60], [0, 0.2, 1.0, 1.0]))
    assert got["rocof_hz_s"][0] == pytest.approx(-0.8, abs=1e-6)


@pytest.mark.parametrize("zeta", [0.05, 0.2, 0.4])
def test_damping_of_a_ringing_frequency(zeta):
    w = 2.0
    ring = lambda t: 49.8 - 0.2 * np.exp(-zeta * w * t) * np.cos(w * np.sqrt(1 - zeta**2) * t)  # noqa: E731
    got = answers(ring)
    assert got["damping"][0] == pytest.approx(zeta, rel=0.05)
    assert got["settled_hz"][0] == pytest.approx(49.8, abs=5e-4 if zeta > 0.1 else 2e-2)
    assert got["stable"][0] == 1.0


def test_a_growing_swing_is_unstable_and_leaves_a_residual():
    got = answers(lambda t: 50.0 + 1e-3 * np.exp(0.08 * t) * np.sin(3 * t))
    assert got["stable"][0] == 0.0
    assert got["residual_hz"][0] > 0.1


def test_settling_time_is_when_the_band_is_left_last():
    got = answers(lambda t: np.where(t < 12.0, 49.5, 49.8))
    assert got["settling_s"][0] == pytest.approx(12.0, abs=0.05)


def test_bias_and_energy_of_the_fleet():
    made = study(**{"study.duration_s": 60.0})
    batch = batch_of(made, [Case()])
    traces = simulate(batch)
    got = answers_of(batch, traces)
    base = batch.systems[0]
    fall = 50.0 - got["settled_hz"][0]
    assert got["beta_mw_per_hz"][0] == pytest.approx(base.loss_mw / fall, rel=1e-9)
    mean_mw = traces.fleet_pu[0].mean() * base.base_mw
    assert got["export_mwh"][0] == pytest.approx(mean_mw * 60 / 3600, rel=1e-3)


def test_wear_grows_with_depth_faster_than_in_proportion():
    none, tenth, some, deep, whole = xu_loss(np.array([0.0, 0.1, 0.4, 0.8, 1.0]))
    assert none == 0.0
    assert deep > 2.0 * some
    assert some > tenth > 0.0
    assert whole == pytest.approx(0.5 / 17_000, rel=1e-3)
    few, many = schmalstieg_loss(np.array([1e3, 2e4]), np.full(2, 6e4), np.full(2, 50.0))
    assert many > 10 * few > 0.0


def test_intervals_hold_their_estimate_and_narrow_with_samples():
    share, low, high = statistics.probability(9, 100, 0.95)
    assert low < share == 0.09 < high
    assert (low, high) == (pytest.approx(0.0481, abs=1e-3), pytest.approx(0.1623, abs=1e-3))
    values = np.random.default_rng(1).normal(0.0, 1.0, 4000)
    q, low, high = statistics.quantile(values, 0.05, 0.95)
    assert low < -1.645 < high
    assert low < q < high
    assert statistics.mean(values, 0.95)[1] < 0.0 < statistics.mean(values, 0.95)[2]


def test_the_share_that_holds_a_limit_and_the_latency_that_breaks_it():
    made = study(**{
        "contingency.loss_mw": 1800, "limit": {"nadir_hz": 49.3}, "fleet.count": 12,
        "study.duration_s": 12.0,
    })  # fmt: skip
    share = share_that_holds(made)
    assert 0.0 < share.value < 0.5
    at, below = (
        answers_of(b, simulate(b))["nadir_hz"][0]
        for b in (batch_of(made, [Case(share=share.value - d)]) for d in (0.0, share.resolution))
    )
    assert at >= 49.3 > below
    delay = delay_that_breaks(made)
    assert 0.1 < delay.value < 10.0
    assert delay.resolution < 0.05


def test_no_share_holds_what_cannot_be_held():
    made = study(**{"limit": {"nadir_hz": 49.99}, "fleet.count": 5, "study.duration_s": 8.0})
    assert np.isnan(share_that_holds(made).value)
