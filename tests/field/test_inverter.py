"""A SunSpec inverter without I/O: discovery, orders with read-back, functions, devices that lie."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import AgentError, RefusedError
from agent.vehicles.field.dialogue import (
    DeviceError,
    DeviceRefusedError,
    Read,
    Write,
    carry_out,
)
from agent.vehicles.field.functions import Droop, Functions
from agent.vehicles.field.inverter import REVERSION_S, SunSpecInverter, limits_of
from agent.vehicles.field.sunspec import discover
from agent.vehicles.field.sunspec.discovery import MARKER
from agent.vehicles.simulated.inverter import SimulatedInverter
from agent.vehicles.simulated.sunspec_map import RegisterMap


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Bench:
    """A simulated inverter that is asked directly, on a clock of our own."""

    def __init__(self, base=40_000, **keys):
        self.clock = Clock()
        self.sim = SimulatedInverter(clock=self.clock, ramp_w_s=1e9, **keys)
        self.sim.map.base = base
        self.requests = []
        self.change = lambda request, answer: answer

    def __call__(self, request):
        self.requests.append(request)
        self.clock.now_s += 0.001
        if not isinstance(request, Read | Write):
            self.clock.now_s += request.seconds
            return ()
        registers = self.sim.map.registers
        at = request.address - self.sim.map.base
        writing = isinstance(request, Write)
        count = len(request.registers) if writing else request.count
        if at < 0 or at + count > len(registers):
            raise DeviceRefusedError("illegal data address", 2)
        current = list(registers)
        code = _result(
            self.sim.act(
                16 if writing else 3,
                self.sim.map.base,
                request.address,
                count,
                current,
                list(request.registers) if writing else None,
            )
        )
        if code is not None:
            raise DeviceRefusedError("refused", int(code))
        return () if writing else self.change(request, tuple(current[at : at + count]))

    def inverter(self, functions=None, site_w=11_000.0):
        device = carry_out(discover(), self)
        limits = limits_of(device, site_w, site_w)
        return SunSpecInverter(device, limits, functions or Functions())

    @property
    def writes(self):
        return [request for request in self.requests if isinstance(request, Write)]


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_models_are_found_at_every_place_where_a_chain_may_start(base):
    bench = Bench()
    bench.sim.map = RegisterMap(
        {1: {"Mn": "m", "Md": "d", "SN": "s"}, 701: {"W": 5, "W_SF": 0, "ACType": 2}}, base
    )
    device = carry_out(discover(), lambda r: _plain(bench.sim.map, r))
    assert (device.base, set(device.models), device.identity("Mn")) == (base, {1, 701}, "m")


def _result(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the simulation waited")


def _plain(map_, request):
    at = request.address - map_.base
    if at < 0 or at + request.count > len(map_.registers):
        raise DeviceRefusedError("illegal data address", 2)
    return map_.registers[at : at + request.count]


def test_all_models_of_an_inverter_are_laid_out():
    device = carry_out(discover(), Bench())
    assert set(device.models) == {1, 701, 702, 703, 704, 705, 711, 713, 714, 715}
    assert "Crv[1].Pt[3].Var" in device.models[705].points
    assert "Prt[0].DCAlrm" in device.models[714].points


def test_limits_are_those_of_device_and_site_together():
    device = carry_out(discover(), Bench(rated_w=7000.0))
    assert limits_of(device, 11_000.0, 5_000.0).charge_max_w == 7000.0
    assert limits_of(device, 11_000.0, 5_000.0).discharge_max_w == 5000.0


def test_an_order_is_carried_out_read_back_and_watched_by_the_inverter():
    bench = Bench()
    inverter = bench.inverter()
    carry_out(inverter.prepare(), bench)
    carry_out(inverter.order(4200.0), bench)
    readings = carry_out(inverter.poll((0, 1)), bench)
    assert (readings.p_w, readings.setpoint_w, readings.remaining_s) == (4200.0, 4200.0, 5.0)
    assert bench.sim.map.get(704, "WSetRvrtTms") == REVERSION_S


def test_without_renewal_the_inverter_is_at_zero_after_its_reversion_time():
    bench = Bench()
    inverter = bench.inverter()
    carry_out(inverter.prepare(), bench)
    carry_out(inverter.order(-4200.0), bench)
    bench.clock.now_s += REVERSION_S - 0.1
    assert carry_out(inverter.poll(), bench).p_w == -4200.0
    bench.clock.now_s += 0.2
    assert carry_out(inverter.poll(), bench).p_w == 0.0


def test_renewal_holds_the_order_and_counts_the_heartbeat():
    bench = Bench()
    inverter = bench.inverter()
    carry_out(inverter.prepare(), bench)
    carry_out(inverter.order(3000.0), bench)
    for _ in range(12):
        bench.clock.now_s += 1.0
        carry_out(inverter.keep_alive(3000.0), bench)
    assert carry_out(inverter.poll(), bench).p_w == 3000.0
    assert bench.sim.map.get(715, "ControllerHb") == 12


def test_preparing_twice_writes_nothing_the_second_time():
    bench = Bench()
    functions = Functions(
        droop=Droop(0.017, 0.02, 0.04, 0.03, 2.0),
        volt_var=((90.0, 40.0), (97.0, 0.0), (103.0, 0.0), (110.0, -40.0)),
        limit_pct=90.0,
        enter_service=True,
    )
    inverter = bench.inverter(functions)
    carry_out(inverter.prepare(), bench)
    assert bench.writes
    bench.requests.clear()
    carry_out(inverter.prepare(), bench)
    assert bench.writes == []


def test_a_running_order_is_found_again_after_a_restart():
    bench = Bench()
    first = bench.inverter()
    carry_out(first.prepare(), bench)
    carry_out(first.order(2500.0), bench)
    assert carry_out(bench.inverter().prepare(), bench) == 2500.0
    bench.clock.now_s += 6.0
    carry_out(first.poll(), bench)
    assert carry_out(bench.inverter().prepare(), bench) is None


@pytest.mark.parametrize("p_w", [float("nan"), float("inf"), 11_001.0, -11_001.0, 1e30])
def test_values_that_must_not_be_ordered_reach_no_register(p_w):
    bench = Bench()
    inverter = bench.inverter()
    carry_out(inverter.prepare(), bench)
    bench.requests.clear()
    with pytest.raises(RefusedError):
        carry_out(inverter.order(p_w), bench)
    assert bench.requests == []


def test_droop_of_711_is_adopted_and_enabled():
    bench = Bench()
    carry_out(bench.inverter(Functions(droop=Droop(0.017, 0.02, 0.04, 0.03, 2.5))).prepare(), bench)
    get = bench.sim.map.get
    assert get(711, "Ena") == 1
    assert [get(711, f"Ctl[0].{n}") for n in ("DbOf", "DbUf", "KOf", "KUf", "RspTms")] == [
        0.017,
        0.02,
        0.04,
        0.03,
        2.5,
    ]


def test_volt_var_of_705_is_adopted_and_enabled():
    bench = Bench()
    curve = ((91.5, 44.0), (97.0, 0.0), (103.5, 0.0), (109.0, -44.0))
    inverter = bench.inverter(Functions(volt_var=curve))
    carry_out(inverter.prepare(), bench)
    get = bench.sim.map.get
    assert get(705, "Ena") == 1
    assert [(get(705, f"Crv[0].Pt[{n}].V"), get(705, f"Crv[0].Pt[{n}].Var")) for n in range(4)] == [
        *curve
    ]
    assert "reactive power" in inverter.cannot


@pytest.mark.parametrize("factor", [0.9, -0.9, 0.95, 1.0])
def test_power_factor_from_090_lag_to_090_lead(factor):
    bench = Bench()
    inverter = bench.inverter(Functions(power_factor=factor))
    carry_out(inverter.prepare(), bench)
    carry_out(inverter.order(10_000.0), bench)
    readings = carry_out(inverter.poll(), bench)
    expected = 10_000.0 * (1 / factor**2 - 1) ** 0.5 * (1 if factor > 0 else -1)
    assert readings.q_var == pytest.approx(expected, abs=2.0)


@pytest.mark.parametrize("factor", [0.89, -0.5, 0.0, 1.1])
def test_a_power_factor_outside_090_is_refused(factor):
    with pytest.raises(RefusedError):
        Functions(power_factor=factor)


def test_reactive_power_is_ordered_and_reverts_with_the_active():
    bench = Bench()
    inverter = bench.inverter()
    carry_out(inverter.prepare(), bench)
    carry_out(inverter.order(3000.0, -1200.0), bench)
    assert carry_out(inverter.poll(), bench).q_var == -1200.0
    bench.clock.now_s += 5.1
    assert carry_out(inverter.poll(), bench).q_var == 0.0


def test_enter_service_is_taken_away_and_given():
    bench = Bench()
    carry_out(bench.inverter(Functions(enter_service=False)).prepare(), bench)
    assert bench.sim.map.get(703, "ES") == 0
    carry_out(bench.inverter(Functions(enter_service=True)).prepare(), bench)
    assert bench.sim.map.get(703, "ES") == 1


def test_local_control_at_the_inverter_refuses_its_functions():
    bench = Bench()
    bench.sim.map.put(715, "LocRemCtl", 1)
    with pytest.raises(RefusedError, match="local control"):
        carry_out(bench.inverter(Functions(limit_pct=50.0)).prepare(), bench)


def test_a_function_that_the_inverter_lacks_is_refused_by_its_name():
    device = carry_out(discover(), Bench())
    without = dataclasses.replace(
        device, models={n: m for n, m in device.models.items() if n != 711}
    )
    inverter = SunSpecInverter(
        without, limits_of(without, 1.0, 1.0), Functions(droop=Droop(0.1, 0.1, 0.1, 0.1, 1.0))
    )
    with pytest.raises(RefusedError, match="frequency droop"):
        carry_out(inverter.prepare(), Bench())


def test_an_inverter_without_reversion_timer_takes_no_orders():
    bench = Bench()
    device = carry_out(discover(), bench)
    control = device.models[704]
    points = {n: p for n, p in control.points.items() if n != "WSetRvrtTms"}
    poor = dataclasses.replace(
        device, models={**device.models, 704: dataclasses.replace(control, points=points)}
    )
    inverter = SunSpecInverter(poor, limits_of(poor, 11e3, 11e3))
    assert "orders" in inverter.cannot
    with pytest.raises(RefusedError, match="watchdog"):
        carry_out(inverter.order(100.0), bench)


def test_an_inverter_that_keeps_another_value_has_refused():
    bench = Bench()
    inverter = bench.inverter()
    carry_out(inverter.prepare(), bench)
    control = inverter.device.models[704]
    low = control.address + control.points["WSet"].offset + 1

    def lies(request, answer):
        at = low - request.address
        return (*answer[:at], 999, *answer[at + 1 :]) if 0 <= at < len(answer) else answer

    bench.change = lies
    with pytest.raises(DeviceRefusedError, match="was kept"):
        carry_out(inverter.order(5000.0), bench)


def test_alarms_of_the_equipment_are_faults_and_those_of_the_grid_are_not():
    bench = Bench()
    inverter = bench.inverter()
    bench.sim.alarm(1 << 0 | 1 << 8)  # ground fault, over-frequency
    readings = carry_out(inverter.poll(), bench)
    assert readings.faults == ("ground fault",)
    assert readings.ground_fault
    assert not readings.running


def test_a_device_without_marker_is_none():
    with pytest.raises(DeviceError, match="not a SunSpec device"):
        carry_out(discover(), lambda request: (0,) * request.count)


def test_a_chain_without_end_is_given_up():
    def endless(request):
        return MARKER if request.address == 40_000 else (64_001, 1)[: request.count]

    with pytest.raises(DeviceError, match="no end"):
        carry_out(discover(), endless)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_device_that_lies_about_its_models_ends_in_a_typed_error(data):
    """Any register may hold anything; discovery and polling end, at worst with our error."""
    bench = Bench()
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(2, len(bench.sim.map.registers) - 1))
        bench.sim.map.registers[at] = data.draw(
            st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF]))
        )
    registers = bench.sim.map.registers

    def answer(request):
        if isinstance(request, Write):
            return ()
        if not isinstance(request, Read):
            return ()
        at = request.address - 40_000
        if at < 0 or at + request.count > len(registers):
            raise DeviceRefusedError("illegal data address", 2)
        return tuple(registers[at : at + request.count])

    try:
        device = carry_out(discover(), answer)
        inverter = SunSpecInverter(device, limits_of(device, 11e3, 11e3))
        carry_out(inverter.prepare(), answer)
        carry_out(inverter.poll((0, 1)), answer)
        carry_out(inverter.order(100.0), answer)
    except (AgentError, ValueError) as error:
        assert str(error)
