"""Trip, ride-through and return, by clause; the state machine alone, then the whole step."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.control import parameters_from
from agent.control.presets import ride_through_codes
from agent.control.ride_through import Mode, RideThrough, advance
from agent.errors import AlarmCode
from agent.messages import DigitalInput, Validity

NOMINAL_V = 230.0


def play(make_report, code, moments, nominal_hz=60.0):
    """Run (duration, phases in pu, Hz) at 50 reports a second; return [(mode, seconds)]."""
    p = parameters_from(nominal_hz=nominal_hz, ride_through=code, random_return_s=0.0)
    state, now_s, trace = RideThrough(), 1000.0, []
    for duration_s, phases, f_hz in moments:
        for _ in range(round(duration_s * 50)):
            now_s = round(now_s + 0.02, 3)
            report = make_report(f_hz, now_s, v_phase_v=tuple(pu * NOMINAL_V for pu in phases))
            state = advance(state, report, (), now_s, p)
            trace.append((state.mode, now_s - 1000.0))
    return trace, state


def first(trace, mode):
    return next((at for known, at in trace if known is mode), None)


ELEMENTS = [
    (code, name, limit, time_s)
    for code in ("IEEE1547-II", "IEEE1547-III", "EN50549")
    for name, limit, time_s in ride_through_codes()[code].voltage
]
ON_A_PHASE = [(*element, at % 3) for at, element in enumerate(ELEMENTS)]


@pytest.mark.parametrize(("code", "name", "limit", "time_s", "phase"), ON_A_PHASE)
def test_voltage_trip_6_4_1_at_its_clearing_time_on_any_phase(
    make_report, code, name, limit, time_s, phase
):
    hertz = ride_through_codes()[code].nominal_hz
    beyond = limit + (0.005 if name.startswith("O") else -0.005)
    phases = [1.0, 1.0, 1.0]
    phases[phase] = beyond
    trace, _ = play(
        make_report, code, [(1, (1, 1, 1), hertz), (time_s + 0.5, phases, hertz)], hertz
    )
    tripped_s = first(trace, Mode.TRIPPED)
    assert tripped_s is not None
    assert time_s <= tripped_s - 1.0 <= time_s + 0.05


@pytest.mark.parametrize(("code", "name", "limit", "time_s"), ELEMENTS)
def test_voltage_at_the_threshold_itself_never_trips(make_report, code, name, limit, time_s):
    hertz = ride_through_codes()[code].nominal_hz
    moments = [(min(time_s + 1, 25), (limit, 1.0, 1.0), hertz)]
    _, state = play(make_report, code, moments, hertz)
    assert not any(key.startswith(name) for key in state.entered_s)


@pytest.mark.parametrize(
    ("f_hz", "time_s"), [(62.1, 0.16), (56.4, 0.16)], ids=["OF2 6.5.1", "UF2 6.5.1"]
)
def test_frequency_trip_6_5_1(make_report, f_hz, time_s):
    trace, _ = play(make_report, "IEEE1547-III", [(1.0, (1, 1, 1), f_hz)])
    assert time_s <= first(trace, Mode.TRIPPED) <= time_s + 0.05


@pytest.mark.parametrize("f_hz", [61.7, 57.1])
def test_frequency_ride_through_6_5_2_for_299_s(make_report, f_hz):
    trace, _ = play(make_report, "IEEE1547-III", [(299.0, (1, 1, 1), f_hz)])
    assert first(trace, Mode.TRIPPED) is None
    trace, _ = play(make_report, "IEEE1547-III", [(302.0, (1, 1, 1), f_hz)])
    assert first(trace, Mode.TRIPPED) is not None


def test_momentary_cessation_table_16_and_restore(make_report):
    trace, _ = play(
        make_report,
        "IEEE1547-III",
        [(1.0, (1, 1, 1), 60.0), (0.8, (0.4, 0.4, 0.4), 60.0), (1.0, (0.95, 0.95, 0.95), 60.0)],
    )
    ceased_s = first(trace, Mode.CEASED)
    restored_s = next(at for mode, at in trace if mode is Mode.RUN and at > ceased_s)
    assert ceased_s - 1.0 <= 0.083
    assert restored_s - 1.8 <= 0.4


def test_a_timer_stops_only_beyond_the_hysteresis(make_report):
    nearly = [(10.0, (0.87, 1, 1), 60.0), (0.5, (0.885, 1, 1), 60.0), (11.5, (0.87, 1, 1), 60.0)]
    trace, _ = play(make_report, "IEEE1547-III", nearly)
    assert 21.0 <= first(trace, Mode.TRIPPED) <= 21.1
    fully = [(10.0, (0.87, 1, 1), 60.0), (0.5, (0.90, 1, 1), 60.0), (11.5, (0.87, 1, 1), 60.0)]
    trace, _ = play(make_report, "IEEE1547-III", fully)
    assert first(trace, Mode.TRIPPED) is None


def test_return_to_service_4_10_after_the_delay_with_a_ramp(make_report):
    trip = [(0.5, (1, 1, 1), 62.5), (100.0, (1, 1, 1), 60.0), (1.0, (1, 1, 1), 60.5)]
    trace, state = play(make_report, "IEEE1547-III", [*trip, (305.0, (1, 1, 1), 60.0)])
    returned_s = first(trace, Mode.RETURNING)
    assert 101.5 + 300.0 <= returned_s <= 101.5 + 300.1
    assert state.cap(state.since_s + 150.0) == pytest.approx(0.5)


def digital(name, value, quality=Validity.GOOD):
    return DigitalInput("GOOSE", name, value, quality, 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "value", "quality", "mode"),
    [
        ("interlock", True, Validity.GOOD, Mode.INTERLOCKED),
        ("interlock", False, Validity.QUESTIONABLE, Mode.INTERLOCKED),
        ("islanded", True, Validity.GOOD, Mode.TRIPPED),
        ("breaker_closed", False, Validity.GOOD, Mode.TRIPPED),
        ("breaker_closed", True, Validity.INVALID, Mode.INTERLOCKED),
        ("breaker_closed", True, Validity.GOOD, Mode.RUN),
    ],
)
def test_two_state_inputs_take_the_safe_side(name, value, quality, mode):
    p = parameters_from(nominal_hz=50)
    assert advance(RideThrough(), None, (digital(name, value, quality),), 1.0, p).mode is mode


@pytest.mark.parametrize(("safe_state", "power_w"), [("stop", 0.0), ("charge", -6000.0)])
def test_lvrt_reverts_to_the_safe_state_and_says_why(make_bench, make_evse, safe_state, power_w):
    bench = make_bench(safe_state=safe_state)
    bench.plug(make_evse("a/1", base_w=-6000.0, p_w=-6000.0))
    bench.f_hz = 49.8
    bench.run(2)
    assert bench.power_w() > 0
    bench.v_pu = 0.4
    outputs = bench.tick()
    order = outputs.setpoints[0]
    assert (order.p_w, order.reason) == (power_w, "ride-through")
    alarm = next(a for a in outputs.alarms if a.code is AlarmCode.RIDE_THROUGH)
    assert "0.40 pu below the ride-through threshold" in alarm.text
    assert any(r.kind == "ride-through" and "threshold" in r.why for r in outputs.records)
    bench.v_pu = 1.0
    bench.run(0.4)
    assert bench.power_w() > 0


def test_an_interlock_stops_within_a_tick_and_returns_with_a_ramp(make_bench, make_evse):
    bench = make_bench(random_return_s=2.0, ramp_share_per_s=0.5)
    bench.plug(make_evse("a/1"), make_evse("b/1"))
    bench.f_hz = 49.8
    bench.run(1)
    bench.say(digital("interlock", True))
    bench.tick()
    assert [order.p_w for order in bench.last.setpoints] == [0.0, 0.0]
    bench.run(1)
    bench.say(digital("interlock", False))
    bench.tick()
    levels = [bench.tick().loop.ordered_w for _ in range(250)]
    steps = [b - a for a, b in pairwise(levels)]
    assert levels[-1] == pytest.approx(22_000.0)
    assert max(steps) <= 22_000.0 * 0.5 * 0.25 + 60.0
