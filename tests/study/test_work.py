"""Parts: resumed, the same on all cores and on a Dask cluster."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.errors import UnavailableError
from agent.study.cases import random_cases
from agent.study.work import compute, parts_of
from tests.study.conftest import study

PLAN = {"monte_carlo": {"samples": 10, "loss_pu": {"low": 0.02, "high": 0.08}}}


@pytest.fixture
def work():
    made = study(**PLAN, **{"study.duration_s": 4.0, "fleet.count": 5})
    return made, parts_of("random", random_cases(made), made.study.chunk)


def test_a_stopped_run_goes_on_and_ends_with_the_same_numbers(work, tmp_path, monkeypatch):
    made, parts = work
    whole = compute(made, parts, tmp_path / "whole")
    compute(made, parts[:1], tmp_path / "stopped")
    (tmp_path / "stopped" / ".random-00000004.99.tmp").write_bytes(b"half")
    first = tmp_path / "stopped" / f"{parts[0].name}.npz"
    before = first.stat().st_mtime_ns
    done: list[int] = []
    resumed = compute(made, parts, tmp_path / "stopped", done=done.append)
    assert first.stat().st_mtime_ns == before
    assert sum(done) == 10
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values)


def test_the_size_of_the_parts_changes_no_number(work, tmp_path):
    made, parts = work
    small = compute(made, parts, tmp_path / "small")
    large = compute(made, parts_of("random", random_cases(made), 10), tmp_path / "large")
    np.testing.assert_allclose(small["nadir_hz"], large["nadir_hz"], atol=5e-6)


@contextlib.contextmanager
def cluster(folder: Path):
    """A real scheduler and a real worker of Dask, as processes on the loopback."""
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
                 "--port", "0"]  # fmt: skip
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1",
              "--host", "127.0.0.1", "--local-directory", str(folder)]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*command, *common], **quiet) for command in (scheduler, worker)]
    try:
        from distributed import Client

        with Client(scheduler_file=str(file), timeout="60s", set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
            yield client.scheduler.address
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


@pytest.mark.peer
def test_a_dask_cluster_gives_the_same_numbers(work, tmp_path):
    pytest.importorskip("distributed", reason="needs the extra dask")
    made, parts = work
    here = compute(made, parts, tmp_path / "here")
    with cluster(tmp_path) as address:
        there = compute(made, parts, tmp_path / "there", dask=address)
    for name, values in here.items():
        np.testing.assert_array_equal(there[name], values)


def test_a_scheduler_that_is_not_there_is_named(work, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs the extra dask")
    made, parts = work
    with pytest.raises(
        UnavailableError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"
    ):
        compute(made, parts, tmp_path, dask="tcp://127.0.0.1:9")
