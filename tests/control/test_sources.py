"""Which frequency decides, and what happens when none can be trusted."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest

from agent.control import parameters_from
from agent.control.conditions import of_frequency
from agent.control.sources import Frequency, select
from agent.control.trail import distance_hz
from agent.errors import AlarmCode
from agent.messages import Validity

P = parameters_from(nominal_hz=50)


def play(make_report, moments, start_s=10.0, p=P):
    """Run [(seconds, {source: Hz})] at 50 reports a second."""
    frequency, now_s, trace = Frequency(), start_s, []
    for seconds, values in moments:
        for _ in range(round(seconds * 50)):
            now_s = round(now_s + 0.02, 3)
            news = [make_report(hz, now_s, source=name) for name, hz in values.items()]
            frequency = select(frequency, news, now_s, p)
            trace.append((now_s, frequency))
    return frequency, trace


def test_two_of_three_outvote_the_third(make_report):
    together = {"a": 50.0, "b": 50.0, "c": 50.0}
    frequency, trace = play(make_report, [(1, together), (2, together | {"a": 49.5})])
    assert frequency.f_hz == pytest.approx(50.0)
    assert not any(item.lost for _, item in trace[1:])


def test_the_third_is_named_in_an_alarm_after_200_ms(make_report):
    together = {"a": 50.0, "b": 50.0, "c": 50.0}
    _, trace = play(make_report, [(1, together), (1, together | {"a": 49.9})])
    begins_s = next(at for at, item in trace if item.disagreed(at, P))
    assert 0.2 <= begins_s - 11.0 <= 0.25
    at_s, last = trace[-1]
    assert last.set_aside(at_s, P) == ("a",)
    (condition,) = of_frequency(last, at_s, P)
    assert condition.code is AlarmCode.FREQUENCY_SOURCES_DISAGREE
    assert condition.text.endswith(": a")


@pytest.mark.parametrize(("behaviour", "f_hz"), [("nearest-nominal", 49.96), ("mean", 49.88)])
def test_two_that_disagree_are_settled_as_configured(make_report, behaviour, f_hz):
    """Never silently: the alarm stands as long as they disagree."""
    p = replace(P, disagreement=behaviour)
    moments = [(1, {"a": 50.0, "b": 50.0}), (2, {"a": 49.8, "b": 49.96})]
    frequency, trace = play(make_report, moments, p=p)
    assert frequency.f_hz == pytest.approx(f_hz)
    assert not any(item.lost for _, item in trace[1:])
    assert frequency.disagreed(trace[-1][0], p)


def test_two_that_disagree_for_200_ms_are_held_and_then_lost(make_report):
    _, trace = play(make_report, [(1, {"a": 50.0, "b": 50.0}), (2, {"a": 49.9, "b": 50.0})])
    since_s = 11.0
    lost_s = next(at for at, item in trace if at > since_s and item.lost)
    assert 0.4 <= lost_s - since_s <= 0.45
    assert any(item.disagreed(at, P) for at, item in trace)


@pytest.mark.parametrize("slope_hz_s", [1.0, -1.0, 2.0])
def test_a_slower_source_does_not_disagree_while_the_frequency_moves(make_report, slope_hz_s):
    """A stream reported 50 times a second after 55 ms, another IED's report 10 times after 100."""

    def true_hz(t_s):
        return 50.0 + slope_hz_s * min(max(t_s - 11.0, 0.0), 0.8)

    frequency, trace = Frequency(), []
    for tick in range(200):
        now_s = round(10.0 + 0.02 * tick, 3)
        news = [measured(make_report, "mu", true_hz, now_s, 0.055)]
        if tick % 5 == 0:
            news.append(measured(make_report, "pmu", true_hz, now_s, 0.1))
        frequency = select(frequency, news, now_s, P)
        trace.append((now_s, frequency))
    assert not any(item.disagreed(at, P) or item.lost for at, item in trace[10:])
    assert frequency.measurement.source == "mu"
    assert frequency.f_hz == pytest.approx(true_hz(20.0))


def measured(make_report, source, true_hz, now_s, delay_s):
    report = make_report(true_hz(now_s - delay_s), now_s, source=source)
    return msgspec.structs.replace(report, t_utc_s=1e9 + now_s - delay_s)


