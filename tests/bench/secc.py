"""SECC: start, memory, and the charge loop's round trip, over TLS and a virtual cable."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from agent.link import Hub
from agent.messages import EvseStatus
from agent.vehicles.pki import make_demo_pki
from agent.vehicles.simulated.veth import cable
from tests.exi.samples import schema_folder

ROOT = Path(__file__).resolve().parents[2]
CYCLES = 400


def run() -> dict[str, float]:
    """Measure one SECC worker with one ISO 15118-20 DC BPT vehicle, both as processes of their own.

    `start_s`: process start to its first status, schemas from the cache. `rss_mb`: resident memory
    at the end of the session. `round_trip_ms`: median from a charge loop request that left the
    vehicle to its answer, mutual TLS 1.3, our codec on both ends; `round_trip_one_core_ms`: both
    on one core, where neither waits for a virtual core to wake up. `cpu_per_loop_ms`: processor
    time of the worker over the whole session, a charge loop message, which says what the machine's
    other load hides. Needs root (veth) and the iso15118 package; empty without.
    """
    if os.geteuid() != 0 or schema_folder() is None:
        return {}
    figures = _session()
    with _one_core():
        figures["secc.round_trip_one_core_ms"] = _session()["secc.round_trip_ms"]
    return figures


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Children start on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _session() -> dict[str, float]:
    ours, theirs = f"bs{os.getpid()}", f"be{os.getpid()}"
    with tempfile.TemporaryDirectory() as name, cable(ours, theirs):
        folder = Path(name)
        make_demo_pki(folder / "pki")
        settings = _write_settings(folder, ours)
        hub = Hub(folder / "run" / "control.sock")
        try:
            with _worker(settings, ours):
                _first_status_s(hub)  # fills the schema cache
            with _worker(settings, ours) as worker:
                started_s = _first_status_s(hub)
                process = psutil.Process(worker.pid)
                before_s = sum(process.cpu_times()[:2])
                round_trip_ms = _drive(folder / "pki", theirs)
                cpu_s = sum(process.cpu_times()[:2]) - before_s
                memory = process.memory_info().rss
        finally:
            hub.close()
    return {
        "secc.start_s": started_s,
        "secc.rss_mb": memory / 2**20,
        "secc.round_trip_ms": round_trip_ms,
        "secc.cpu_per_loop_ms": cpu_s / CYCLES * 1e3,
    }


@contextlib.contextmanager
def _worker(settings: Path, interface: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "agent.vehicles.secc.worker", "--config", str(settings)]
    environment = os.environ | {"V2G_LOG_LEVEL": "ERROR"}
    process = subprocess.Popen([*command, "--name", f"secc@{interface}"], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _first_status_s(hub: Hub) -> float:
    started = time.monotonic()
    while time.monotonic() < started + 30:
        if any(isinstance(message, EvseStatus) for _, message in hub.poll(0.01).received):
            return time.monotonic() - started
    raise TimeoutError("the worker did not start")


def _drive(pki: Path, interface: str) -> float:
    row = {"interface": interface, "pki": str(pki), "period_s": 0.0, "cycles": CYCLES}
    command = [sys.executable, "-m", "tests.secc.ev_process", "own", json.dumps([row])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60)
    return float(json.loads(done.stdout)["round_trip_ms"])


def _write_settings(folder: Path, interface: str) -> Path:
    (folder / "power-profile.conf").write_text("")
    path = folder / "agent.toml"
    path.write_text(
        '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        'power_profile = "power-profile.conf"\n'
        f'[secc]\npki = "pki"\n[[secc.evse]]\ninterface = "{interface}"\n'
    )
    return path
