"""The region's settings: they narrow what the local configuration allows, and nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.control import parameters_from
from agent.control.region import GAIN, INERTIA, RESERVE_DOWN, RESERVE_UP
from agent.messages import RequestKind, RequestStatus

STEP_HZ = 0.15
LOCAL = {"inertia_s": 4.0, "area_power_w": 2e6, "olrt_s": 0.0, "db_uf_hz": 0.0, "db_of_hz": 0.0}


def fleet(make_bench, make_evse, count=4, **values):
    bench = make_bench(**(LOCAL | values))
    bench.plug(*(make_evse(f"CS{i}/1") for i in range(count)))
    bench.run(0.5)
    return bench


def narrow(bench, make_request, **values):
    for name, value in values.items():
        bench.ask(
            make_request(
                RequestKind.SETTING, value, setting=name, request_id=f"{name}-{value}-{bench.now_s}"
            )
        )
    return bench.run(0.1)


def slope_w_per_hz(bench, step_hz=STEP_HZ):
    """Power ordered by frequency deviation, once the answer is whole."""
    bench.f_hz = 50.0 - step_hz
    bench.run(1.5)
    return bench.last.loop.ordered_w / step_hz


def test_the_part_of_the_areas_gain_bounds_the_slope(make_bench, make_evse, make_request):
    free = slope_w_per_hz(fleet(make_bench, make_evse))
    bench = fleet(make_bench, make_evse)
    narrow(bench, make_request, gain_w_per_hz=0.25 * free)
    assert slope_w_per_hz(bench) == pytest.approx(0.25 * free, rel=0.02)
    assert bench.last.loop.gain_limit_w_per_hz == pytest.approx(0.25 * free)


def test_a_gain_above_what_the_own_delays_allow_changes_nothing(
    make_bench, make_evse, make_request
):
    slow = {"area_power_w": 1e5}
    alone = fleet(make_bench, make_evse, **slow)
    limit = alone.last.loop.gain_limit_w_per_hz
    bench = fleet(make_bench, make_evse, **slow)
    narrow(bench, make_request, gain_w_per_hz=100.0 * limit)
    assert bench.last.loop.gain_limit_w_per_hz == limit


def test_less_inertia_tightens_the_limit_of_the_own_delays_at_once(
    make_bench, make_evse, make_request
):
    bench = fleet(make_bench, make_evse)
    before = bench.last.loop.gain_limit_w_per_hz
    narrow(bench, make_request, inertia_s=1.0)
    assert bench.last.loop.gain_limit_w_per_hz == pytest.approx(before / 4.0, rel=1e-3)


def test_the_reserve_bounds_the_power_of_the_answer_on_its_side(
    make_bench, make_evse, make_request
):
    bench = fleet(make_bench, make_evse)
    narrow(bench, make_request, reserve_up_w=6000.0)
    bench.f_hz = 49.5
    bench.run(1.5)
    assert bench.last.loop.ordered_w == pytest.approx(6000.0, rel=0.01)
    bench.f_hz = 50.5
    bench.run(3.0)
    assert bench.last.loop.ordered_w < -20_000.0


def test_no_reserve_means_no_answer(make_bench, make_evse, make_request):
    bench = fleet(make_bench, make_evse)
    narrow(bench, make_request, reserve_up_w=0.0, reserve_down_w=0.0)
    bench.f_hz = 49.5
    bench.run(1.5)
    assert bench.last.loop.ordered_w == 0.0


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (INERTIA, 4.1, "never widened"),
        (INERTIA, 0.0, "at least"),
        (GAIN, -1.0, "at least"),
        (RESERVE_UP, 9001.0, "never widened"),
        (RESERVE_DOWN, math.nan, "not a finite"),
    ],
)
def test_what_would_widen_the_local_envelope_is_refused(
    make_bench, make_evse, make_request, name, value, reason
):
    bench = fleet(make_bench, make_evse, contract_up_w=9000.0)
    narrow(bench, make_request, **{name: value})
    outcome = bench.outcomes[-1]
    assert outcome.status is RequestStatus.REFUSED
    assert reason in outcome.reason


def test_a_lease_that_ends_gives_the_local_envelope_back(make_bench, make_evse, make_request):
    bench = fleet(make_bench, make_evse)
    free = bench.last.loop.gain_limit_w_per_hz
    bench.ask(make_request(RequestKind.SETTING, 1000.0, setting=GAIN, lease_s=5.0))
    bench.run(0.1)
    assert bench.last.loop.gain_limit_w_per_hz == 1000.0
    bench.run(5.0)
    assert bench.last.loop.gain_limit_w_per_hz == pytest.approx(free)


@settings(max_examples=25, deadline=None)
@given(
    local_h=st.floats(0.5, 8.0),
    fleet_h=st.floats(0.05, 8.0),
    gain=st.floats(0.0, 1e6),
    delay_s=st.floats(0.05, 2.0),
    area_w=st.floats(1e5, 1e8),
)
def test_the_slope_is_never_above_pi_h_over_two_tau_nor_above_the_share(
    local_h, fleet_h, gain, delay_s, area_w
):
    """K ≤ πH/(2τ) with the smaller inertia, and the part of the area's gain, whichever is less."""
    from tests.control.conftest import Bench, evse, request

    p = parameters_from(
        nominal_hz=50, **(LOCAL | {"inertia_s": local_h, "area_power_w": area_w}),
        default_delay_s=delay_s,
    )  # fmt: skip
    bench = Bench(p, latency_s=delay_s)
    bench.plug(*(evse(f"CS{i}/1") for i in range(3)))
    bench.run(0.3)
    for name, value in ((GAIN, gain), (INERTIA, min(fleet_h, local_h))):
        bench.ask(request(RequestKind.SETTING, value, setting=name, request_id=name))
    bench.run(0.06)
    slope = slope_w_per_hz(bench, step_hz=0.05)
    k_max = math.pi * min(local_h, fleet_h) / (2.0 * delay_s)
    assert slope <= min(gain, k_max * area_w / 50.0) * 1.001 + 3 * p.min_change_w / 0.05
