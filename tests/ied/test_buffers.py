"""Buffers of BRCBs are what an IED allocates while it runs: bounded, shared, flat when full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.iec61850 import ObjectReference
from agent.ied.engines import create
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
