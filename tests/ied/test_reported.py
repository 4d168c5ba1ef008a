"""A frequency that another IED reports becomes a source of the vote."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from open61850.data import BitStringData, FloatData, StructureData, TimestampData
from open61850.mms.types import PrimitiveType, StructureType

from agent.config.reported import ReportedFrequency
from agent.config.sections import read_section
from agent.control import Inputs, Now, initial_state, parameters_from, step
from agent.ied.reported import Place, ReportedSource, ReportReader, place_of
from agent.messages import Measurement, Validity

BLOCK = "V2G1LD0/LLN0$RP$urcbMeasurements01"
MEMBER = "V2G1LD0/MMXU1$MX$Hz"
MV = StructureType(
    [
        ("mag", StructureType([("f", PrimitiveType("float", 32))])),
        ("q", PrimitiveType("bit-string", 13)),
        ("t", PrimitiveType("utc-time")),
    ]
)
GOOD = BitStringData(b"\0\0", 3)


def settings(**changes: Any) -> ReportedFrequency:
    table = {"name": "PMU", "host": "127.0.0.1", "block": BLOCK, "member": MEMBER, **changes}
    section, findings = read_section(ReportedFrequency, table, "ied.source")
    assert section is not None, findings
    return section


@pytest.fixture
def heard() -> list[Measurement]:
    return []


def test_an_independent_ieds_report_is_a_measurement(
    live: Any, until: Any, heard: list[Measurement]
) -> None:
    """Both engines play the other IED: its reports follow its values."""
    source = ReportedSource(settings(port=live.port), 230.0, None, _into(heard))
    source.start()
    try:
        until(lambda: heard)
        live.show(f_hz=49.87)
        until(lambda: abs(heard[-1].f_hz - 49.87) < 1e-4)
        last = heard[-1]
        assert (last.source, last.quality, last.v1_v) == ("PMU", Validity.GOOD, 230.0)
        assert abs(last.t_utc_s - time.time()) < 5
        before = len(heard)
        until(lambda: len(heard) > before + 3)  # integrity: it never grows old
    finally:
        source.stop()
    with live.client() as client:
        assert not client.read(f"{BLOCK}$RptEna").value


def test_it_comes_back_when_the_other_ied_does(
    server: Any, station_file: Path, tmp_path: Path, until: Any, heard: list[Measurement]
) -> None:
    with server("open61850", station_file, tmp_path / "a") as first:
        port = first.port
        source = ReportedSource(settings(port=port), 230.0, None, _into(heard))
        source.start()
        until(lambda: heard)
    heard.clear()
    try:
        with server("open61850", station_file, tmp_path / "b", front_port=port):
            until(lambda: heard, 30.0)
    finally:
        source.stop()


def test_a_member_that_is_not_there_costs_only_this_source(live: Any, heard: Any) -> None:
    gone = settings(port=live.port, member="V2G1LD0/MMXU1$MX$Gone")
    source = ReportedSource(gone, 230.0, None, _into(heard))
    source.start()
    time.sleep(0.5)
    source.stop()
    assert heard == []


def test_two_of_three_with_a_report_outvote_a_forged_stream() -> None:
    parameters = parameters_from(nominal_hz=50)
    state = initial_state(parameters)
    for tick in range(100):
        now_s = 100 + 0.02 * tick
        news = tuple(
            Measurement(name, 1e9 + now_s, f_hz, 0.0, 230.0, Validity.GOOD, now_s, now_s)
            for name, f_hz in (("MU01", 49.0), ("BAY1", 50.0), ("PMU", 50.0))
        )
        state, _ = step(state, Inputs(measurements=news), Now(now_s, 1e9 + now_s))
    assert state.frequency.f_hz == 50.0


@pytest.mark.parametrize(
    ("quality", "clock", "validity"),
    [
        (0x0000, 0, Validity.GOOD),
        (0xC000, 0, Validity.QUESTIONABLE),
        (0x4000, 0, Validity.INVALID),
        (0x0010, 0, Validity.INVALID),  # test
        (0x0000, 0x20, Validity.QUESTIONABLE),  # ClockNotSynchronized
    ],
)
def test_quality_and_clock_of_the_reporter_are_those_of_the_measurement(
    quality: int, clock: int, validity: Validity
) -> None:
    data = StructureData(
        [
            StructureData([FloatData(50.1)]),
            BitStringData(quality.to_bytes(2, "big"), 3),
            TimestampData(datetime(2026, 1, 1, tzinfo=UTC), clock),
        ]
    )
    reader = ReportReader("PMU", 0, Place((0, 0), 1, 2), 230.0)
    measurement = reader._measurement(data, 7.0)
    assert measurement is not None
    assert measurement.quality is validity
    assert (measurement.wire_s, measurement.published_s) == (7.0, 7.0)


@pytest.mark.parametrize(
    "data",
    [
        FloatData(50.0),
        StructureData([]),
        StructureData([StructureData([FloatData(float("nan"))]), GOOD, GOOD]),
        StructureData([StructureData([FloatData(50.0)]), GOOD, GOOD]),
    ],
)
def test_what_is_no_mv_is_no_measurement(data: Any) -> None:
    reader = ReportReader("PMU", 0, Place((0, 0), 1, 2), 230.0)
    assert reader._measurement(data, 7.0) is None


def test_the_place_of_the_number_comes_from_the_servers_type() -> None:
    assert place_of(MV) == Place((0, 0), 1, 2)
    assert place_of(PrimitiveType("float", 32)) is None
    assert place_of(StructureType([("stVal", PrimitiveType("boolean"))])) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("block", "nonsense"), ("member", "LD/LN"), ("integrity_ms", 5), ("integrity_ms", 500)],
)
def test_what_cannot_be_meant_is_refused(key: str, value: object) -> None:
    table = {"name": "P", "host": "h", "block": BLOCK, "member": MEMBER, key: value}
    section, findings = read_section(ReportedFrequency, table, "ied.source")
    assert section is None
    assert key in findings[0].where


def _into(heard: list[Measurement]) -> Any:
    def send(message: Any) -> bool:
        heard.append(message)
        return True

    return send
