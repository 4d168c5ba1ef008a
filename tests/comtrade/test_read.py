"""What the recorder writes is read back, and what relays write is read at all."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.comtrade import AnalogChannel, Record, configuration, data, read_comtrade
from agent.errors import ConfigurationError

CFG_1999 = (
    "Sub 7,relay,1999\r\n3,2A,1D\r\n"
    "1,IA,A,,A,0.5,1.0,0,-32767,32767,1,1,P\r\n2,f,,,Hz,0.001,50,0,-9999,9999,1,1,P\r\n"
    "1,TRIP,,,0\r\n50\r\n1\r\n1000,3\r\n"
    "02/01/2024,03:04:05.250000\r\n02/01/2024,03:04:05.251000\r\n"
)


def record(values: np.ndarray, rate_hz: int = 50) -> Record:
    return Record(
        station="Feeder, 3",
        device="MU01",
        nominal_hz=50,
        rate_hz=rate_hz,
        begin_utc_s=1_700_000_000.25,
        trigger_utc_s=1_700_000_000.75,
        channels=tuple(AnalogChannel(f"c{n}", "", "W") for n in range(len(values))),
        values=values.astype(np.float32),
    )


def written(folder, made: Record):
    (folder / "event.cfg").write_text(configuration(made), newline="")
    (folder / "event.dat").write_bytes(data(made))
    return folder / "event.cfg"


def test_a_written_record_is_read_back(tmp_path):
    made = record(np.array([[1.5, -2.25, np.nan], [50.0, 49.8, 49.9]]))
    got = read_comtrade(written(tmp_path, made))
    np.testing.assert_array_equal(got.values, made.values)
    assert (got.rate_hz, got.nominal_hz, got.device) == (50, 50, "MU01")
    assert got.begin_utc_s == pytest.approx(made.begin_utc_s, abs=1e-6)
    assert got.trigger_utc_s == pytest.approx(made.trigger_utc_s, abs=1e-6)
    assert got.channels == made.channels


def test_the_dat_file_may_be_named_instead(tmp_path):
    written(tmp_path, record(np.ones((1, 4))))
    assert read_comtrade(tmp_path / "event.dat").values.shape == (1, 4)


def test_binary_of_1999_with_digital_channels_and_scaling(tmp_path):
    (tmp_path / "r.cfg").write_text(CFG_1999 + "BINARY\r\n1\r\n")
    rows = [(1, 0, 10, -5, 1), (2, 1000, -32768, 0, 0), (3, 2000, 4, 100, 1)]
    (tmp_path / "r.dat").write_bytes(b"".join(struct.pack("<IIhhH", *row) for row in rows))
    got = read_comtrade(tmp_path / "r.cfg")
    np.testing.assert_allclose(got.values, [[6.0, np.nan, 3.0], [49.995, 50.0, 50.1]], rtol=1e-6)
    assert got.begin_utc_s == 1704164645.25


def test_ascii_with_the_missing_value(tmp_path):
    (tmp_path / "r.cfg").write_text(CFG_1999 + "ASCII\r\n1\r\n")
    (tmp_path / "r.dat").write_text("1,0,10,-5,1\r\n2,1000,99999,,0\r\n")
    got = read_comtrade(tmp_path / "r.cfg")
    np.testing.assert_allclose(got.values, [[6.0, np.nan], [49.995, np.nan]], rtol=1e-6)


def test_local_time_of_2013_becomes_utc(tmp_path):
    (tmp_path / "r.cfg").write_text(CFG_1999 + "ASCII\r\n1\r\n-5h30,-5h30\r\nB,3\r\n")
    (tmp_path / "r.dat").write_text("1,0,10,-5,1\r\n")
    got = read_comtrade(tmp_path / "r.cfg")
    assert got.begin_utc_s == 1704164645.25 + 5.5 * 3600
    assert got.time_quality == 11


@pytest.mark.parametrize(
    ("cfg", "line"),
    [("", 1), ("a,b,1999\n2,xA,0D\n", 2), (CFG_1999 + "FLOAT99\r\n", 11), ("a,b\n1,1A\n1,f\n", 3)],
)
def test_a_broken_configuration_names_file_and_line(tmp_path, cfg, line):
    (tmp_path / "r.cfg").write_text(cfg)
    (tmp_path / "r.dat").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=rf"r\.cfg:{line}: "):
        read_comtrade(tmp_path / "r.cfg")


def test_a_missing_data_file_is_named(tmp_path):
    (tmp_path / "r.cfg").write_text(CFG_1999 + "ASCII\r\n1\r\n")
    with pytest.raises(ConfigurationError, match=r"r\.dat"):
        read_comtrade(tmp_path / "r.cfg")


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_any_bytes_are_a_record_or_a_configuration_error(tmp_path_factory, cfg, dat):
    folder = tmp_path_factory.mktemp("any")
    (folder / "r.cfg").write_bytes(cfg)
    (folder / "r.dat").write_bytes(dat)
    with pytest.raises(ConfigurationError):
        read_comtrade(folder / "r.cfg")


@pytest.mark.soak
@given(st.integers(0, len(CFG_1999) - 1), st.characters(codec="latin-1"), st.binary(max_size=60))
def test_one_changed_letter_never_crashes_the_reader(tmp_path_factory, at, letter, dat):
    folder = tmp_path_factory.mktemp("changed")
    cfg = CFG_1999[:at] + letter + CFG_1999[at + 1 :] + "BINARY\r\n1\r\n"
    (folder / "r.cfg").write_text(cfg, encoding="utf-8")
    (folder / "r.dat").write_bytes(dat)
    try:
        read_comtrade(folder / "r.cfg")
    except ConfigurationError:
        pass
