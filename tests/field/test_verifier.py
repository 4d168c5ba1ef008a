"""Continuous verification: the alarm comes with the variance and goes with it."""

import math

import numpy as np
import pytest

from agent.mapping.derived import variance
from agent.messages import EvseStatus, EvseView, FieldReading, LoopView, Snapshot, Validity
from agent.vehicles.field.verifier import PERIOD_S, Verifier

LOOP = LoopView(
    "on", 50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "", 0.0, None, 0, 0, 0
)


def feed(verifier, start_s, seconds, gain=1.0, amplitude_w=5000.0):
    for t_s in np.arange(start_s, start_s + seconds, 0.5):
        p_w = amplitude_w * math.sin(t_s / 9.0)
        verifier.measure(FieldReading("pq1", t_s, t_s, Validity.GOOD, "CS1/1", p_w))
        verifier.report(status(t_s, gain * p_w))


def status(t_s, p_w, **keys):
    return EvseStatus("CS1/1", "ocpp2.1", True, True, t_s, t_s, p_w=p_w, **keys)


@pytest.fixture
def verifier():
    return Verifier("pq1", "CS1/1", 300.0, 0.05)


def test_an_honest_report_raises_nothing(verifier):
    feed(verifier, 1000.0, 120.0)
    assert verifier.due(0.0)
    found = verifier.compare(*verifier.records())
    assert found.verdict == "pass" and found.variance < 0.01
    assert verifier.trouble() == ""


def test_a_report_that_drifts_raises_the_alarm_and_one_that_returns_clears_it(verifier):
    feed(verifier, 1000.0, 300.0, gain=1.1)
    found = verifier.compare(*verifier.records())
    assert found.gain == pytest.approx(1.1, abs=0.002)
    assert "CS1/1 reports 10" in verifier.trouble() and "gain 1.100" in verifier.trouble()
    feed(verifier, 1300.0, 310.0)
    verifier.compare(*verifier.records())
    assert verifier.trouble() == ""


def test_it_is_looked_at_every_half_minute_and_not_before_a_minute_is_known(verifier):
    assert not verifier.due(0.0)
    feed(verifier, 1000.0, 50.0)
    assert not verifier.due(50.0)
    feed(verifier, 1050.0, 50.0)
    assert verifier.due(100.0)
    assert not verifier.due(100.0 + PERIOD_S - 1.0)
    assert verifier.due(100.0 + PERIOD_S)


def test_an_idle_evse_has_no_variance(verifier):
    feed(verifier, 1000.0, 120.0, gain=3.0, amplitude_w=5.0)
    found = verifier.compare(*verifier.records())
    assert math.isnan(found.variance) and found.verdict == "inconclusive"
    assert verifier.trouble() == ""


def test_values_that_are_none_and_a_clock_that_jumps_back_do_no_harm(verifier):
    feed(verifier, 1_000_000.0, 120.0)
    verifier.report(status(float("nan"), 1.0))
    verifier.report(status(1_000_200.0, float("inf")))
    verifier.report(status(1_000_300.0, 1.0, quality=Validity.INVALID))
    verifier.measure(FieldReading("pq1", 1_000_400.0, 0.0, Validity.INVALID, "CS1/1", 1.0))
    feed(verifier, 1000.0, 120.0)
    assert verifier.compare(*verifier.records()).verdict == "pass"


def test_the_variance_is_what_iec_61850_shows(verifier):
    feed(verifier, 1000.0, 300.0, gain=1.1)
    found = verifier.compare(*verifier.records())
    view = EvseView(status(1.0, 0.0), 0.0, "", 0.0, 0.0)
    other = EvseView(EvseStatus("CS2/1", "", True, True, 1.0, 1.0), 0.0, "", 0.0, 0.0)
    shown = Snapshot(1.0, 1.0, None, LOOP, (), True, (), (), verifications=(found,))
    assert variance(shown, view, None) == pytest.approx(10.0, abs=0.5)
    assert variance(shown, other, None) is None
