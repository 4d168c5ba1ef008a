"""Whatever the inputs are: no exception, no order outside the envelope, no order for nothing."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.control import Inputs, Now, initial_state, parameters_from, step
from agent.control.arbitration import settings_of
from agent.control.response import droop_in_force
from agent.messages import (
    Authority,
    ControlRequest,
    DigitalInput,
    EvseStatus,
    Measurement,
    OrderResult,
    RequestKind,
    Validity,
)

EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
ANY = st.floats(allow_nan=True, allow_infinity=True)
MAYBE = st.none() | ANY
NAMES = st.sampled_from(["a/1", "a/2", "b/1"])
POWER = st.sampled_from([0.0, 3700.0, 7000.0, 11_000.0, 22_000.0]) | ANY
HERTZ = st.floats(46.0, 64.0) | ANY

statuses = st.builds(
    EvseStatus,
    evse_id=NAMES, protocol=st.just("ocpp2.1"), online=st.booleans(), plugged=st.booleans(),
    t_utc_s=ANY, published_s=ANY, quality=st.sampled_from(list(Validity)), p_w=MAYBE, q_var=MAYBE,
    charge_max_w=POWER, discharge_max_w=POWER, charge_min_w=POWER, discharge_min_w=POWER,
    base_w=POWER | st.just(-7000.0), setpoint_w=MAYBE, step_w=POWER,
    soc_pct=MAYBE | st.floats(0, 100),
    soc_min_pct=MAYBE, soc_max_pct=MAYBE, capacity_wh=MAYBE | st.just(60e3), soh_pct=MAYBE,
    departure_utc_s=MAYBE, energy_needed_wh=MAYBE, latency_s=ANY, ev_id=st.sampled_from(["", "x"]),
    fault=st.sampled_from(["", "bms"]), local_frequency=st.booleans(),
)  # fmt: skip
measurements = st.builds(
    Measurement,
    source=st.sampled_from(["MU1", "MU2", "meter"]), t_utc_s=ANY, f_hz=HERTZ, rocof_hz_s=ANY,
    v1_v=ANY, quality=st.sampled_from(list(Validity)), wire_s=ANY, published_s=ANY,
    uncertainty_hz=st.just(0.001) | ANY, v_phase_v=st.none() | st.tuples(ANY, ANY, ANY), p_w=MAYBE,
)  # fmt: skip
requests = st.builds(
    ControlRequest,
    request_id=st.integers(0, 30).map(str), authority=st.sampled_from(list(Authority)),
    origin=st.sampled_from(["op", "csms"]), kind=st.sampled_from(list(RequestKind)),
    target=st.just("site") | NAMES, value=ANY | st.floats(-3e4, 3e4), lease_s=ANY | st.just(5.0),
    received_s=ANY, t_utc_s=ANY, duration_s=st.just(0.0) | ANY,
    setting=st.sampled_from(["", "db_uf_hz", "k_of", "on", "blocked", "drain", "1", "2", "3"]),
    test=st.booleans(),
)  # fmt: skip
digital = st.builds(
    DigitalInput, source=st.just("g"),
    name=st.sampled_from(["interlock", "islanded", "breaker_closed"]),
    value=st.booleans(), quality=st.sampled_from(list(Validity)), t_utc_s=ANY, published_s=ANY,
)  # fmt: skip
results = st.builds(
    OrderResult, evse_id=NAMES, seq=st.integers(-1, 9), accepted=st.booleans(), done_s=ANY
)
inputs = st.builds(
    Inputs,
    measurements=st.lists(measurements, max_size=3).map(tuple),
    digital=st.lists(digital, max_size=1).map(tuple),
    evses=st.lists(statuses, max_size=3).map(tuple),
    results=st.lists(results, max_size=2).map(tuple),
    requests=st.lists(requests, max_size=2).map(tuple),
    station_link_lost=st.booleans(),
)
instants = st.builds(
    Now, st.floats(0, 100) | ANY, st.floats(1.7e9, 1.7e9 + 1e5) | ANY, st.booleans()
)
configured = st.fixed_dictionaries(
    {
        "nominal_hz": st.just(50),
        "preset": st.sampled_from(["FCR-CE", "EN50549", "GB-DC", "FFR-NORDIC", "FCR-N"]),
        "safe_state": st.sampled_from(["stop", "charge"]),
        "reactive": st.sampled_from(["off", "volt-var", "power-factor", "var"]),
        "var_share": st.sampled_from([0.0, 0.3]),
        "power_factor": st.sampled_from([0.9, -0.9, 1.0]),
        "volt_watt": st.booleans(),
        "pid_ki": st.sampled_from([0.0, 0.5]),
        "site_discharge_w": st.sampled_from([math.inf, 15_000.0]),
        "area_power_w": st.sampled_from([1e10, 1e5]),
    }
)


def last_known(fleet):
    return dict(zip(fleet.ids, fleet.statuses, strict=True))


def magnitude(value):
    return value if math.isfinite(value) and value > 0 else 0.0


def check_envelope(values, sequence):
    p = parameters_from(**values)
    state = initial_state(p)
    for given_inputs, now in sequence:
        state, outputs = step(state, given_inputs, now)
        known = last_known(state.fleet)
        for order in outputs.setpoints:
            status = known[order.evse_id]
            assert math.isfinite(order.p_w)
            assert math.isfinite(order.q_var)
            assert order.p_w <= min(p.max_discharge_w, magnitude(status.discharge_max_w)) + 1.0
            assert order.p_w >= -min(p.max_charge_w, magnitude(status.charge_max_w)) - 1.0
        assert math.isfinite(outputs.next_wake_s)
        for field in ("droop_w", "target_w", "ordered_w", "delivered_w", "up_w", "down_w"):
            assert math.isfinite(getattr(outputs.loop, field)), field


STEPS = st.lists(st.tuples(inputs, instants), min_size=1, max_size=12)


@EXAMPLES
@given(configured, STEPS)
def test_outputs_stay_within_the_envelope_for_any_input(values, sequence):
    check_envelope(values, sequence)


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(configured, STEPS)
def test_outputs_stay_within_the_envelope_for_many_inputs(values, sequence):
    check_envelope(values, sequence)


@EXAMPLES
@given(configured, st.lists(st.tuples(inputs, instants), min_size=1, max_size=6))
def test_the_same_inputs_give_the_same_outputs(values, sequence):
    def play():
        state, trace = initial_state(parameters_from(**values)), []
        for given_inputs, now in sequence:
            before = state
            state, outputs = step(state, given_inputs, now)
            _, again = step(before, given_inputs, now)
            assert repr(again) == repr(outputs)
            trace.append(repr(outputs))
        return trace

    assert play() == play()


@EXAMPLES
@given(
    st.floats(47.0, 53.0), st.floats(47.0, 53.0), st.sampled_from(["FCR-CE", "EN50549", "GB-DC"])
)
def test_power_never_rises_with_frequency(one_hz, other_hz, preset):
    p = parameters_from(nominal_hz=50, preset=preset)
    droop = droop_in_force(settings_of(p), p)
    low_hz, high_hz = sorted((one_hz, other_hz))
    assert droop.share(low_hz - 50.0) >= droop.share(high_hz - 50.0)


@pytest.mark.parametrize("f_hz", [50.0, 49.93, 50.12, 49.7])
def test_a_constant_world_gets_no_further_message(make_bench, make_evse, f_hz):
    bench = make_bench()
    bench.plug(*(make_evse(f"cs{i}/1", base_w=-3000.0, p_w=-3000.0) for i in range(5)))
    bench.f_hz = f_hz
    bench.run(2)
    before = [order for order in bench.sent if order.reason != "renewal"]
    bench.run(8)
    assert [order for order in bench.sent if order.reason != "renewal"] == before


def test_time_that_runs_backwards_stands_still(make_bench, make_evse):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.f_hz = 49.8
    bench.run(1)
    before = bench.last.loop.ordered_w
    bench.state, outputs = step(bench.state, Inputs(), Now(bench.now_s - 50.0, 0.0))
    assert outputs.setpoints == ()
    assert outputs.loop.ordered_w == before


def test_a_stepped_clock_changes_no_output(make_bench, make_evse):
    def play(utc_step_s):
        bench = make_bench()
        bench.plug(
            make_evse("a/1", departure_utc_s=bench.utc_s() + 7200.0, energy_needed_wh=9000.0)
        )
        bench.f_hz = 49.9
        bench.run(1)
        bench.utc_offset_s += utc_step_s
        bench.change("a/1", soc_pct=59.9)
        bench.run(3)
        return [(order.p_w, order.issued_s) for order in bench.sent]

    assert play(0.0) == play(3600.0) == play(-3600.0)


def test_the_state_is_not_written_by_a_step(make_bench, make_evse):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.run(0.1)
    state = bench.state
    copy = state.fleet.own.ordered_w.copy(), state.fleet.reported.copy()
    for column in (state.fleet.reported, state.fleet.own.ordered_w, state.fleet.own.seq):
        column.flags.writeable = False
    bench.f_hz = 49.8
    bench.change("a/1", soc_pct=59.0)
    bench.run(0.2)
    assert (state.fleet.own.ordered_w == copy[0]).all() or math.isnan(copy[0][0])
    assert msgspec.structs.replace(bench.sent[-1], seq=0).p_w > 0
