"""The fleet is the agent's: the same droop, limits, dispatch and answers."""

from __future__ import annotations

import numpy as np
import pytest

from agent.control.ranges import limits
from agent.study.cases import Case, batch_of
from agent.study.fleet import Group
from agent.study.population import populate
from agent.study.response import Responses, droop_of
from agent.study.simulate import simulate
from tests.control.conftest import Bench, evse
from tests.study.conftest import study

SIZES_W = (3_700.0, 7_400.0, 11_000.0, 22_000.0)


def group(central: bool, **fleet: object) -> tuple[Group, object, object]:
    spec = study(fleet={"name": "x", "count": 4, "preset": "GB-DC", "ramp_s": 0.0} | fleet).fleet[0]
    p = spec.parameters(50.0)
    people = populate(spec, p, 0.0, np.random.default_rng(1))
    people.discharge_w[:] = people.charge_w[:] = SIZES_W
    made = Group(people, p, np.ones(4, bool), systems=1, steps=400, dt_s=0.02, central=central)
    return made, spec, p


def settled(made: Group, p: object, f_hz: float) -> float:
    responses = Responses(p, [droop_of(p)], 0.02)
    power = np.zeros(1)
    for k in range(300):
        power = made.advance(k, responses.advance(np.array([f_hz]), 0.02 * k))
    return float(power[0])


@pytest.mark.parametrize("f_hz", [49.99, 49.85, 49.7, 49.45, 50.12, 50.4])
@pytest.mark.parametrize("central", [True, False])
def test_a_settled_fleet_gives_what_the_agents_step_orders(f_hz, central):
    made, _spec, p = group(central, max_discharge_w=22_000.0, max_charge_w=22_000.0)
    bench = Bench(p)
    bench.plug(*(evse(f"CS{n}/1", discharge_max_w=w, charge_max_w=w, capacity_wh=60_000.0)
                 for n, w in enumerate(SIZES_W)))  # fmt: skip
    bench.run(1.0)
    bench.f_hz = f_hz
    bench.run(4.0)
    assert settled(made, p, f_hz) == pytest.approx(
        bench.last.loop.ordered_w, abs=2 * p.min_change_w
    )


def test_limits_are_those_of_the_agent():
    made, _spec, p = group(False, soc_pct=20.4)
    people = made.people
    expected = limits(people.fleet(slice(None)), p, 0.0).room_w(up=True)
    np.testing.assert_allclose(made.up_w, expected, rtol=1e-6)
    assert (made.up_w < 0.45 * people.discharge_w).all()  # the fade above the floor of 20 %


def test_a_step_takes_effect_after_delay_and_period_and_ramps():
    made, _spec, _p = group(False, delay_s=0.2, period_s=0.02, ramp_s=0.4, measurement_delay_s=0.0)
    course = [float(made.advance(k, np.array([1.0 if k >= 10 else 0.0]))[0]) for k in range(60)]
    power = np.array(course)
    assert (power[:19] == 0.0).all()
    assert power[20] > 0.0
    full = sum(SIZES_W)
    assert power[-1] == pytest.approx(full, rel=1e-6)
    assert power[19 + 10] == pytest.approx(0.5 * full, rel=0.06)


def test_a_ramp_that_is_cut_short_turns_where_it_is():
    made, _spec, _p = group(False, delay_s=0.0, period_s=0.1, ramp_s=1.0, measurement_delay_s=0.0)
    for k in range(25):
        top = made.advance(k, np.array([1.0]))
    for k in range(25, 200):
        power = made.advance(k, np.array([0.0]))
    assert 0.2 * sum(SIZES_W) < top[0] < 0.6 * sum(SIZES_W)
    assert abs(power[0]) < 1.0


def test_setpoints_are_quantised_as_the_devices_are():
    made, _spec, _p = group(False, step_w=690.0, delay_s=0.0, period_s=0.02,
                            measurement_delay_s=0.0)  # fmt: skip
    for k in range(10):
        power = made.advance(k, np.array([0.5]))
    assert power[0] == pytest.approx(sum(int(w / 2 / 690) * 690 for w in SIZES_W))


def test_energy_leaves_the_battery_with_its_losses():
    made, _spec, p = group(False, delay_s=0.0, period_s=0.02, measurement_delay_s=0.0)
    for k in range(300):
        made.advance(k, np.array([1.0]))
    made.settle(300)
    given_wh = np.array(SIZES_W) * 300 * 0.02 / 3600
    drop = 100 * given_wh / p.efficiency / 60_000
    np.testing.assert_allclose(np.sort(60.0 - made.soc_pct), np.sort(drop), rtol=0.02)


def test_a_case_gives_the_same_numbers_alone_and_among_others():
    made = study(**{"fleet.delay_s": {"median": 0.4, "factor": 1.5}})
    many = [Case(n, redraw=True, share=0.05 + 0.02 * n, inertia_s=3.0 + n) for n in range(3)]
    together = simulate(batch_of(made, many))
    for row, case in enumerate(many):
        alone = simulate(batch_of(made, [case]))
        np.testing.assert_allclose(alone.f_hz[0], together.f_hz[row], atol=2e-6)


def test_the_stability_limit_keeps_a_slow_fleet_stable():
    slow = {"fleet.delay_s": 1.5, "fleet.share": 0.5, "study.duration_s": 40.0}
    free = study(**slow, **{"fleet.stability_limit": False})
    from agent.study.answers import answers_of

    results = []
    for made in (free, study(**slow)):
        batch = batch_of(made, [Case()])
        results.append(answers_of(batch, simulate(batch)))
    assert results[0]["residual_hz"][0] > 0.05
    assert results[1]["residual_hz"][0] < 0.01


def test_fewer_vehicles_are_plugged_in_at_noon():
    spec = study(**{"fleet.available": "home", "fleet.count": 5000}).fleet[0]
    p = spec.parameters(50.0)
    counts = [len(populate(spec, p, hour, np.random.default_rng(1))) for hour in (3, 11)]
    assert counts[0] > 4000 > 2000 > counts[1]
