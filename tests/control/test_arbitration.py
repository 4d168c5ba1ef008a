"""Who rules, for how long, and what each sender is told; every ordering, against a model."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.control import Inputs, Now, initial_state, parameters_from, step
from agent.control.arbitration import Ledger, admit
from agent.control.attack import Offset, follow, random_delay_s
from agent.control.fleet import Fleet
from agent.control.standing import stand
from agent.messages import (
    Authority,
    ControlRequest,
    EvseStatus,
    Measurement,
    RequestKind,
    RequestStatus,
    Validity,
)

P = parameters_from(nominal_hz=50)


def wish(name, authority, kind=RequestKind.WATT_SETPOINT, value=1000.0, **fields):
    values = {
        "request_id": name, "authority": authority, "origin": authority.name, "kind": kind,
        "target": "site", "value": value, "lease_s": 60.0, "received_s": 0.0, "t_utc_s": 0.0,
    }  # fmt: skip
    return ControlRequest(**(values | fields))


def enter(ledger, request, now_s=0.0):
    return admit(ledger, (request,), {}, now_s=now_s, utc_s=0.0, p=P)


def ruling(ledger):
    return stand(ledger.orders, Fleet(), P, math.nan).ruler.request


WISHES = {rank: wish(rank.name, rank, value=float(rank)) for rank in Authority}


@pytest.mark.parametrize("first", list(Authority), ids=lambda rank: rank.name)
def test_the_highest_rank_rules_in_every_ordering(first):
    for rest in permutations([rank for rank in Authority if rank is not first]):
        order = (first, *rest)
        ledger, _ = admit(
            Ledger(), [WISHES[rank] for rank in order[:4]], {}, now_s=0.0, utc_s=0.0, p=P
        )
        assert ruling(ledger).authority == min(order[:4])
        ledger, _ = enter(
            ledger, wish("w", Authority.SAFETY, RequestKind.WITHDRAW, setting=min(order[:4]).name)
        )
        assert ruling(ledger).authority == sorted(order[:4])[1]


def test_ties_go_to_the_newer_and_then_to_the_name():
    ledger, _ = enter(Ledger(), wish("old", Authority.CSMS), 1.0)
    ledger, _ = enter(ledger, wish("new", Authority.CSMS), 2.0)
    assert ruling(ledger).request_id == "new"
    for names in (("a", "b"), ("b", "a")):
        ledger = Ledger()
        for name in names:
            ledger, _ = enter(ledger, wish(name, Authority.CSMS), 1.0)
        assert ruling(ledger).request_id == "a"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"value": math.nan}, "finite"),
        ({"value": math.inf}, "finite"),
        ({"lease_s": 0.0}, "lease"),
        ({"lease_s": math.inf}, "lease"),
        ({"duration_s": -1.0}, "duration"),
        ({"target": "nobody/1"}, "unknown target"),
        ({"kind": RequestKind.WATT_LIMIT, "value": -1.0}, "magnitude"),
        ({"kind": RequestKind.MODE, "setting": "fast"}, "unknown mode"),
        ({"kind": RequestKind.SETTING, "setting": "gain"}, "unknown setting"),
        ({"kind": RequestKind.SETTING, "setting": "db_uf_hz", "value": 0.005}, "never widened"),
        ({"kind": RequestKind.SETTING, "setting": "k_of", "value": 1e-4}, "never widened"),
        ({"kind": RequestKind.SETTING, "setting": "k_of", "value": 2.0}, "at most"),
    ],
)
@pytest.mark.parametrize("authority", [Authority.LOCAL_OPERATOR, Authority.CSMS])
def test_what_cannot_be_taken_is_refused_with_the_reason(fields, word, authority):
    kind = fields.pop("kind", RequestKind.WATT_SETPOINT) if "kind" in fields else None
    values = dict(fields)
    request = wish("r", authority, kind or RequestKind.WATT_SETPOINT, **values)
    if kind is not None:
        fields["kind"] = kind
    ledger, (outcome,) = enter(Ledger(), request)
    assert outcome.status is RequestStatus.REFUSED
    assert word in outcome.reason
    assert ledger.orders == ()


def test_a_narrowed_droop_answers_less_and_comes_back_with_the_lease(
    make_bench, make_evse, make_request
):
    bench = make_bench()
    bench.plug(make_evse("a/1"))
    bench.f_hz = 49.9
    bench.run(1)
    before_w = bench.last.loop.droop_w
    bench.ask(
        make_request(
            RequestKind.SETTING, 0.05, setting="db_uf_hz", authority=Authority.SCADA, lease_s=2.0
        )
    )
    bench.run(1)
    assert 0 < bench.last.loop.droop_w < before_w
    assert bench.last.settings["db_uf_hz"] == 0.05
    bench.run(2)
    assert bench.last.loop.droop_w == before_w


def test_limits_narrow_whoever_gave_them(make_bench, make_evse, make_request):
    bench = make_bench(ramp_share_per_s=1.0)
    bench.plug(make_evse("a/1"), make_evse("b/1", base_w=-9000.0, p_w=-9000.0))
    bench.ask(make_request(RequestKind.WATT_LIMIT, 4000.0, authority=Authority.CSMS))
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 8000.0, request_id="s"))
    bench.ask(
        make_request(RequestKind.CHARGE_LIMIT, 2000.0, target="b/1", authority=Authority.MARKET)
    )
    bench.run(3)
    assert bench.power_w() == pytest.approx(4000.0, abs=60.0)
    assert all(order.p_w >= -2000.0 for order in bench.sent if order.evse_id == "b/1")


def test_a_blocked_evse_does_not_answer_and_a_drained_one_takes_nothing_new(
    make_bench, make_evse, make_request
):
    bench = make_bench()
    bench.plug(make_evse("a/1"), make_evse("b/1"), make_evse("c/1"))
    bench.ask(make_request(RequestKind.MODE, setting="blocked", target="a/1", request_id="x"))
    bench.ask(make_request(RequestKind.MODE, setting="drain", target="b/1", request_id="y"))
    bench.f_hz = 49.8
    bench.run(2)
    powers = [bench.evses[name].p_w for name in ("a/1", "b/1", "c/1")]
    assert powers == [0.0, 0.0, 11_000.0]


def test_remote_orders_ramp_and_the_local_operator_does_not(make_bench, make_evse, make_request):
    bench = make_bench()
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(10)))
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 1e5, authority=Authority.CSMS))
    levels = [bench.tick().loop.target_w for _ in range(100)]
    assert levels[-1] == pytest.approx(0.2 * 110_000.0, rel=0.02)
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5e4, request_id="local"))
    assert bench.tick().loop.target_w == 5e4


def test_remote_orders_turn_the_fleet_only_so_often():
    offset, now_s, turns = Offset(), 0.0, 0
    for k in range(600):
        wanted_w = 1e5 if k % 20 < 10 else -1e5
        before = offset
        offset = follow(offset, wanted_w, 1e5, now_s, 0.1, P)
        turns += offset.turns_s != before.turns_s and len(offset.turns_s) > 0
        assert abs(offset.value_w - before.value_w) <= 0.1 * 1e5 * 0.1 + 1e-6
        assert len(offset.turns_s) <= P.reversals_per_min
        now_s += 0.1
    assert turns >= P.reversals_per_min


def test_without_a_remote_order_the_fleet_always_comes_back():
    offset = Offset(5e4, 1, tuple(float(k) for k in range(6)))
    for k in range(200):
        offset = follow(offset, 0.0, 1e5, 10.0 + 0.1 * k, 0.1, P)
    assert offset.value_w == 0.0


def test_gateways_return_at_different_times():
    delays = {random_delay_s(parameters_from(nominal_hz=50, name=f"G{i}"), 0) for i in range(50)}
    assert len(delays) == 50
    assert all(0.0 <= delay <= P.random_return_s for delay in delays)


def test_withdrawal_needs_the_rank_of_what_it_ends():
    ledger, _ = enter(Ledger(), wish("op", Authority.LOCAL_OPERATOR))
    ledger, (no,) = enter(
        ledger, wish("w", Authority.CSMS, RequestKind.WITHDRAW, 0.0, setting="op")
    )
    assert (no.status, len(ledger.orders)) == (RequestStatus.REFUSED, 1)
    ledger, news = enter(
        ledger, wish("w2", Authority.LOCAL_OPERATOR, RequestKind.WITHDRAW, 0.0, setting="op")
    )
    assert [item.status for item in news] == [RequestStatus.FAILED, RequestStatus.COMPLETED]
    assert ledger.orders == ()


def test_the_test_flag_checks_and_moves_nothing():
    ledger, (outcome,) = enter(Ledger(), wish("t", Authority.SCADA, test=True))
    assert outcome.status is RequestStatus.COMPLETED
    assert ledger.orders == ()


class Arbitration(RuleBasedStateMachine):
    """The step against a model of ten lines: who rules the site, and what the fleet aims at."""

    def __init__(self):
        super().__init__()
        self.state = initial_state(
            parameters_from(nominal_hz=50, ramp_share_per_s=1000.0, reversals_per_min=10**6)
        )
        self.now_s, self.count, self.live = 10.0, 0, {}
        self.advance(0.02)

    def advance(self, seconds, *requests):
        self.now_s += seconds
        report = Measurement("MU", 0.0, 50.0, 0.0, 230.0, Validity.GOOD, self.now_s, self.now_s)
        status = EvseStatus(
            "a/1", "ocpp2.1", True, True, 0.0, 0.0,
            charge_max_w=11_000.0, discharge_max_w=11_000.0,
        )  # fmt: skip
        inputs = Inputs(measurements=(report,), evses=(status,), requests=requests)
        self.state, self.outputs = step(self.state, inputs, Now(self.now_s, 0.0))
        self.live = {k: v for k, v in self.live.items() if v[3] > self.now_s}

    @rule(
        authority=st.sampled_from(list(Authority)),
        stop=st.booleans(),
        value=st.integers(-12, 12),
        lease_s=st.sampled_from([0.5, 2.0, 5.0]),
    )
    def ask(self, authority, stop, value, lease_s):
        self.count += 1
        name = f"r{self.count}"
        kind = RequestKind.STOP if stop else RequestKind.WATT_SETPOINT
        request = wish(name, authority, kind, value * 1000.0, lease_s=lease_s)
        start_s = self.now_s + 0.02
        self.live[name] = (authority, -start_s, name, start_s + lease_s, 0 if stop else value)
        self.advance(0.02, request)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), authority=st.sampled_from(list(Authority)))
    def withdraw(self, data, authority):
        name = data.draw(st.sampled_from(sorted(self.live)))
        self.count += 1
        if authority <= self.live[name][0] and self.live[name][3] > self.now_s + 0.02:
            del self.live[name]
        self.advance(
            0.02, wish(f"w{self.count}", authority, RequestKind.WITHDRAW, 0.0, setting=name)
        )

    @rule(seconds=st.sampled_from([0.02, 0.4, 1.0]))
    def wait(self, seconds):
        self.advance(seconds)

    @invariant()
    def the_model_agrees(self):
        self.advance(0.02)
        self.advance(0.02)
        ruler = min(self.live.values(), default=None)
        assert len(self.outputs.requests) == len(self.live)
        aimed_w = 0.0 if ruler is None else ruler[4] * 1000.0
        assert self.outputs.loop.authority == (None if ruler is None else ruler[0])
        assert self.outputs.loop.target_w == pytest.approx(min(max(aimed_w, -11e3), 11e3), abs=1.0)


TestArbitrationModel = Arbitration.TestCase
TestArbitrationModel.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, derandomize=True
)


def test_an_order_from_afar_goes_on_from_where_the_operators_test_ends(
    make_bench, make_evse, make_request
):
    bench = make_bench(random_return_s=0.0, ramp_share_per_s=0.1)
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(4)))
    scada = {"authority": Authority.SCADA, "lease_s": 300.0, "request_id": "scada"}
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 10_000.0, **scada))
    bench.run(8.0)
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 12_000.0, duration_s=4.0))
    lowest_w = min(bench.tick().loop.ordered_w for _ in range(400))
    assert lowest_w >= 10_000.0 - 150.0
    assert bench.power_w() == pytest.approx(10_000.0, abs=150.0)


def test_a_test_that_did_not_follow_is_not_said_to_be_overruled_by_a_lower_rank(
    make_bench, make_evse, make_request
):
    bench = make_bench(random_return_s=0.0)
    bench.plug(make_evse("cs/1"))
    scada = {"authority": Authority.SCADA, "lease_s": 300.0, "request_id": "scada"}
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 1_000.0, **scada))
    bench.run(2.0)
    bench.obey = False
    bench.ask(make_request(RequestKind.WATT_SETPOINT, 5_000.0, request_id="test", duration_s=2.0))
    bench.run(3.0)
    final = [o for o in bench.outcomes if o.request_id == "test"][-1]
    assert (final.status, final.reason) == ("failed", "the delivered power did not follow")


def mode(name, setting, authority=Authority.LOCAL_OPERATOR):
    return wish(name, authority, RequestKind.MODE, setting=setting)


def modes(ledger):
    return {order.request.setting for order in ledger.orders}


def test_a_mode_is_a_state_a_new_one_ends_the_one_before_it():
    ledger, _ = enter(Ledger(), mode("1", "blocked"))
    assert modes(ledger) == {"blocked"}
    ledger, _ = enter(ledger, mode("2", "drain"))
    assert modes(ledger) == {"drain"}
    ledger, _ = enter(ledger, mode("3", "on"))
    assert modes(ledger) == {"on"}
    assert len(ledger.orders) == 1


def test_a_mode_of_a_higher_rank_is_not_ended_from_below():
    ledger, _ = enter(Ledger(), mode("1", "blocked"))
    ledger, _ = enter(ledger, mode("2", "on", Authority.SCADA))
    assert modes(ledger) == {"blocked", "on"}
