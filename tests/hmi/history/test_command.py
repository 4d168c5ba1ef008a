"""`v2g-ctl history`: what was recorded as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from agent.cli.ctl import build_parser
from agent.hmi.history import Bounds, HistoryStore
from tests.hmi.conftest import REPOSITORY, wait_for
from tests.hmi.history.test_store import START_S, batch

MEASUREMENTS = ["t_utc_s", "f_hz", "rocof_hz_s", "v1_v", "quality", "target_w", "ordered_w", "p_w"]
EVSES = ["t_utc_s", "evse_id", "p_w", "ordered_w", "soc_pct", "online"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    (folder / "power.conf").write_text("")
    (folder / "agent.toml").write_text(
        '[gateway]\nstate_dir = "state"\npower_profile = "power.conf"\n'
    )
    store = HistoryStore(folder / "state" / "hmi", Bounds(1e9, 1e9))
    store.put(batch(500))
    store.put(batch(50, time.time() - 30.0))
    wait_for(lambda: store.written >= 554)
    store.close()
    return folder / "agent.toml"


def run(config, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.ctl", "history", "--config", str(config), *arguments],
        capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip


def test_csv_on_standard_output_has_a_header_and_every_row(config):
    done = run(config)
    assert done.returncode == 0, done.stderr
    lines = list(csv.reader(io.StringIO(done.stdout)))
    assert lines[0] == MEASUREMENTS
    assert len(lines) == 551
    assert lines[1][4] == "good"
    assert float(lines[2][0]) == pytest.approx(START_S + 0.02, abs=1e-6)


def test_last_takes_the_time_up_to_now(config, tmp_path):
    done = run(config, "--last", "10m", "--csv", str(tmp_path / "x.csv"))
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 51


def test_parquet_has_the_columns_and_types_that_the_study_reads(config, tmp_path):
    path = tmp_path / "x.parquet"
    assert run(config, "--parquet", str(path), "--to", "1750000001").returncode == 0
    table = pq.read_table(path)
    assert table.column_names == MEASUREMENTS
    assert table.num_rows == 51
    assert str(table.schema.field("f_hz").type) == "double"
    done = run(config, "--what", "evses", "--parquet", str(path))
    assert done.returncode == 0, done.stderr
    evses = pq.read_table(path)
    assert evses.column_names == EVSES
    assert evses.to_pylist()[0] == {
        "t_utc_s": START_S, "evse_id": "CS001/1", "p_w": None, "ordered_w": -1000.0,
        "soc_pct": 61.5, "online": True,
    }  # fmt: skip


def test_an_empty_range_is_a_file_with_a_header(config, tmp_path):
    path = tmp_path / "x.parquet"
    assert (
        run(config, "--from", "2001-01-01", "--to", "2001-01-02", "--parquet", str(path)).returncode
        == 0
    )
    assert pq.read_table(path).num_rows == 0


def test_nothing_recorded_is_said_so(tmp_path):
    (tmp_path / "power.conf").write_text("")
    config = tmp_path / "agent.toml"
    config.write_text('[gateway]\nstate_dir = "state"\npower_profile = "power.conf"\n')
    done = run(config)
    assert done.returncode == 69
    assert "no telemetry has been recorded" in done.stderr


def test_an_instant_without_a_zone_is_utc():
    parse = build_parser().parse_args
    given = parse(["history", "--from", "2025-06-15T15:06:40", "--to", "2025-06-15T17:06:40+02:00"])
    assert given.from_utc_s == given.to_utc_s == START_S
    with pytest.raises(SystemExit):
        parse(["history", "--from", "yesterday"])
