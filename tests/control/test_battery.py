"""Batteries and drivers: windows, budgets, departures, disconnects."""

from __future__ import annotations

import pytest

from agent.errors import AlarmCode


@pytest.mark.parametrize(
    ("fields", "least_w", "most_w"),
    [
        ({"soc_pct": 20.0}, 0.0, 0.0),
        ({"soc_pct": 20.5}, 5400.0, 5600.0),
        ({"soc_pct": 40.0, "soc_min_pct": 45.0}, 0.0, 0.0),
        ({"soc_pct": 40.0, "soc_min_pct": 30.0}, 11_000.0, 11_000.0),
        ({"soc_pct": None}, 11_000.0, 11_000.0),
        ({"soh_pct": 65.0}, 0.0, 0.0),
        ({"soh_pct": 75.0}, 11_000.0, 11_000.0),
        ({"discharge_max_w": 3000.0}, 3000.0, 3000.0),
        ({"step_w": 2500.0}, 11_000.0, 11_000.0),
        ({"fault": "ground fault"}, 0.0, 0.0),
        ({"online": False}, 0.0, 0.0),
    ],
)
def test_discharge_limits(make_bench, make_evse, fields, least_w, most_w):
    bench = make_bench(min_soh_pct=70.0)
    bench.plug(make_evse("a/1", **fields))
    bench.f_hz = 49.8
    bench.run(1)
    assert least_w <= bench.power_w() <= most_w


def test_a_full_vehicle_is_not_charged_but_its_own_charging_goes_on(make_bench, make_evse):
    bench = make_bench()
    bench.plug(
        make_evse("full/1", soc_pct=96.0),
        make_evse("own/1", soc_pct=96.0, base_w=-5000.0, p_w=-5000.0),
    )
    bench.f_hz = 50.2
    bench.run(1)
    assert bench.sent == []


def test_depth_of_discharge_raises_the_floor(make_bench, make_evse):
    bench = make_bench(max_depth_of_discharge_pct=30.0)
    bench.plug(make_evse("a/1", soc_pct=69.0), make_evse("b/1", soc_pct=75.0))
    bench.f_hz = 49.8
    bench.run(1)
    assert (bench.evses["a/1"].p_w, bench.evses["b/1"].p_w) == (0.0, 11_000.0)


def drive(bench, name, hours, f_hz):
    """Step once a second with a battery that really empties and fills; return its story."""
    bench.tick_s = 0.5
    story = []
    for _ in range(int(hours * 3600 / 0.5)):
        bench.f_hz = f_hz(bench.now_s)
        bench.tick()
        status = bench.evses[name]
        moved_wh = (status.p_w or 0.0) * 0.5 / 3600.0
        stored_wh = moved_wh / 0.95 if moved_wh > 0 else moved_wh * 0.95
        soc_pct = status.soc_pct - 100.0 * stored_wh / status.capacity_wh
        bench.evses[name] = status = type(status)(
            **{f: getattr(status, f) for f in status.__struct_fields__} | {"soc_pct": soc_pct}
        )
        if bench.state.ticks % 2 == 0:
            bench.plug(status)
        story.append((bench.now_s, status.p_w, soc_pct))
    return story


def test_a_driver_departs_with_the_energy_needed_whatever_the_grid_asks(make_bench, make_evse):
    """Low frequency for the whole stay: the car gives while it may, then charges, in time."""
    bench = make_bench(departure_margin_s=60.0, lease_s=10.0)
    need_wh, stay_s = 600.0, 500.0
    bench.plug(
        make_evse(
            "a/1",
            soc_pct=50.0,
            departure_utc_s=bench.utc_s() + stay_s,
            energy_needed_wh=need_wh,
        )
    )
    story = drive(bench, "a/1", stay_s / 3600.0, lambda _: 49.8)
    assert max(power for _, power, _ in story) == 11_000.0
    assert min(power for _, power, _ in story) == -11_000.0
    assert story[-1][2] >= 50.0 + 100.0 * need_wh / 60_000.0 - 0.1


def test_the_day_s_energy_budget_ends_discharge_and_returns_slowly(make_bench, make_evse):
    bench = make_bench(max_energy_per_day_wh=500.0)
    bench.plug(make_evse("a/1", soc_pct=90.0))
    drive(bench, "a/1", 0.1, lambda _: 49.8)
    assert bench.state.fleet.own.used_wh[0] <= 520.0
    assert abs(bench.evses["a/1"].p_w) < 1500.0


def test_a_bms_disconnect_zeroes_and_redistributes_within_one_tick(make_bench, make_evse):
    bench = make_bench()
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(4)))
    bench.f_hz = 49.895
    bench.run(2)
    target_w = bench.last.loop.ordered_w
    busy = max(bench.evses, key=lambda name: bench.evses[name].p_w)
    bench.change(busy, plugged=False, p_w=0.0, fault="BMS")
    outputs = bench.tick()
    orders = {order.evse_id: order.p_w for order in outputs.setpoints}
    assert orders[busy] == 0.0
    assert outputs.loop.ordered_w == pytest.approx(target_w * 0.75, rel=0.02)
    assert any(a.code is AlarmCode.BMS_DISCONNECT and a.source == busy for a in outputs.alarms)
    assert any(r.kind == "disconnect" and r.who == busy for r in outputs.records)


def test_a_disconnected_vehicle_rests_longer_each_time(make_bench, make_evse):
    bench = make_bench(cooldown_s=2.0)
    rests = []
    bench.plug(make_evse("a/1", ev_id="EV1"))
    bench.f_hz = 49.8
    for _ in range(3):
        bench.coast(12)
        assert bench.evses["a/1"].p_w > 0.0
        bench.change("a/1", plugged=False, p_w=0.0)
        bench.tick()
        rests.append(bench.state.fleet.own.rest_until_s[0] - bench.now_s)
        bench.change("a/1", plugged=True)
        bench.tick()
    assert rests == pytest.approx([2.0, 4.0, 8.0])


def test_a_station_that_refuses_rests_and_the_others_take_over(make_bench, make_evse):
    bench = make_bench()
    bench.plug(make_evse("a/1"), make_evse("b/1"))
    bench.f_hz = 49.9
    bench.run(1)
    first = bench.sent[0]
    bench.refuse(bench.sent[-1] if bench.sent[-1].evse_id == first.evse_id else first)
    outputs = bench.tick()
    assert {order.evse_id for order in outputs.setpoints} <= {"a/1", "b/1"}
    assert bench.state.fleet.own.rest_until_s.max() > bench.now_s


def test_charge_and_discharge_curves_by_soc(make_bench, make_evse):
    bench = make_bench(discharge_curve=((20.0, 0.2), (60.0, 1.0)))
    bench.plug(make_evse("a/1", soc_pct=40.0))
    bench.f_hz = 49.8
    bench.run(1)
    assert bench.power_w() == pytest.approx(0.6 * 11_000.0, rel=0.01)
