"""Certificates, against published margins and against the time domain."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from agent.control.stability import gain_limit
from agent.study.grid import Model, model_of
from agent.study.margin import fleet_loop, inertia_margin_s, lfc_loop, margin_of
from agent.study.population import joined
from agent.study.simulate import Batch, Members, loop_of, simulate, started
from agent.study.systems import find_system
from tests.study.conftest import LINEAR, study

SETTLE_S = 40.0
DT_S = 0.01


@pytest.mark.parametrize(
    ("ki", "published_s"), [(0.05, 30.915), (0.1, 15.201), (0.2, 7.335), (0.6, 2.042), (1.0, 0.923)]
)
def test_delay_margins_of_load_frequency_control(ki, published_s):
    loop = lfc_loop(model_of(find_system("jiang-lfc")), 0.0, ki, 21.0)
    assert margin_of(loop).delay_s == pytest.approx(published_s, rel=1e-3)


@pytest.mark.parametrize("damping", [0.0, 1.0])
@pytest.mark.parametrize("inertia", [2.0, 4.0])
def test_without_governors_the_margin_is_the_closed_form(inertia, damping):
    bare = Model(np.array([[-damping / (2 * inertia)]]), np.array([1 / (2 * inertia)]), np.zeros(1))
    margin = margin_of(fleet_loop(bare, 20.0, np.zeros(1), np.ones(1)))
    assert margin.delay_s == pytest.approx(inertia_margin_s(inertia, damping, 20.0), rel=1e-3)


def test_the_agents_limit_keeps_the_gain_margin_that_it_promises():
    delays, weights = np.linspace(0.2, 0.9, 30), np.linspace(1.0, 2.0, 30)
    k = gain_limit(4.0, delays, weights, 0.1, 2.0)
    bare = Model(np.array([[0.0]]), np.array([1 / 8.0]), np.zeros(1))
    bare.a[0, 0] = -1e-6
    margin = margin_of(fleet_loop(bare, k, delays, weights, 0.0, 0.1))
    assert margin.stable
    assert margin.gain == pytest.approx(2.0, rel=0.03)


def test_an_unstable_loop_is_told():
    model = model_of(find_system("gb"))
    margin = margin_of(fleet_loop(model, 200.0, np.array([1.0]), np.ones(1)))
    assert not margin.stable
    assert margin.delay_s == 0.0
    assert margin.gain < 1.0


def cases() -> list[tuple[float, float, float, float]]:
    """Inertia, share, spread of the delays, update period: 54 of them."""
    return [
        (inertia, share, spread, period)
        for inertia in (3.0, 4.0, 6.0)
        for share in (0.016, 0.02, 0.028)
        for spread in (1.0, 1.4, 1.8)
        for period in (0.05, 0.25)
    ]


def batch(rows: list[tuple[float, float, float, float, float]]) -> Batch:
    """One system a row; the last figure is a delay that is added to all vehicles."""
    made, systems, people, scale = study(grid={"system": "gb"}), [], [], []
    for number, (inertia, share, factor, period, extra) in enumerate(rows):
        delay = {"median": 0.15, "factor": factor, "high": 0.6}
        fleet = {"name": "x", "count": 80, "share": share, "delay_s": delay, "period_s": period}
        made = study(fleet=fleet | LINEAR)
        from agent.study.population import populate

        spec = made.fleet[0]
        p = spec.parameters(50.0)
        some = populate(spec, p, 0.0, np.random.default_rng(5), number)
        some.phase[:] = (np.random.default_rng(6).permutation(80) + 0.5) / 80
        some.delay_s = (some.delay_s + np.float32(extra)).astype(np.float32)
        people.append(some)
        scale.append(share / float(some.room_w(p).sum()))
        systems.append(msgspec.structs.replace(find_system("gb"), inertia_s=inertia))
    members = Members(spec, p, joined(people), np.array(scale))
    return Batch(tuple(systems), np.full(len(rows), 1e-6), (members,), 0.1, SETTLE_S, DT_S)


def growth(f_hz: np.ndarray) -> np.ndarray:
    """How much larger the swing is in the last quarter than in the one before."""
    moved = np.diff(f_hz, axis=1)
    quarter = moved.shape[1] // 4
    last, before = moved[:, -quarter:], moved[:, -2 * quarter : -quarter]
    return last.std(axis=1) / before.std(axis=1)


def test_certificates_agree_with_the_time_domain_within_5_percent_in_54_cases():
    rows = cases()
    margins, means = [], []
    for number, row in enumerate(rows):
        alone = batch([(*row, 0.0)])
        fleet = started(alone, alone.members[0])
        k, delays, weights, periods, lag = loop_of(fleet, 0, DT_S)
        loop = fleet_loop(model_of(alone.systems[0]), k, delays, weights, periods, lag)
        margin = margin_of(loop)
        assert margin.stable, (number, row)
        assert math.isfinite(margin.delay_s)
        margins.append(margin.delay_s)
        means.append(float(np.average(delays, weights=weights)) + 0.5 * row[3])
    at = [
        (*row, factor * (mean + margin) - mean)
        for factor in (0.95, 1.05)
        for row, margin, mean in zip(rows, margins, means, strict=True)
    ]
    grown = growth(simulate(batch(at)).f_hz).reshape(2, len(rows))
    assert (grown[0] < 1.0).all(), [rows[i] for i in np.flatnonzero(grown[0] >= 1.0)]
    assert (grown[1] > 1.0).all(), [rows[i] for i in np.flatnonzero(grown[1] <= 1.0)]
