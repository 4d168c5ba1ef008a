"""kill -9 in the middle of writes: no acknowledged record is lost, and the log verifies."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.audit import read_records, verify

SEED = 20260101
WRITER = """
import sys
from pathlib import Path
from agent.audit import AuditLog
log = AuditLog(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), rotate_bytes=6000)
number = 0
while True:
    number += 1
    log.append("alarm", "process bus", f"record {number}", durable=False)
    print(log.append("command", "scada", f"order {number}", pad="x" * (number % 700)), flush=True)
"""


def kill_in_mid_write(path: Path, key: bytes, after_s: float) -> list[int]:
    """Run a writer, kill it, and return the numbers that it had acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path, key.hex()], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline())]
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
    return acknowledged + [int(line) for line in rest[:-1]]


def campaign(path: Path, key: bytes, kills: int) -> int:
    """Kill `kills` times; return how many records were acknowledged, all of them found again."""
    generator = random.Random(SEED)
    acknowledged: list[int] = []
    for _ in range(kills):
        acknowledged += kill_in_mid_write(path, key, generator.uniform(0.0, 0.03))
    assert verify(path, key).findings == []
    kept = {record.seq: record for record in read_records(path) if record.kind == "command"}
    assert set(acknowledged) <= set(kept)
    assert len(acknowledged) == len(set(acknowledged))
    return len(acknowledged)


def test_fifty_kills_lose_no_acknowledged_record(path, key):
    assert campaign(path, key, kills=50) >= 50


@pytest.mark.soak
def test_a_thousand_kills_lose_no_acknowledged_record(path, key, record_property):
    acknowledged = campaign(path, key, kills=1000)
    record_property("kills", 1000)
    record_property("acknowledged records, all found", acknowledged)
    assert acknowledged >= 1000
