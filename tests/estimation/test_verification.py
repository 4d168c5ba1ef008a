"""Gain, offset and lag of a report, found apart; errors that cancel are not hidden."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.estimation.verification import Tolerance, Verdict, compare

T_S = 600.0


class Discharge:
    """Ten minutes of a power that changes every 20 s in ramps of 2 s."""

    def __init__(self, seed, low_w=-8000.0, high_w=8000.0):
        self.rng = np.random.default_rng(seed)
        self.levels = self.rng.uniform(low_w, high_w, 60)
        self.measured_s = np.arange(0.0, T_S + 30.0, 0.25)
        self.reported_s = np.arange(0.0, T_S, 1.0) + self.rng.uniform(0.0, 0.05, int(T_S))

    def truth(self, t_s):
        step = np.clip((t_s // 20).astype(int), 0, len(self.levels) - 2)
        share = np.clip((t_s - 20 * step) / 2.0, 0.0, 1.0)
        return self.levels[step] + (self.levels[step + 1] - self.levels[step]) * share

    def compared(self, gain=1.0, offset_w=0.0, lag_s=0.0, noise_w=30.0, report=None, **keys):
        measured_w = self.truth(self.measured_s)
        measured_w = measured_w + self.rng.normal(0.0, noise_w / 2, measured_w.size)
        true_w = self.truth(self.reported_s - lag_s)
        reported_w = report(true_w) if report else gain * true_w + offset_w
        reported_w = reported_w + self.rng.normal(0.0, noise_w, reported_w.size)
        return compare(self.reported_s, reported_w, self.measured_s, measured_w, **keys)


@pytest.mark.parametrize("seed", range(5))
def test_gain_1018_offset_and_a_lag_of_2_3_s_are_found_apart(seed):
    found = Discharge(seed).compared(1.018, 35.0, 2.3)
    assert abs(found.gain.value - 1.018) <= 0.001
    assert abs(found.lag_s.value - 2.3) <= 0.050
    assert abs(found.offset_w.value - 35.0) <= 5.0
    assert found.gain.half_width < 0.001
    assert found.lag_s.half_width < 0.050
    assert found.verdicts["lag"] is Verdict.FAIL


@pytest.mark.parametrize("lag_s", [-3.0, -0.4, 0.0, 0.05, 4.9])
def test_a_lag_of_either_sign_is_found(lag_s):
    assert abs(Discharge(3).compared(lag_s=lag_s).lag_s.value - lag_s) <= 0.050


def test_the_intervals_cover_the_truth_as_often_as_they_say():
    hits = np.zeros(3)
    for seed in range(60):
        found = Discharge(seed).compared(1.018, 35.0, 2.3)
        truth = ((found.gain, 1.018), (found.offset_w, 35.0), (found.lag_s, 2.3))
        hits += [abs(e.value - t) <= e.half_width for e, t in truth]
    assert (hits >= 60 * 0.85).all(), hits


def test_an_honest_report_passes():
    found = Discharge(1).compared()
    assert found.verdict is Verdict.PASS
    assert found.variance < 0.02


def test_a_gain_and_an_offset_that_cancel_in_the_energy_are_not_hidden():
    discharge = Discharge(2, 2000.0, 8000.0)
    mean_w = float(discharge.truth(discharge.reported_s).mean())
    found = discharge.compared(1.05, -0.05 * mean_w)
    reported, measured = found.export_wh
    assert abs(reported / measured - 1.0) < 0.01
    assert found.verdicts["energy export"] is Verdict.PASS
    assert found.verdicts["gain"] is Verdict.FAIL
    assert found.verdicts["offset"] is Verdict.FAIL
    assert found.verdict is Verdict.FAIL


def test_errors_of_export_and_import_that_cancel_in_the_net_are_not_hidden():
    def report(p_w):
        return np.where(p_w > 0, 1.04 * p_w, 0.96 * p_w)

    found = Discharge(4).compared(report=report)
    assert abs(found.gain_export.value - 1.04) < 0.01
    assert abs(found.gain_import.value - 0.96) < 0.01
    assert found.verdict is Verdict.FAIL


def test_a_power_that_does_not_move_is_inconclusive_and_never_passes():
    found = Discharge(5, 5000.0, 5000.0).compared()
    assert math.isnan(found.gain.value)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_a_short_record_is_inconclusive():
    found = compare(np.arange(5.0), np.ones(5), np.arange(5.0), np.ones(5))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_a_phase_that_carries_more_is_told():
    discharge = Discharge(6)
    total_w = discharge.truth(discharge.measured_s)
    phases_w = np.column_stack([0.5 * total_w, 0.25 * total_w, 0.25 * total_w])
    found = discharge.compared(phases_w=phases_w)
    assert found.imbalance == pytest.approx(0.5)
    assert found.verdicts["phase imbalance"] is Verdict.FAIL


def test_a_hole_in_the_measurement_is_left_out():
    discharge = Discharge(7)
    hole = (discharge.measured_s > 200) & (discharge.measured_s < 300)
    discharge.measured_s = discharge.measured_s[~hole]
    assert abs(discharge.compared(1.018, 0.0, 2.3).gain.value - 1.018) <= 0.0015


@pytest.mark.parametrize(
    ("t_s", "p_w"),
    [([1.0, 1.0], [0.0, 0.0]), ([1.0], [0.0, 0.0]), ([1.0, math.nan], [0.0, 0.0]), ([], [])],
)
def test_records_that_are_none_are_refused(t_s, p_w):
    with pytest.raises(ValueError):
        compare(np.array(t_s), np.array(p_w), np.arange(9.0), np.ones(9))


@settings(deadline=None, max_examples=30)
@given(st.floats(0.8, 1.2), st.floats(-500, 500), st.floats(-4, 4), st.integers(0, 1000))
def test_any_gain_offset_and_lag_are_found(gain, offset_w, lag_s, seed):
    found = Discharge(seed).compared(gain, offset_w, lag_s, noise_w=10.0)
    assert abs(found.gain.value - gain) <= 0.002
    assert abs(found.offset_w.value - offset_w) <= 8.0
    assert abs(found.lag_s.value - lag_s) <= 0.05


def test_a_tolerance_is_met_only_by_the_whole_interval():
    found = Discharge(1).compared(1.0197, tolerance=Tolerance(gain=0.02))
    assert found.verdicts["gain"] is not Verdict.FAIL
    found = Discharge(1).compared(1.0197, noise_w=3000.0, tolerance=Tolerance(gain=0.02))
    assert found.verdicts["gain"] is Verdict.INCONCLUSIVE
