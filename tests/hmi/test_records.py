"""Recorded events: what the process bus wrote, thinned for a screen without losing a peak."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.comtrade import AnalogChannel, Record, configuration, data
from agent.errors import ConfigurationError, DecodeError
from agent.hmi.records import POINTS, Records, envelope, event_folder

CHANNELS = (AnalogChannel("VA", "A", "V"), AnalogChannel("f", "", "Hz"))
NAME = "20260131T120000_000_MU01"


def write_event(folder, samples: int = 8000) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(samples) / 4000
    values = np.stack([325 * np.cos(314.159 * times_s), 50 - 0.1 * times_s]).astype(np.float32)
    values[0, samples // 3] = 900.0
    values[1, 7] = np.nan
    record = Record("V2G1", "MU01", 50, 4000, 1e9, 1e9 + 1, CHANNELS, values)
    (folder / f"{NAME}.cfg").write_text(configuration(record), encoding="ascii")
    (folder / f"{NAME}.dat").write_bytes(data(record))
    summary = {"name": NAME, "stream": "MU01", "t_utc_s": 1e9, "cause": "frequency"}
    (folder / f"{NAME}.json").write_text(json.dumps(summary))
    return values


SCORES = {
    "figures": {"nadir_hz": 49.81},
    "scores": [
        {"name": "FCR activation at 15 s", "value": 0.93, "unit": "", "passed": True, "note": ""},
        {"name": "precision", "value": None, "unit": "", "passed": None, "note": "too short"},
    ],
}


def write_scores(folder) -> None:
    (folder / f"{NAME}-scores").mkdir()
    (folder / f"{NAME}-scores" / "scores.json").write_text(json.dumps(SCORES))


def test_the_page_gets_every_peak_and_the_score_where_there_is_one(tmp_path):
    folder = tmp_path / "events"
    write_event(folder)
    records = Records(tmp_path)
    [listed] = records.newest()
    assert (listed["cause"], listed["score"]) == ("frequency", None)
    write_scores(folder)
    assert records.newest()[0]["score"] == SCORES["scores"]
    event = json.loads(records.waveforms(NAME))
    voltage = event["channels"][0]
    assert len(voltage["values"]) <= POINTS
    assert max(v for v in voltage["values"] if v is not None) == 900.0
    assert event["score"] == SCORES["scores"]
    assert (event["begin"], event["trigger_s"]) == ("2001-09-09 01:46:40.000", 1.0)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 9000)),
               elements=st.floats(-1e4, 1e4, width=32))
)  # fmt: skip
def test_the_envelope_keeps_extremes_and_stays_small(values):
    span = -(-2 * values.shape[1] // POINTS)
    kept = values[:, : values.shape[1] // span * span] if span > 2 else values
    times_s, channels = envelope(values, 4000.0)
    assert len(times_s) <= max(POINTS, 2)
    for row, channel in zip(kept, channels, strict=True):
        assert len(channel) == len(times_s)
        assert max(channel) == pytest.approx(row.max(), abs=1e-4)
        assert min(channel) == pytest.approx(row.min(), abs=1e-4)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", ".hidden", "a/b", "x" * 200])
def test_a_name_that_is_no_event_opens_nothing(tmp_path, name):
    with pytest.raises(DecodeError):
        Records(tmp_path).waveforms(name)


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_rubbish_is_refused_and_raises_nothing_else(tmp_path_factory, cfg, dat):
    folder = tmp_path_factory.mktemp("state")
    (folder / "events").mkdir()
    (folder / "events" / "e.cfg").write_bytes(cfg)
    (folder / "events" / "e.dat").write_bytes(dat)
    with pytest.raises((DecodeError, ConfigurationError)):
        Records(folder).waveforms("e")


def test_the_folder_is_found_with_systemd_and_without(tmp_path):
    hmi, bus = tmp_path / "hmi", tmp_path / "processbus" / "events"
    assert event_folder(tmp_path) == tmp_path / "events"
    bus.mkdir(parents=True)
    assert event_folder(tmp_path) == event_folder(hmi) == bus
