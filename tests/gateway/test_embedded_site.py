"""`make run`: the embedded site comes up, dips, and says what it saw."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.gateway.conftest import REPOSITORY


def run(*arguments: str, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.run", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=REPOSITORY,
        check=False,
    )


@pytest.fixture(scope="module")
def summary() -> dict:
    done = run("--for", "12s", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_ends_by_itself_with_a_one_line_summary(summary):
    assert set(summary) == {
        "dips",
        "setpoints_sent",
        "stations",
        "software_latency_ms",
        "whole_latency_ms",
        "worker_restarts",
        "alarms",
    }


def test_a_dip_moved_the_stations(summary):
    assert summary["dips"] >= 1
    assert summary["stations"] == 4
    assert summary["setpoints_sent"] >= 4


def test_nothing_went_wrong(summary):
    assert summary["worker_restarts"] == 0
    assert summary["alarms"] == 0


@pytest.mark.parametrize("name", ["software_latency_ms", "whole_latency_ms"])
def test_latencies_were_measured(summary, name):
    assert 0 < summary[name]["p50"] <= summary[name]["p99"]


def test_at_60_hz_too():
    done = run("--for", "9s", "--json", "--nominal", "60", "--stations", "3")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["dips"] >= 1
    assert summary["whole_latency_ms"]["p50"] is not None
