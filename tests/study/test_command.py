"""`v2g-study` as a planner types it; the commands of docs/study.md."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from agent.cli.study import run
from agent.comtrade import read_comtrade
from agent.errors import ConfigurationError
from tests.study.conftest import recorded

SMALL = """
[study]
name = "Small & <quick>"
duration_s = 10.0
[grid]
system = "gb"
[contingency]
loss_mw = 1500
[[fleet]]
name = "ev"
count = 20
share = 0.06
preset = "GB-DC"
delay_s = { median = 0.4, factor = 1.3 }
[sweep]
share = [0.0, 0.03, 0.06]
delay_s = [0.2, 0.8]
inertia_s = [3.0, 4.8]
[monte_carlo]
samples = 6
loss_pu = { low = 0.02, high = 0.08 }
[limit]
nadir_hz = 49.3
search_share = [0.0, 0.2]
search_delay_s = [0.1, 4.0]
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(SMALL)
    assert run(["run", str(folder / "small.toml"), "--out", str(folder / "a"), "--json"]) == 0
    return folder


def test_a_run_writes_everything_that_a_planner_needs(ran):
    names = {path.name for path in (ran / "a").iterdir()}
    assert names >= {
        "report.html", "summary.json", "manifest.json", "event.cfg", "event.dat",
        "traces.parquet", "traces.csv", "sweep.parquet", "sweep.csv", "random.parquet",
    }  # fmt: skip
    summary = json.loads((ran / "a" / "summary.json").read_text())
    assert summary["with_nadir_hz"] > summary["without_nadir_hz"]
    assert 0.0 < summary["share_that_holds"] <= 0.2
    manifest = json.loads((ran / "a" / "manifest.json").read_text())
    assert manifest["seed"] == 1
    assert "small.toml" in manifest["inputs"]


def test_the_report_is_one_file_that_needs_no_network(ran):
    page = (ran / "a" / "report.html").read_text()
    assert "Small &amp; &lt;quick&gt;" in page
    assert page.count("Plotly.newPlot(") >= 8
    for outside in ('src="http', "src='http", '<link rel="stylesheet"', "@import"):
        assert outside not in page


def test_the_simulated_event_can_be_scored_like_a_recorded_one(ran, capsys):
    record = read_comtrade(ran / "a" / "event.cfg")
    assert [channel.name for channel in record.channels] == ["f", "P", "f without V2G"]
    out = ran / "scores"
    event = str(ran / "a" / "event.cfg")
    assert run(["event", event, "--preset", "GB-DC", "--out", str(out), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert 0.3 < figures["activation_delay_s"] < 1.5
    assert figures["r2"] > 0.95


def test_the_same_seed_gives_the_same_results(ran):
    assert run(["run", str(ran / "small.toml"), "--out", str(ran / "b"), "--json"]) == 0
    left, right = (json.loads((ran / n / "manifest.json").read_text())["files"] for n in "ab")
    for name in ("summary.json", "sweep.csv", "random.csv", "traces.csv", "event.dat"):
        assert left[name] == right[name]


def test_compare_lays_two_folders_side_by_side(ran, capsys):
    (ran / "other.toml").write_text(SMALL.replace("share = 0.06\n", "share = 0.03\n"))
    assert run(["run", str(ran / "other.toml"), "--out", str(ran / "c"), "--json"]) == 0
    capsys.readouterr()
    page = ran / "compare.html"
    arguments = ["compare", str(ran / "a"), str(ran / "c"), "--json", "--out", str(page)]
    assert run(arguments) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["with_nadir_hz"]["a"] > rows["with_nadir_hz"]["b"]
    assert "Plotly.newPlot" in page.read_text()


def test_verify_finds_a_changed_file_and_checks_the_signature(tmp_path, capsys):
    private, public = tmp_path / "k.pem", tmp_path / "k.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    path, *_ = recorded(tmp_path)
    out = tmp_path / "scores"
    run(["event", str(path), "--preset", "GB-DC", "--out", str(out), "--key", str(private)])
    assert run(["verify", str(out), "--public-key", str(public)]) == 0
    (out / "latencies.csv").write_text("latency_s\n0.1\n")
    assert run(["verify", str(out), "--public-key", str(public)]) == 1
    assert "CHANGED: latencies.csv" in capsys.readouterr().out


def test_list_shows_systems_services_and_examples(capsys):
    assert run(["list"]) == 0
    said = capsys.readouterr().out
    assert "nordic" in said
    assert "GB-DC" in said
    assert "random-contingencies" in said


def test_a_study_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"nothing\.toml"):
        run(["run", "nothing.toml"])
