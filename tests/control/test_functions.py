"""Each service's curve and time, by its code; voltage functions; FFR; PID; schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.control import parameters_from
from agent.control.arbitration import settings_of
from agent.control.curves import Curve
from agent.control.fast import Fast, Phase, advance
from agent.control.parameters import Schedule
from agent.control.pid import Pid, trim
from agent.control.presets import presets, ride_through_codes, voltage_functions
from agent.control.response import droop_in_force, lag
from agent.errors import ConfigurationError
from agent.messages import RequestKind

CASES = [
    ("FCR-CE", 49.995, 0.0), ("FCR-CE", 49.99, 0.0), ("FCR-CE", 49.9, 0.4737),
    ("FCR-CE", 49.8, 1.0), ("FCR-CE", 50.2, -1.0), ("FCR-CE", 51.0, -1.0),
    ("FCR-N", 49.95, 0.5), ("FCR-N", 50.1, -1.0),
    ("FCR-D", 49.9, 0.0), ("FCR-D", 49.7, 0.5), ("FCR-D", 49.5, 1.0), ("FCR-D", 50.3, -0.5),
    ("GB-DC", 49.985, 0.0), ("GB-DC", 49.8, 0.05), ("GB-DC", 49.65, 0.525), ("GB-DC", 49.5, 1.0),
    ("GB-DM", 49.9, 0.05), ("GB-DM", 49.8, 1.0), ("GB-DR", 49.8, 1.0),
    ("EN50549", 49.8, 0.0), ("EN50549", 48.55, 0.5), ("EN50549", 51.45, -0.5),
    ("IEEE1547-III", 59.964, 0.0), ("IEEE1547-III", 58.464, 0.5), ("IEEE1547-II", 61.536, -0.5),
    ("ERCOT-PFR", 59.983, 0.0), ("ERCOT-PFR", 58.483, 0.5), ("HQ", 58.5, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "f_hz", "share"), CASES)
def test_static_curve_of_each_service(name, f_hz, share):
    hertz = presets()[name].nominal_hz
    p = parameters_from(nominal_hz=hertz, preset=name)
    assert droop_in_force(settings_of(p), p).share(f_hz - hertz) == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize(
    "entry", [*presets().values(), *ride_through_codes().values(), *voltage_functions().values()]
)
def test_every_shipped_figure_names_source_edition_and_verification(entry):
    assert entry.source
    assert entry.edition
    assert entry.verified in ("source", "secondary", "unverified")


def test_an_unknown_preset_names_the_near_one():
    with pytest.raises(ConfigurationError, match="did you mean FCR-CE"):
        parameters_from(nominal_hz=50, preset="FCR-CF")
    with pytest.raises(ConfigurationError, match="is for 60 Hz"):
        parameters_from(nominal_hz=50, preset="ERCOT-PFR")


def test_open_loop_response_time_1547_is_90_percent():
    value = 0.0
    for _ in range(250):
        value = lag(value, 1.0, 5.0, 0.02)
    assert value == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "deviation_hz", "by_s", "share"),
    [("GB-DC", 0.5, 1.0, 1.0), ("GB-DR", 0.2, 10.0, 1.0), ("FCR-CE", 0.2, 30.0, 1.0),
     ("FCR-D", 0.4, 7.5, 0.86 * 0.75)],
)  # fmt: skip
def test_prequalification_step_is_delivered_in_time(
    make_bench, make_evse, name, deviation_hz, by_s, share
):
    bench = make_bench(preset=name)
    bench.latency_s = 0.4
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(20)))
    bench.f_hz = 50.0 - deviation_hz
    bench.run(min(by_s, 2.0))
    assert bench.power_w() >= share * 220_000.0 * 0.98


def test_fcr_prequalification_ramp_is_followed_within_2_percent(make_bench, make_evse):
    bench = make_bench()
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(100)))
    for f_hz in np.concatenate([np.linspace(50.0, 49.8, 200), np.linspace(49.8, 50.2, 400)]):
        bench.f_hz = float(f_hz)
        bench.tick()
        answer_w = 1_100_000.0 * bench.state.share
        assert bench.last.loop.ordered_w == pytest.approx(answer_w, abs=0.02 * 1_100_000.0)


@pytest.mark.parametrize("period_s", [10.0, 25.0])
def test_fcr_sine_is_followed_with_the_right_amplitude_and_phase(make_bench, make_evse, period_s):
    bench = make_bench(preset="FCR-N")
    bench.latency_s = 0.2
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(50)))
    bench.tick_s = 0.1
    times, powers = [], []
    for _ in range(round(2 * period_s / 0.1)):
        bench.f_hz = 50.0 - 0.1 * math.sin(2 * math.pi * bench.now_s / period_s)
        bench.tick()
        times.append(bench.now_s)
        powers.append(bench.power_w() / 550_000.0)
    phasor = 2 * np.mean(np.array(powers) * np.exp(-2j * np.pi * np.array(times) / period_s))
    phasor *= 1j
    assert abs(phasor) == pytest.approx(1.0, abs=0.03)
    assert abs(np.angle(phasor)) <= 2 * math.pi * 0.5 / period_s


def test_fast_reserve_support_recovery_and_rest():
    reserve = presets()["FFR-NORDIC"].fast
    state = advance(Fast(), reserve, 49.71, 0.0)
    assert state.phase is Phase.READY
    state = advance(state, reserve, 49.70, 1.0)
    assert state.share(reserve, 1.0) == 1.0
    state = advance(state, reserve, 50.0, 1.0 + reserve.support_s - 0.1)
    assert state.phase is Phase.SUPPORT
    state = advance(state, reserve, 50.0, 1.0 + reserve.support_s)
    assert state.share(reserve, 1.0 + 1.5 * reserve.support_s) == pytest.approx(0.5)
    state = advance(state, reserve, 50.0, 62.0)
    assert advance(state, reserve, 49.0, 100.0).phase is Phase.REST
    state = advance(state, reserve, 49.0, 62.0 + reserve.rest_s)
    assert advance(state, reserve, 49.0, 63.0 + reserve.rest_s).phase is Phase.SUPPORT


@pytest.mark.parametrize(
    ("name", "hertz", "f_hz", "by_s"),
    [("FFR-NORDIC", 50.0, 49.69, 1.3), ("ERCOT-FFR", 60.0, 59.84, 0.25)],
)
def test_fast_reserve_is_activated_in_time(make_bench, make_evse, name, hertz, f_hz, by_s):
    bench = make_bench(hertz, preset=name)
    bench.plug(make_evse("a/1"), make_evse("b/1"))
    bench.f_hz = f_hz
    bench.run(by_s)
    assert bench.power_w() == 22_000.0


@pytest.mark.parametrize(("v_pu", "var"), [(0.92, 4840.0), (1.0, 0.0), (1.08, -4840.0)])
def test_volt_var_category_b(make_bench, make_evse, v_pu, var):
    bench = make_bench(reactive="volt-var")
    bench.plug(make_evse("a/1", q_var=0.0))
    bench.v_pu = v_pu
    bench.coast(30)
    assert bench.state.fleet.own.ordered_var[0] == pytest.approx(var, abs=100.0)


@pytest.mark.parametrize("factor", [0.9, -0.9, 0.95])
def test_fixed_power_factor_from_090_lag_to_090_lead(make_bench, make_evse, make_request, factor):
    bench = make_bench(reactive="power-factor", power_factor=factor)
    bench.plug(make_evse("a/1", q_var=0.0))
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 8000.0))
    bench.run(1)
    order = bench.sent[-1]
    measured = order.p_w / math.hypot(order.p_w, order.q_var)
    assert math.copysign(measured, order.q_var) == pytest.approx(factor, abs=0.001)


def test_reactive_power_never_takes_from_active_power(make_bench, make_evse):
    bench = make_bench(reactive="var", var_share=0.44)
    bench.plug(make_evse("a/1", q_var=0.0))
    bench.f_hz = 49.8
    bench.run(1)
    assert (bench.sent[-1].p_w, bench.sent[-1].q_var) == (11_000.0, 0.0)


def test_volt_watt_caps_export(make_bench, make_evse):
    bench = make_bench(volt_watt=True)
    bench.plug(make_evse("a/1"))
    bench.f_hz, bench.v_pu = 49.8, 1.09
    bench.coast(40)
    assert bench.power_w() == pytest.approx(11_000.0 * 0.4, rel=0.05)


def test_pid_removes_the_error_and_does_not_wind_up():
    p = parameters_from(nominal_hz=50, pid_ki=1.0, pid_kp=0.2)
    state, losses = Pid(), 500.0
    for _ in range(2000):
        state = trim(state, losses - state.trim_w, 2000.0, 0.02, p)
    assert state.trim_w == pytest.approx(500.0, rel=0.01)
    for _ in range(5000):
        state = trim(state, 1e5, 2000.0, 0.02, p)
    assert state.trim_w == 2000.0
    for _ in range(10):
        state = trim(state, -1e5, 2000.0, 0.02, p)
    assert state.trim_w < 0.0


def test_the_trim_makes_up_for_vehicles_that_deliver_less(make_bench, make_evse, make_request):
    bench = make_bench(pid_ki=3.0)
    bench.efficiency = 0.95
    bench.plug(make_evse("a/1"), make_evse("b/1"))
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 15_000.0))
    bench.coast(40)
    assert bench.power_w() == pytest.approx(15_000.0, rel=0.01)


def test_the_schedule_rules_below_every_request(make_bench, make_evse, make_request):
    day_s = (1_700_000_000.0 + 100.0) % 86_400.0
    bench = make_bench(schedule=(Schedule(day_s, day_s + 6.0, 3000.0),), ramp_share_per_s=1.0)
    bench.plug(make_evse("a/1"))
    bench.run(2)
    assert bench.power_w() == pytest.approx(3000.0, abs=60.0)
    bench.ask(make_request(RequestKind.WATT_SETPOINT, -2000.0, lease_s=2.0))
    bench.run(1)
    assert bench.power_w() == -2000.0
    bench.run(8)
    assert bench.power_w() == 0.0


def test_a_flattened_curve_is_never_steeper_and_reaches_the_same_end():
    curve = Curve(((0.015, 0.0), (0.2, 0.05), (0.5, 1.0)))
    flat = curve.flattened(1.0)
    assert flat.slope == pytest.approx(1.0)
    assert flat.points[-1][1] == 1.0
    assert all(flat(x) <= curve(x) + 1e-12 for x in np.linspace(0, 2, 200))


def test_a_configured_curve_replaces_deadband_and_droop():
    p = parameters_from(nominal_hz=50, curve_uf=[[0.02, 0.0], [0.1, 0.2], [0.4, 1.0]])
    droop = droop_in_force(settings_of(p), p)
    assert droop.share(-0.1) == pytest.approx(0.2)
    assert droop.share(-0.25) == pytest.approx(0.6)
    assert droop.share(0.2) == -1.0


def test_a_device_that_cannot_give_vars_is_not_asked_for_them(make_bench, make_evse):
    bench = make_bench(reactive="var", var_share=0.3)
    bench.plug(make_evse("a/1", q_var=0.0, cannot=("reactive power",)))
    bench.run(1)
    assert bench.sent == []
