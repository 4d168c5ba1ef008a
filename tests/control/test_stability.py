"""The gain limit against theory, against contingencies, and in the closed loop."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.control import parameters_from
from agent.control.oscillation import Oscillation, observe
from agent.control.stability import Limit, gain_limit, limit_slope, single_delay_limit
from agent.errors import AlarmCode

area = sys.modules.get("control_area")
if area is None:
    spec = importlib.util.spec_from_file_location(
        "control_area", Path(__file__).with_name("area.py")
    )
    area = sys.modules["control_area"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(area)

FULL_PU = 0.5 / 50.0
DEADBAND_PU = 0.036 / 60.0


@pytest.mark.parametrize("inertia_s", [1.5, 4.0])
@pytest.mark.parametrize("delay_s", [0.08, 0.3, 1.0])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_one_delay_gives_pi_h_over_factor_tau(inertia_s, delay_s, factor):
    limit = gain_limit(inertia_s, np.array([delay_s]), np.ones(1), 0.0, factor)
    assert limit == pytest.approx(math.pi * inertia_s / (factor * delay_s), rel=0.02)
    assert single_delay_limit(np.array([inertia_s]), np.array([delay_s]), factor)[
        0
    ] == pytest.approx(math.pi * inertia_s / (factor * delay_s))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(0.05, 2.0), min_size=1, max_size=200), st.floats(0.0, 3.0))
def test_a_mixed_fleet_is_limited_no_less_than_its_fastest_and_no_more_than_its_slowest(
    delays, lag_s
):
    delays_s = np.array(delays)
    limit = gain_limit(4.0, delays_s, np.ones(delays_s.size), lag_s, 2.0)
    slowest = gain_limit(4.0, delays_s.max(keepdims=True), np.ones(1), lag_s, 2.0)
    assert limit >= slowest * 0.93


def test_slow_stations_are_left_out_when_they_cost_more_than_they_bring():
    p = parameters_from(nominal_hz=50, inertia_s=2.0, area_power_w=1e6)
    delays_s = np.array([0.1] * 60 + [4.0] * 40)
    limit = limit_slope(
        Limit(), delays_s, np.full(100, 5000.0), wanted_share_per_hz=2.0, lag_s=0.0, p=p
    )
    assert limit.cut_s < 4.0
    assert "stations slower than" in limit.reason
    everybody = gain_limit(2.0, delays_s + 0.09, np.ones(100), 0.0, 2.0) * 1e6 / 50.0
    assert limit.slope_w_per_hz > 1.1 * everybody


def test_a_large_fleet_in_groups_has_the_limit_of_its_single_delays_or_less():
    delays_s = np.random.default_rng(5).lognormal(-0.9, 0.5, 5000)
    omega = np.geomspace(0.1, 30.0, 3000)
    loop = np.exp(-1j * np.multiply.outer(omega, delays_s)).mean(axis=1) / (8.0j * omega)
    crossing = (loop.imag[:-1] * loop.imag[1:] <= 0.0) & (loop.real[:-1] < 0.0)
    exact = 0.5 / np.abs(loop[:-1][crossing]).max()
    limit = gain_limit(4.0, delays_s, np.ones(5000), 0.0, 2.0)
    assert 0.93 * exact < limit < 1.005 * exact


def sample(count, seed):
    draws = area.Contingencies.draw(count, seed)
    fixed = draws.share / FULL_PU
    limited = np.minimum(fixed, single_delay_limit(draws.inertia_s, draws.delay_s, 2.0))
    return [
        area.simulate(draws, gain, deadband=DEADBAND_PU, nominal_hz=50.0)
        for gain in (0.0 * fixed, fixed, limited)
    ]


def check_contingencies(count, seed):
    without, fixed, limited = sample(count, seed)
    assert fixed.unstable.mean() > 0.05, "the set must contain cases that the fixed gain loses"
    assert not limited.unstable.any()
    held_fixed = ((fixed.nadir_hz > -0.5) & ~fixed.unstable).mean()
    held_limited = ((limited.nadir_hz > -0.5) & ~limited.unstable).mean()
    assert held_limited >= 0.98 * held_fixed
    stable = ~fixed.unstable
    benefit = [(run.nadir_hz - without.nadir_hz)[stable].mean() for run in (fixed, limited)]
    assert benefit[1] >= 0.98 * benefit[0]


def test_no_contingency_is_unstable_with_the_limit_and_many_are_without():
    check_contingencies(800, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(25))
def test_100_000_contingencies(seed):
    check_contingencies(4000, seed=100 + seed)


def closed_loop(bench, make_evse, *, true_inertia_s, area_w, seconds):
    """Let the fleet answer the frequency that it moves itself; return the trace in Hz."""
    deviation, trace = 0.0, []
    for k in range(round(seconds / 0.02)):
        bench.f_hz = 50.0 * (1.0 + deviation)
        bench.tick()
        loss = 0.03 if k > 50 else 0.0
        power = bench.power_w() / area_w - deviation / 0.05
        deviation += 0.02 * (power - loss) / (2.0 * true_inertia_s)
        trace.append(bench.f_hz)
    return np.array(trace)


def fleet_in_small_area(make_bench, make_evse, inertia_s):
    area_w = 1e6
    bench = make_bench(area_power_w=area_w, inertia_s=inertia_s, lease_s=600.0)
    bench.latency_s = 0.5
    bench.plug(*(make_evse(f"cs{i}/1", latency_s=0.5) for i in range(30)))
    return bench, area_w


def swing_hz(trace):
    return float(np.ptp(trace[-250:]))


def test_the_step_limits_its_gain_and_the_closed_loop_is_calm(make_bench, make_evse):
    bench, area_w = fleet_in_small_area(make_bench, make_evse, inertia_s=2.0)
    trace = closed_loop(bench, make_evse, true_inertia_s=2.0, area_w=area_w, seconds=25)
    assert swing_hz(trace) < 0.04
    loop = bench.last.loop
    assert loop.gain_w_per_hz == loop.gain_limit_w_per_hz
    assert "inertia 2 s" in loop.gain_reason
    assert AlarmCode.GAIN_LIMITED in {alarm.code for alarm in bench.last.alarms}


def test_a_wrongly_configured_inertia_is_caught_by_the_limit_cycle_detection(make_bench, make_evse):
    bench, area_w = fleet_in_small_area(make_bench, make_evse, inertia_s=1e6)
    trace = closed_loop(bench, make_evse, true_inertia_s=2.0, area_w=area_w, seconds=30)
    assert np.ptp(trace[100:600]) > 0.3
    assert bench.state.swing.gain < 1.0
    assert AlarmCode.OSCILLATION in {alarm.code for alarm in bench.last.alarms}
    assert swing_hz(trace) < 0.5 * np.ptp(trace[100:600])


def observe_all(values, dt_s=0.02):
    state = Oscillation()
    for k, f_hz in enumerate(values):
        state = observe(state, float(f_hz), 10.0 + k * dt_s, dt_s)
    return state


def test_ordinary_frequency_is_no_limit_cycle():
    t = np.arange(0, 60, 0.02)
    rng = np.random.default_rng(1)
    noise = 50.0 + rng.normal(0.0, 0.002, t.size)
    dip = 50.0 - 0.4 * np.exp(-t / 8.0) * np.cos(0.8 * t)
    assert observe_all(noise).gain == 1.0
    assert observe_all(dip).gain == 1.0


def test_a_steady_swing_halves_the_gain_and_calm_restores_it():
    t = np.arange(0, 12, 0.02)
    swinging = observe_all(50.0 + 0.05 * np.sin(2 * np.pi * 0.8 * t))
    assert swinging.gain < 1.0
    state = swinging
    for k in range(6000):
        state = observe(state, 50.0, 22.0 + k * 0.02, 0.02)
    assert state.gain == 1.0
