"""When reports are due, and the wake-up that finds what they need."""

import pytest

from agent.estimation import Settings
from agent.processbus.schedule import MARGIN_S, RISE_S, SILENCE_S, Schedule

SETTINGS = Settings(nominal_hz=50, samples_per_second=4800, reports_per_second=50)
START = 1_700_000_000 * 4800


def test_reports_are_a_fiftieth_of_a_second_apart_from_the_start_on():
    schedule = Schedule(SETTINGS, START)
    first = schedule.due
    assert START <= first < START + 4800
    for report in range(1, 200):
        schedule.advance()
        assert schedule.due == first + 96 * report


def test_late_arrivals_are_believed_within_ten_reports_and_forgotten_slowly():
    schedule = Schedule(SETTINGS, START)
    for _ in range(10):
        schedule.learn(schedule.due_s + 0.004)
    assert schedule.expected_s - schedule.due_s == pytest.approx(0.004 + MARGIN_S, abs=1e-6)
    schedule.learn(schedule.due_s + 0.001)
    assert schedule.expected_s - schedule.due_s > 0.0039
    for _ in range(500):
        schedule.learn(schedule.due_s + 0.001)
    assert schedule.expected_s - schedule.due_s == pytest.approx(0.001 + MARGIN_S, abs=1e-5)


def test_one_late_arrival_does_not_make_the_reports_after_it_wait_as_long():
    schedule = Schedule(SETTINGS, START)
    for _ in range(10):
        schedule.learn(schedule.due_s + 0.001)
    schedule.learn(schedule.due_s + 0.012)
    assert schedule.expected_s - schedule.due_s < 0.001 + RISE_S + MARGIN_S + 1e-6


def test_no_arrival_is_waited_for_longer_than_silence():
    schedule = Schedule(SETTINGS, START)
    for _ in range(100):
        schedule.learn(schedule.due_s + 9.0)
    assert schedule.expected_s - schedule.due_s == pytest.approx(SILENCE_S + MARGIN_S, abs=1e-6)
