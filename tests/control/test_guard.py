"""The guard alone, against garbage; nothing else of the control runs here."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.control import Now, act, parameters_from
from agent.control.fleet import Fleet
from agent.control.guard import veto
from agent.control.hearing import hear
from agent.errors import AlarmCode

ANY = st.floats(allow_nan=True, allow_infinity=True)


def fleet_of(make_evse, parameters, *fields):
    statuses = [make_evse(f"cs{i}/1", **values) for i, values in enumerate(fields)]
    fleet, _ = hear(Fleet(), statuses, (), Now(0.0, 0.0), parameters)
    return fleet


def test_garbage_becomes_safe_orders(make_evse):
    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        st.lists(st.tuples(ANY, ANY), min_size=4, max_size=4),
        st.booleans(),
        st.sampled_from([math.inf, 15_000.0, 0.0]),
    )
    def check(orders, permitted, site_w):
        check_garbage(make_evse, orders, permitted, site_w)

    check()


def check_garbage(make_evse, orders, permitted, site_w):
    p = parameters_from(nominal_hz=50, site_discharge_w=site_w, site_charge_w=site_w)
    fleet = fleet_of(
        make_evse, p, {}, {"discharge_max_w": 0.0}, {"soc_pct": 10.0}, {"charge_max_w": math.nan}
    )
    power_w, q_var = np.array(orders).T
    verdict = veto(power_w, q_var, fleet, permitted, p)
    assert np.isfinite(verdict.power_w).all()
    assert np.isfinite(verdict.q_var).all()
    assert (verdict.power_w <= 11_000.0).all()
    assert (verdict.power_w >= -11_000.0).all()
    assert verdict.power_w[1] <= 0.0
    assert verdict.power_w[2] <= 0.0
    assert verdict.power_w[3] >= 0.0
    assert abs(verdict.power_w.sum()) <= max(site_w, 0.0) + 1e-6
    assert permitted or (verdict.power_w <= 0.0).all()
    assert (np.hypot(verdict.power_w, verdict.q_var) <= 11_000.0 + 1e-6).all()


def test_orders_within_the_envelope_pass_unchanged(make_evse):
    p = parameters_from(nominal_hz=50)
    fleet = fleet_of(make_evse, p, {}, {}, {})
    power_w = np.array([11_000.0, -11_000.0, 42.0])
    verdict = veto(power_w, np.zeros(3), fleet, True, p)
    assert (verdict.power_w == power_w).all()
    assert not verdict.vetoed.any()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 11_500.0, -12_000.0])
def test_every_veto_is_marked(make_evse, bad):
    p = parameters_from(nominal_hz=50)
    fleet = fleet_of(make_evse, p, {}, {})
    verdict = veto(np.array([bad, 0.0]), np.zeros(2), fleet, True, p)
    assert verdict.vetoed.tolist() == [True, False]
    assert abs(verdict.power_w[0]) <= 11_000.0


def test_a_broken_dispatch_is_caught_and_reported(monkeypatch, make_bench, make_evse):
    monkeypatch.setattr(act, "settle", lambda ranges, *_: ranges.high_w * 3.0)
    real = act.plan
    monkeypatch.setattr(
        act,
        "plan",
        lambda *args, **more: _unclipped(real(*args, **more), args[2]),
    )
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.tick()
    assert [order.p_w for order in bench.sent] == [11_000.0]
    assert AlarmCode.GUARD_VETO in {alarm.code for alarm in bench.last.alarms}


def _unclipped(plan, wanted_w):
    return replace(plan, power_w=np.where(plan.changed, wanted_w, plan.power_w))
