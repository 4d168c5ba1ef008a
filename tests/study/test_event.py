"""Recorded events: what was put in is found again; the result is signed."""

from __future__ import annotations

import json
import subprocess
import time

import numpy as np
import pytest

from agent.comtrade import AnalogChannel, Record, configuration, data
from agent.errors import ConfigurationError
from agent.study import scores
from agent.study.columns import numbers, read_table, write_table
from agent.study.event import judge, score_event
from agent.study.manifest import check_manifest
from agent.study.telemetry import read_event
from tests.study.conftest import recorded


@pytest.mark.parametrize("delay_s", [0.08, 0.6, 1.9, 6.0])
@pytest.mark.parametrize("step_s", [0.1, 1.0])
def test_delay_within_50_ms_and_r2_within_0_005_of_the_truth(tmp_path, delay_s, step_s):
    noise_w = 400.0
    path, _, clean = recorded(tmp_path, delay_s=delay_s, noise_w=noise_w, step_s=step_s)
    found = judge(read_event(path), [], "GB-DC", None).fleet
    truth = 1.0 - noise_w**2 / (noise_w**2 + clean.var())
    assert found.delay_s == pytest.approx(delay_s, abs=0.05)
    assert found.r2 == pytest.approx(truth, abs=0.005)
    assert found.scale == pytest.approx(22_000.0, rel=0.02)
    assert found.base_w == pytest.approx(-3000.0, abs=100.0)


def test_an_event_without_answer_has_no_delay(tmp_path):
    t = np.arange(100.0)
    write_table(tmp_path / "e.csv", {"t_utc_s": t, "f_hz": np.full(100, 50.0), "p_w": t * 0.0})
    found = judge(read_event(tmp_path / "e.csv"), [], "GB-DC", None)
    assert np.isnan(found.fleet.delay_s)
    assert all(np.isnan(s.value) or s.value in (0.0, 1.0) for s in found.scores)


def case(delivered, seconds=200.0, dip_hz=0.6):
    t = np.arange(0.0, seconds, 0.02)
    f = np.where(t >= 80.0, 50.0 - dip_hz, 50.0)
    required = np.where(t >= 80.0, 1.0, 0.0)
    answer = delivered(t)
    return scores.Case(t, f, required, answer, 22e3 * answer, 22e3, 80.0, 50.0)


def test_ffr_is_timed_from_the_trigger():
    got = {s.name: s for s in scores.ffr(case(lambda t: np.clip((t - 80.4) / 0.2, 0, 1)))}
    assert got["FFR activation from 49.5 Hz"].value == pytest.approx(0.59, abs=0.03)
    assert got["FFR activation from 49.5 Hz"].passed
    late = scores.ffr(case(lambda t: np.clip(t - 80.4, 0, 1)))
    assert not late[2].passed
    assert late[0].passed is False


def test_fcr_at_15_and_30_s():
    got = scores.fcr(case(lambda t: np.clip((t - 80.0) / 25.0, 0, 1)))
    assert [s.value for s in got] == [pytest.approx(0.6, abs=0.01), pytest.approx(1.0)]
    assert [s.passed for s in got] == [True, True]
    assert scores.fcr(case(lambda t: np.clip((t - 80.0) / 60.0, 0, 1)))[1].passed is False


@pytest.mark.parametrize(("late_s", "within"), [(0.6, True), (6.0, False)])
def test_dc_allows_one_second(late_s, within):
    score, low, high = scores.dc(case(lambda t: (t >= 80.0 + late_s) * 1.0, 120.0))
    assert score.passed is within
    assert (low <= high).all()


def test_pjm_of_a_perfect_and_of_a_late_answer():
    signal = lambda t: np.sin(t / 40.0)  # noqa: E731
    t = np.arange(0.0, 1800.0, 0.5)
    for late_s in (0.0, 60.0):
        made = scores.Case(t, 50 + 0 * t, signal(t), signal(t - late_s), t, 1.0, 0.0, 50.0)
        got = {s.name: s.value for s in scores.pjm(made)}
        assert got["PJM correlation"] == pytest.approx(1.0, abs=1e-6)
        assert got["PJM delay"] == pytest.approx(1.0 - late_s / 300.0)
        assert (got["PJM precision"] == pytest.approx(1.0)) is (late_s == 0.0)