def test_a_source_that_only_claims_to_be_older_still_disagrees(make_report):
    frequency, disagreed = Frequency(), False
    for tick in range(100):
        now_s = round(10.0 + 0.02 * tick, 3)
        old = msgspec.structs.replace(make_report(49.9, now_s, source="b"), t_utc_s=0.0)
        news = [make_report(50.0, now_s, source="a"), old]
        frequency = select(frequency, news, now_s, P)
        disagreed |= frequency.disagreed(now_s, P)
    assert disagreed


def test_sources_that_agree_again_decide_again(make_report):
    frequency, _ = play(
        make_report,
        [(1, {"a": 50.0, "b": 50.0}), (1, {"a": 49.9, "b": 50.0}), (0.1, {"a": 50.0, "b": 50.01})],
    )
    assert not frequency.lost


def test_a_frequency_that_jumps_is_followed_no_faster_than_a_grid_can(make_report):
    _, trace = play(make_report, [(1, {"a": 50.0}), (0.5, {"a": 48.0})])
    for (t0, one), (t1, two) in pairwise(trace):
        assert abs(two.f_hz - one.f_hz) <= P.max_rocof_hz_s * (t1 - t0) + 1e-9
    assert trace[-1][1].f_hz == pytest.approx(48.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"quality": Validity.INVALID},
        {"quality": Validity.HELD},
        {"f_hz": math.nan},
        {"f_hz": math.inf},
        {"f_hz": 0.0},
        {"uncertainty_hz": 0.5},
        {"uncertainty_hz": math.nan},
    ],
)
def test_reports_that_cannot_decide_count_as_none(make_report, fields):
    values = {"f_hz": 50.0} | fields
    report = make_report(values.pop("f_hz"), 10.0, **values)
    assert select(Frequency(), [report], 10.0, P).lost


def test_questionable_reports_within_their_uncertainty_decide(make_report):
    report = make_report(50.0, 10.0, quality=Validity.QUESTIONABLE, uncertainty_hz=0.005)
    assert not select(Frequency(), [report], 10.0, P).lost


def test_out_of_order_and_future_reports_do_no_harm(make_report):
    frequency = select(Frequency(), [make_report(50.0, 10.0)], 10.0, P)
    frequency = select(frequency, [make_report(49.0, 9.0)], 10.02, P)
    assert frequency.f_hz == 50.0
    frequency = select(frequency, [make_report(50.0, 1e9)], 10.04, P)
    assert frequency.known_s <= 10.04
    assert select(frequency, [], 10.3, P).lost


@pytest.mark.parametrize("seed", range(8))
def test_every_loss_is_held_for_200_ms_and_ramped_without_a_step(make_bench, make_evse, seed):
    """The moment of the loss, its depth and the size of the fleet differ by seed."""
    bench = make_bench()
    bench.plug(*(make_evse(f"cs{i}/1") for i in range(10 + seed)))
    rated_w = 11_000.0 * (10 + seed)
    bench.f_hz = 49.99 - 0.01 * seed
    bench.run(0.5 + 0.013 * seed)
    held_w = bench.last.loop.ordered_w
    bench.f_hz = None
    trace = [(bench.now_s, bench.last.loop.ordered_w)]
    lost_s = bench.now_s
    for _ in range(130):
        bench.tick()
        trace.append((bench.now_s, bench.last.loop.ordered_w))
    assert all(power == held_w for at, power in trace if at - lost_s <= 0.18)
    assert trace[-1][1] == 0.0
    for (_, one), (_, two) in pairwise(trace):
        assert one - two <= 0.1 * rated_w
    assert AlarmCode.FREQUENCY_LOST in {alarm.code for alarm in bench.last.alarms}


def test_a_goose_that_repeats_the_instant_of_a_step_agrees_once_the_stream_has_followed():
    """The window of the stream averages both sides of the step at the instant that GOOSE names."""
    stream = tuple((10.0 + 0.02 * i, 50.0 if i < 20 else 49.8) for i in range(24))
    assert distance_hz(stream, ((10.39, 49.8),)) == 0.0
    assert distance_hz(stream[:18], ((10.39, 49.8),)) == pytest.approx(0.2)
