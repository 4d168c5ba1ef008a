"""Stations that answer frequency by themselves: told the curve once, and taken back when needed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from agent.messages import RequestKind


def obeying(bench):
    """Let stations take up the mode that they were told, as OCPP 2.1 stations do."""
    told = []

    def tick():
        outputs = bench.tick()
        for order in outputs.modes:
            told.append(order)
            bench.change(order.evse_id, local_frequency=True)
        for order in outputs.setpoints:
            bench.change(order.evse_id, local_frequency=False)
        return outputs

    return tick, told


def test_the_curve_is_told_once_and_the_station_is_left_alone(make_bench, make_evse):
    bench = make_bench(local_frequency=True)
    bench.plug(make_evse("a/1", base_w=-2000.0, p_w=-2000.0))
    tick, told = obeying(bench)
    for k in range(4000):
        bench.f_hz = 50.0 - 0.15 * np.sin(k / 200.0)
        tick()
    assert [order.mode for order in told] == ["LocalFrequency"]
    assert bench.sent == []
    points = dict(told[0].freq_watt)
    assert told[0].baseline_w == -2000.0
    assert points[49.8] == pytest.approx(11_000.0)
    assert points[49.99] == points[50.01] == 0.0
    assert points[50.2] == pytest.approx(-9000.0)
    assert list(points) == sorted(points)


def test_stations_of_other_protocols_and_charge_only_vehicles_are_ordered(make_bench, make_evse):
    bench = make_bench(local_frequency=True)
    bench.plug(make_evse("old/1", protocol="ocpp2.0.1"), make_evse("v1g/1", discharge_max_w=0.0))
    tick, told = obeying(bench)
    bench.f_hz = 49.8
    for _ in range(50):
        tick()
    assert told == []
    assert {order.evse_id for order in bench.sent} == {"old/1"}


def test_a_contract_counts_what_local_stations_give(make_bench, make_evse):
    bench = make_bench(local_frequency=True, contract_up_w=20_000.0, contract_down_w=20_000.0)
    bench.plug(make_evse("local/1"), make_evse("old/1", protocol="ocpp1.6"))
    tick, _ = obeying(bench)
    for _ in range(10):
        tick()
    bench.f_hz = 49.8
    for _ in range(50):
        tick()
    assert bench.evses["old/1"].p_w == pytest.approx(9000.0)


@pytest.mark.parametrize("target", ["site", "a/1"])
def test_a_request_takes_the_station_back_at_once(make_bench, make_evse, make_request, target):
    bench = make_bench(local_frequency=True)
    bench.plug(make_evse("a/1"))
    tick, told = obeying(bench)
    for _ in range(10):
        tick()
    bench.ask(make_request(RequestKind.STOP, target=target, lease_s=4.0))
    tick()
    assert [(order.evse_id, order.p_w) for order in bench.sent] == [("a/1", 0.0)]
    for _ in range(400):
        tick()
    assert len(told) == 2
    assert len(bench.sent) == 1


def test_ride_through_and_an_empty_battery_take_it_back(make_bench, make_evse):
    bench = make_bench(local_frequency=True)
    bench.plug(make_evse("a/1"), make_evse("b/1"))
    tick, _ = obeying(bench)
    for _ in range(10):
        tick()
    bench.change("a/1", soc_pct=20.0)
    tick()
    assert [order.evse_id for order in bench.sent] == ["a/1"]
    bench.v_pu = 0.3
    tick()
    assert [order.evse_id for order in bench.sent] == ["a/1", "b/1"]


def test_a_station_that_refuses_the_curve_is_ordered_instead(make_bench, make_evse):
    bench = make_bench(local_frequency=True)
    bench.plug(make_evse("a/1"))
    outputs = bench.tick()
    bench.refuse(outputs.modes[0])
    bench.f_hz = 49.8
    bench.run(1)
    assert bench.power_w() == pytest.approx(11_000.0)
    assert bench.state.parameters.local_frequency
    modes = [bench.tick().modes for _ in range(100)]
    assert not any(modes)


def test_a_narrowed_droop_is_told_again(make_bench, make_evse, make_request):
    bench = make_bench(local_frequency=True)
    bench.plug(make_evse("a/1"))
    tick, told = obeying(bench)
    tick()
    bench.ask(make_request(RequestKind.SETTING, 0.05, setting="db_uf_hz", lease_s=300.0))
    bench.tick_s = 0.1
    for _ in range(700):
        tick()
    assert len(told) == 2
    assert dict(told[1].freq_watt)[49.95] == 0.0


def test_other_stations_local_by_themselves_are_left_alone_but_stopped_when_asked(
    make_bench, make_evse, make_request
):
    bench = make_bench()
    bench.plug(msgspec.structs.replace(make_evse("a/1"), local_frequency=True))
    bench.f_hz = 49.8
    bench.run(1)
    assert bench.sent == []
    bench.ask(make_request(RequestKind.STOP))
    bench.run(0.2)
    assert [order.p_w for order in bench.sent] == [0.0]