def test_tre_takes_the_ramp_before_the_event_off():
    def delivered(t):
        return 0.001 * t + np.where(t >= 90.0, 0.8, 0.0)

    made = case(delivered)
    peak = 0.001 * 140.0 + 0.8
    pre = 0.001 * 71.0
    expected = peak - pre - 0.821 * 0.001 * 56.0
    assert scores.tre(made).value == pytest.approx(expected, abs=2e-3)
    assert scores.tre(made).passed


def test_every_score_names_formula_source_and_how_far_it_is_verified():
    made = case(lambda t: (t >= 80.5) * 1.0)
    found = [*scores.fcr(made), *scores.ffr(made), scores.dc(made)[0], *scores.pjm(made)]
    for score in (*found, scores.tre(made)):
        assert score.formula
        assert score.source
        assert score.edition
        assert score.verified in ("source", "secondary", "unverified")


def test_a_comtrade_record_of_voltages_and_currents_has_its_power(tmp_path):
    t = np.arange(0, 2.0, 1 / 2000)
    phases = [0.0, -2.0944, 2.0944]
    v = [325.0 * np.sin(314.159 * t + p) for p in phases]
    i = [20.0 * np.sin(314.159 * t + p - 0.5) for p in phases]
    names = ("VA", "VB", "VC", "IA", "IB", "IC", "f")
    values = np.array([*v, *i, np.full(len(t), 49.9)], dtype=np.float32)
    channels = tuple(AnalogChannel(n, "", "") for n in names)
    made = Record("s", "d", 50, 2000, 1.7e9, 1.7e9, channels, values)
    (tmp_path / "e.cfg").write_text(configuration(made), newline="")
    (tmp_path / "e.dat").write_bytes(data(made))
    event = read_event(tmp_path / "e.cfg")
    assert np.median(event.p_w) == pytest.approx(1.5 * 325 * 20 * np.cos(0.5), rel=1e-3)
    assert np.median(event.f_hz) == pytest.approx(49.9, abs=1e-4)


@pytest.mark.parametrize(
    ("columns", "what"),
    [({"t_utc_s": [1.0], "f_hz": [50.0]}, "no column p_w"),
     ({"t_utc_s": [1.0], "f_hz": [50.0], "p_w": [0.0]}, "fewer than 20")],
)  # fmt: skip
def test_what_is_no_event_is_refused(tmp_path, columns, what):
    write_table(tmp_path / "e.csv", columns)
    with pytest.raises(ConfigurationError, match=what):
        read_event(tmp_path / "e.csv")


def keys(folder):
    private, public = folder / "k.pem", folder / "k.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


def test_event_to_signed_report_with_evses(tmp_path, record_property):
    path, share, _ = recorded(tmp_path, noise_w=100.0)
    t = numbers(read_table(path), "t_utc_s")
    delays = (0.2, 0.9)
    ordered = 5500.0 * share
    write_table(tmp_path / "evses.parquet", {
        "t_utc_s": np.tile(t, 2),
        "evse_id": [f"CS{n}/1" for n in (0, 1) for _ in t],
        "p_w": np.concatenate([np.interp(t - d, t, ordered) for d in delays]),
        "ordered_w": np.tile(ordered, 2),
        "soc_pct": np.full(2 * len(t), 50.0),
    })  # fmt: skip
    private, public = keys(tmp_path)
    out = tmp_path / "out"
    begin = time.monotonic()
    figures = score_event(
        path, out, evses=tmp_path / "evses.parquet", preset="GB-DC", contract_w=22e3, key=private
    )
    record_property("event to report, s", f"{time.monotonic() - begin:.1f}")
    assert figures["activation_delay_s"] == pytest.approx(0.6, abs=0.05)
    assert figures["delivered_by_required"] == pytest.approx(1.0, abs=0.01)
    latencies = numbers(read_table(out / "latencies.csv"), "latency_s")
    np.testing.assert_allclose(latencies, delays, atol=0.05)
    page = (out / "report.html").read_text()
    assert "Plotly.newPlot" in page
    assert 'src="http' not in page
    assert json.loads((out / "scores.json").read_text())["scores"]
    assert check_manifest(out, public) == []

    (out / "scores.json").write_text("{}")
    assert check_manifest(out, public) == ["scores.json: was changed"]
    manifest = (out / "manifest.json").read_text()
    (out / "manifest.json").write_text(manifest.replace("event", "Event"))
    assert any("does not fit" in line for line in check_manifest(out, public))
    other = tmp_path / "other"
    other.mkdir()
    assert any("does not fit" in line for line in check_manifest(out, keys(other)[1]))
