"""Kills in mid-discharge: the state is read back, the world adopted, nothing jumps."""

from __future__ import annotations

import random

import pytest

from agent.control import dump_state, initial_state, load_state, parameters_from
from agent.messages import RequestKind, RequestStatus


def running(make_bench, make_evse, seed, **values):
    rng = random.Random(seed)
    bench = make_bench(**values)
    bench.plug(*(make_evse(f"cs{i}/1", base_w=-2000.0, p_w=-2000.0) for i in range(30)))
    bench.run(0.1)
    bench.f_hz = 50.0 - rng.uniform(0.02, 0.19)
    bench.run(1.5)
    return bench, rng


def restart(bench, rng, *, memory=True):
    """Kill and start the daemon: its file is up to half a second old, stations come in turn."""
    saved = dump_state(bench.state)
    bench.run(rng.uniform(0.0, 0.5))
    bench.now_s += rng.uniform(0.1, 1.0)
    p = bench.parameters
    bench.state = load_state(saved, p) if memory else initial_state(p)
    names = list(bench.evses)
    rng.shuffle(names)
    sent = len(bench.sent)
    while names:
        for name in (names.pop() for _ in range(min(len(names), rng.randint(1, 8)))):
            bench.plug(bench.evses[name])
        bench.run(0.02 * rng.randint(1, 4))
    return bench.sent[sent:]


def check_restart(make_bench, make_evse, seed, memory):
    bench, rng = running(make_bench, make_evse, seed)
    before_w, rated_w = bench.power_w(), 30 * 11_000.0
    restart(bench, rng, memory=memory)
    for _ in range(150):
        bench.tick()
        assert abs(bench.power_w() - before_w) <= 0.01 * rated_w
        assert all(-11_000.0 <= order.p_w <= 11_000.0 for order in bench.last.setpoints)
    assert bench.last.loop.ordered_w == pytest.approx(before_w, abs=0.01 * rated_w)


@pytest.mark.parametrize("memory", [True, False], ids=["with state", "state lost"])
@pytest.mark.parametrize("seed", range(3))
def test_a_restart_in_mid_discharge_moves_at_most_one_percent(make_bench, make_evse, seed, memory):
    check_restart(make_bench, make_evse, seed, memory)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
def test_100_restarts_in_mid_discharge(make_bench, make_evse, seed):
    check_restart(make_bench, make_evse, seed, memory=seed % 4 != 0)


def check_worker_kills(make_bench, make_evse, kills):
    """The stations worker dies again and again: every tick happens, every order is allowed."""
    bench, rng = running(make_bench, make_evse, kills)
    ticks = bench.state.ticks
    total = 0
    for _ in range(kills):
        for status in list(bench.evses.values()):
            bench.plug(type(status)(**_fields(status) | {"online": False}))
        total += _ticks(bench, rng.randint(1, 5))
        for name in bench.evses:
            bench.change(name, online=True)
        total += _ticks(bench, rng.randint(1, 10))
    assert bench.state.ticks - ticks == total
    assert all(-11_000.0 <= order.p_w <= 11_000.0 for order in bench.sent)
    bench.run(1)
    assert bench.power_w() == pytest.approx(bench.last.loop.target_w, abs=0.01 * 330_000.0)


def _fields(status):
    return {name: getattr(status, name) for name in status.__struct_fields__}


def _ticks(bench, count):
    for _ in range(count):
        bench.tick()
    return count


def test_kills_of_the_stations_worker_cost_no_tick(make_bench, make_evse):
    check_worker_kills(make_bench, make_evse, 20)


@pytest.mark.soak
def test_1000_kills_of_the_stations_worker(make_bench, make_evse):
    check_worker_kills(make_bench, make_evse, 1000)


def test_orders_numbers_and_leases_survive(make_bench, make_evse, make_request):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5000.0, request_id="r", duration_s=6.0))
    bench.run(2)
    seq = bench.sent[-1].seq
    bench.state = load_state(dump_state(bench.state), bench.parameters)
    bench.plug(bench.evses["a/1"])
    bench.run(5)
    assert bench.power_w() == 0.0
    assert bench.sent[-1].seq == seq + 1
    assert [o.status for o in bench.outcomes][-1] is RequestStatus.COMPLETED
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5000.0, request_id="r"))
    bench.run(1)
    assert bench.power_w() == 0.0


def test_after_a_reboot_old_leases_are_void(make_bench, make_evse, make_request):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5000.0, lease_s=3600.0))
    bench.run(1)
    saved = dump_state(bench.state)
    bench.now_s = 5.0
    bench.state = load_state(saved, bench.parameters)
    bench.change("a/1", p_w=0.0, setpoint_w=None)
    bench.run(3)
    assert bench.power_w() == 0.0
    assert bench.last.requests == ()


def test_a_trip_survives_a_restart(make_bench, make_evse):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.f_hz = 47.0
    bench.run(0.5)
    assert bench.last.loop.mode == "tripped"
    bench.state = load_state(dump_state(bench.state), bench.parameters)
    bench.f_hz = 49.8
    bench.plug(bench.evses["a/1"])
    bench.run(4)
    assert bench.power_w() == 0.0


@pytest.mark.parametrize("cut", range(0, 400, 29))
def test_a_damaged_state_is_refused_never_half_used(make_bench, make_evse, cut):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.f_hz = 49.8
    bench.run(0.5)
    data = dump_state(bench.state)
    p = parameters_from(nominal_hz=50)
    with pytest.raises(ValueError, match="state"):
        load_state(data[: min(cut, len(data) - 1)], p)
    flipped = bytearray(data)
    flipped[cut % len(data)] ^= 0xFF
    try:
        state = load_state(bytes(flipped), p)
    except ValueError:
        return
    assert abs(state.share) <= 1.0
