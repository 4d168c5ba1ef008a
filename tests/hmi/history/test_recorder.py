"""Snapshots become rows at the wanted rate, and changes become events."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import History
from agent.hmi.history import Batch, Recorder
from agent.messages import Authority, ControlRequest, RequestKind, Validity, WorkerState
from tests.hmi.conftest import alarm, evse_view, loop_view, measurement, snapshot

T0 = 1_750_000_000.0


def ticks(recorder: Recorder, count: int, reports_per_s: int = 50) -> Batch:
    for number in range(count):
        now_s = number / reports_per_s
        report = measurement(50.0, t_utc_s=T0 + now_s, published_s=now_s)
        complete = number % 50 == 0
        made = snapshot(t_utc_s=T0 + now_s, mono_s=now_s, measurement=report, complete=complete)
        recorder.take(made)
    return recorder.drain()


@pytest.mark.parametrize(
    ("reports_per_s", "wanted", "expected"),
    [(50, 1, 4), (50, 10, 40), (50, 50, 200), (100, 100, 400), (50, 100, 200), (25, 10, 40)],
)
def test_measurements_are_kept_at_the_configured_rate(reports_per_s, wanted, expected):
    recorder = Recorder(History(measurements_per_s=wanted))
    rows = ticks(recorder, 4 * reports_per_s, reports_per_s).measurements
    assert len(rows) == pytest.approx(expected, abs=1)


def test_one_report_is_written_once_however_many_snapshots_carry_it():
    recorder = Recorder(History(measurements_per_s=100))
    report = measurement(t_utc_s=T0, published_s=10.0)
    for number in range(5):
        recorder.take(snapshot(mono_s=10.0 + number * 0.02, measurement=report))
    assert len(recorder.drain().measurements) == 1


@given(
    st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60), st.sampled_from([1.0, 10.0, 100.0])
)
def test_rows_are_never_closer_than_the_rate_allows_on_average(pauses_s, rate):
    recorder = Recorder(History(measurements_per_s=rate))
    now_s = 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        report = measurement(t_utc_s=T0 + now_s, published_s=now_s)
        recorder.take(snapshot(mono_s=now_s, t_utc_s=T0 + now_s, measurement=report))
    instants = [row.t_utc_s for row in recorder.drain().measurements]
    assert len(instants) <= now_s * rate + 2
    assert all(b > a for a, b in itertools.pairwise(instants))


def test_without_a_frequency_powers_are_kept_and_the_quality_is_invalid():
    recorder = Recorder(History())
    recorder.take(snapshot(measurement=None, loop=loop_view(delivered_w=-500.0)))
    [row] = recorder.drain().measurements
    assert (row.f_hz, row.quality, row.p_w) == (None, Validity.INVALID, -500.0)


def test_evses_are_sampled_in_their_period():
    recorder = Recorder(History(evse_period_s=2.0))
    batch = ticks(recorder, 500)
    assert 4 <= len(batch.evses) <= 6
    assert batch.evses[0].evse_id == "CS001/1"


def test_the_first_snapshot_is_the_beginning_and_its_alarms_are_news():
    recorder = Recorder(History())
    recorder.take(snapshot(alarms=(alarm(),)))
    events = recorder.drain().events
    assert [event.text for event in events] == [
        "recording begins",
        "raised: charging station CS009 is lost",
    ]


def changes(before, after) -> list[tuple[str, str, str]]:
    recorder = Recorder(History())
    recorder.take(before)
    recorder.drain()
    recorder.take(after)
    return [event[1:] for event in recorder.drain().events]


def test_nothing_that_stays_the_same_is_an_event():
    same = snapshot(alarms=(alarm(since_utc_s=T0),))
    assert changes(same, same) == []


def test_an_alarm_is_raised_acknowledged_and_cleared():
    raised = alarm(since_utc_s=T0)
    seen = msgspec.structs.replace(raised, acknowledged=True)
    name = ("alarm", "0x24 CS009")
    assert changes(snapshot(), snapshot(alarms=(raised,))) == [(*name, f"raised: {raised.text}")]
    [event] = changes(snapshot(alarms=(raised,)), snapshot(alarms=(seen,)))
    assert event == (*name, f"acknowledged: {raised.text}")
    assert changes(snapshot(alarms=(seen,)), snapshot()) == [(*name, "cleared")]


def test_orders_begin_and_end_with_who_gave_them():
    order = ControlRequest(
        "r1", Authority.SCADA, "hmi-7", RequestKind.WATT_SETPOINT, "site", 3000.0, 30.0, 0.0, T0
    )
    [begun] = changes(snapshot(), snapshot(requests=(order,)))
    assert begun == ("command", "r1", "watt-setpoint 3000 at site for 30 s by hmi-7 (scada)")
    assert changes(snapshot(requests=(order,)), snapshot()) == [("command", "r1", "ended")]


def test_modes_workers_and_vehicles_that_change_are_events():
    before = snapshot()
    workers = (msgspec.structs.replace(before.workers[0], state=WorkerState.BACKOFF),)
    after = snapshot(
        loop=loop_view(mode="lost"), workers=(*workers, before.workers[1]),
        evses=(evse_view(online=False), evse_view("CS002/1")), complete=False,
    )  # fmt: skip
    assert changes(before, after) == [
        ("state", "mode", "lost"),
        ("worker", "processbus", "backoff"),
        ("evse", "CS001/1", "lost"),
        ("evse", "CS002/1", "plugged"),
    ]
