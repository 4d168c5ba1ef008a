"""Buffers of BRCBs are what an IED allocates while it runs: bounded, shared, flat when full."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.iec61850 import ObjectReference
from agent.ied.engines import create
from agent.ied.engines.open61850.entries import Entry
from agent.ied.port import EngineOptions
from agent.scl import expand, read_scl

ROOT = Path(__file__).parents[2]
STATION = ROOT / "scl" / "sample-station.scd"
TOTALS = [ObjectReference.parse(f"V2G1EVSE{n}/MMXU1.TotW.mag.f[MX]") for n in (1, 2, 3, 4)]
ENTRIES = 1_000
"""What the package keeps of one block."""
GROWTH = 0.01

FILL = """
import sys
from pathlib import Path
from tests.ied.test_buffers import filled, update

def resident_kb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

engine = filled(sys.argv[1])
before = resident_kb()
for number in range(4_000):
    update(engine, -number)
print(before, resident_kb(), flush=True)
"""


class _Anyone:
    """A decider that permits everything."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments: None


def filled(engine_name: str) -> Any:
    """An engine whose measurement blocks are all full."""
    model = expand(read_scl(STATION, ieds=("V2G1",)), "V2G1")
    engine = create(engine_name, model, EngineOptions(report_buffer_bytes=16 << 10))
    engine.start(_Anyone())  # type: ignore[arg-type]
    for number in range(1, 2 * ENTRIES + 1):
        update(engine, number)
    return engine


def update(engine: Any, value: float) -> None:
    engine.update([(total, float(value)) for total in TOTALS])


@pytest.mark.parametrize("engine_name", ["open61850", "libiec61850"])
def test_memory_is_flat_once_the_buffers_are_full(engine_name: str) -> None:
    if engine_name == "libiec61850":
        pytest.importorskip("pyiec61850", reason="the libiec61850 extra is not installed")
    done = subprocess.run(
        [sys.executable, "-c", FILL, engine_name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    before_kb, after_kb = (int(text) for text in done.stdout.split()[-2:])
    assert after_kb - before_kb < GROWTH * before_kb


@given(
    number=st.integers(0, 2**64 - 1),
    indexes=st.lists(st.integers(0, 65535), max_size=40),
    values=st.binary(max_size=300),
    reasons=st.binary(max_size=200),
)
def test_an_entry_gives_back_what_it_was_made_of(
    number: int, indexes: list[int], values: bytes, reasons: bytes
) -> None:
    before = datetime.now(UTC)
    entry = Entry.now(number, indexes, values, reasons)
    assert (entry.entry_id, entry.indexes) == (number, tuple(indexes))
    assert (entry.values, entry.reasons) == (values, reasons)
    assert entry.size == len(values) + len(reasons)
    assert abs(entry.time - before) < timedelta(seconds=60)


def test_the_octets_of_an_entry() -> None:
    entry = Entry.now(0x0102030405060708, (2, 258), b"value", b"why")
    assert entry[:8] == bytes(range(1, 9))
    assert entry[16:] == bytes.fromhex("0002 0003 0002 0102") + b"whyvalue"


def test_blocks_of_one_report_control_share_their_entries() -> None:
    model = expand(read_scl(STATION, ieds=("V2G1",)), "V2G1")
    engine: Any = create("open61850", model, EngineOptions())
    engine.start(_Anyone())
    try:
        for number in range(1, ENTRIES + 200):
            engine.update([(TOTALS[0], float(number))])
        blocks = [
            engine._reports.controls["V2G1EVSE1", f"LLN0$BR$brcbMeasurements0{n}"]
            for n in (1, 2, 3, 4, 5)
        ]
        kept = [list(block.buffer) for block in blocks]
        assert all(len(entries) == ENTRIES for entries in kept)
        assert len({id(entry) for entries in kept for entry in entries}) == ENTRIES
        numbers = [entry.entry_id for entry in kept[0]]
        assert numbers == sorted(set(numbers))
    finally:
        engine.stop()


def test_a_block_whose_client_wants_other_reasons_has_entries_of_its_own(
    server: Any, station_file: Path, tmp_path: Path, until: Any
) -> None:
    from open61850.data import BitStringData

    with server("open61850", station_file, tmp_path) as live, live.client() as client:
        client.write("V2G1LD0/LLN0$BR$brcbMeasurements02$TrgOps", BitStringData(bytes((0x20,)), 2))
        blocks = [
            live.service._engine._reports.controls["V2G1LD0", f"LLN0$BR$brcbMeasurements0{n}"]
            for n in (1, 2)
        ]
        before = len(blocks[0].buffer)
        live.show(f_hz=49.9)
        until(lambda: len(blocks[0].buffer) > before)
        assert len(blocks[1].buffer) == 0
