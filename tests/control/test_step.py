"""The whole control on a bench of obedient vehicles."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.errors import AlarmCode
from agent.messages import Authority, RequestKind, RequestStatus


def alarms(outputs):
    return {alarm.code for alarm in outputs.alarms if alarm.active}


def statuses(bench, request_id):
    return [o.status for o in bench.outcomes if o.request_id == request_id]


def test_within_the_deadband_nothing_is_sent(make_bench, make_evse):
    bench = make_bench()
    bench.plug(make_evse("a/1"), make_evse("b/1", base_w=-7000.0, p_w=-7000.0))
    bench.f_hz = 49.995
    bench.run(5)
    assert bench.sent == []


@pytest.mark.parametrize(("nominal_hz", "dip_hz"), [(50.0, 49.8), (60.0, 58.9)])
def test_a_dip_discharges_v2x_and_only_stops_charging_elsewhere(
    make_bench, make_evse, nominal_hz, dip_hz
):
    bench = make_bench(nominal_hz, olrt_s=0.0)
    bench.plug(
        make_evse("v2x/1"),
        make_evse("v1g/1", discharge_max_w=0.0, base_w=-7000.0, p_w=-7000.0),
    )
    bench.run(1)
    bench.f_hz = dip_hz
    bench.run(2)
    assert bench.evses["v2x/1"].p_w > 0
    assert bench.evses["v1g/1"].p_w <= 0
    assert all(s.p_w <= 0 for s in bench.sent if s.evse_id == "v1g/1")


def test_after_the_event_everyone_is_told_once_and_then_released(make_bench, make_evse):
    bench = make_bench(lease_s=4.0)
    bench.plug(make_evse("a/1", base_w=-3000.0, p_w=-3000.0))
    bench.run(1)
    bench.f_hz = 49.8
    bench.run(1)
    bench.f_hz = 50.0
    bench.run(1)
    assert bench.power_w() == -3000.0
    count = len(bench.sent)
    bench.coast(20)
    assert len(bench.sent) == count


def test_a_lasting_order_is_renewed_before_half_its_lease(make_bench, make_evse):
    bench = make_bench(lease_s=4.0)
    bench.plug(make_evse("a/1"))
    bench.f_hz = 49.7
    bench.coast(20)
    times = [s.issued_s for s in bench.sent if s.reason == "renewal"]
    gaps = [b - a for a, b in pairwise(times)]
    assert len(times) > 5
    assert times[0] - bench.sent[0].issued_s <= 2.2
    assert all(1.0 < gap <= 2.0 for gap in gaps)
    assert [s.seq for s in bench.sent] == list(range(1, len(bench.sent) + 1))


def test_frequency_lost_is_held_then_ramped_to_zero(make_bench, make_evse):
    bench = make_bench()
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(20)))
    bench.f_hz = 49.8
    bench.run(2)
    assert bench.last.loop.ordered_w == pytest.approx(220_000.0)
    bench.f_hz = None
    bench.run(0.18)
    assert bench.last.loop.ordered_w == pytest.approx(220_000.0)
    trace = [bench.tick().loop.ordered_w for _ in range(125)]
    assert AlarmCode.FREQUENCY_LOST in alarms(bench.last)
    assert trace[-1] == pytest.approx(0.0)
    assert max(a - b for a, b in pairwise(trace)) <= 0.1 * 220_000.0


def test_alarm_0x14_outside_half_a_hertz_and_cleared_again(make_bench):
    bench = make_bench(60.0)
    bench.f_hz = 59.4
    assert AlarmCode.FREQUENCY_OUT_OF_BOUNDS in alarms(bench.tick())
    bench.f_hz = 59.6
    cleared = [a for a in bench.tick().alarms if not a.active]
    assert [a.code for a in cleared] == [AlarmCode.FREQUENCY_OUT_OF_BOUNDS]


def test_a_bounded_discharge_completes_only_when_power_followed(
    make_bench, make_evse, make_request
):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.run(0.5)
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5000.0, request_id="r", duration_s=10.0))
    bench.run(5)
    assert bench.power_w() == 5000.0
    assert statuses(bench, "r") == [RequestStatus.ACCEPTED]
    bench.run(6)
    assert statuses(bench, "r") == [RequestStatus.ACCEPTED, RequestStatus.COMPLETED]
    assert bench.outcomes[-1].delivered_w == 5000.0
    assert bench.power_w() == 0.0


def test_a_vehicle_that_does_not_follow_is_reported_as_failed(make_bench, make_evse, make_request):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.obey = False
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5000.0, request_id="r", duration_s=10.0))
    bench.coast(11)
    assert statuses(bench, "r") == [RequestStatus.ACCEPTED, RequestStatus.FAILED]


def test_stop_rules_over_droop_until_withdrawn(make_bench, make_evse, make_request):
    bench = make_bench()
    bench.plug(make_evse("a/1", base_w=-3000.0, p_w=-3000.0))
    bench.f_hz = 49.8
    bench.run(1)
    bench.ask(make_request(RequestKind.STOP, request_id="stop"))
    bench.run(2)
    assert bench.power_w() == 0.0
    assert statuses(bench, "stop")[-1] is RequestStatus.COMPLETED
    bench.ask(make_request(RequestKind.WITHDRAW, request_id="go", setting="stop"))
    bench.run(2)
    assert bench.power_w() > 0.0


def test_one_evse_can_be_set_alone(make_bench, make_evse, make_request):
    bench = make_bench()
    bench.plug(make_evse("a/1"), make_evse("b/1"))
    bench.ask(
        make_request(
            RequestKind.WATT_SETPOINT,
            4000.0,
            target="b/1",
            authority=Authority.SCADA,
            request_id="w",
        )
    )
    bench.coast(15)
    assert (bench.evses["a/1"].p_w, bench.evses["b/1"].p_w) == (0.0, 4000.0)
    assert statuses(bench, "w")[-1] is RequestStatus.COMPLETED


def test_a_repeated_request_is_answered_but_not_carried_out_again(
    make_bench, make_evse, make_request
):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    wish = make_request(RequestKind.WATT_SETPOINT, 5000.0, request_id="r", duration_s=2.0)
    bench.ask(wish)
    bench.run(4)
    sent = len(bench.sent)
    bench.ask(wish)
    bench.run(2)
    assert len(bench.sent) == sent
    assert statuses(bench, "r")[-1] is RequestStatus.COMPLETED


def test_an_empty_battery_is_never_discharged(make_bench, make_evse):
    bench = make_bench()
    bench.plug(make_evse("a/1", soc_pct=19.0))
    bench.f_hz = 49.5
    bench.run(2)
    assert bench.power_w() == 0.0
