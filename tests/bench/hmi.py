"""The page for many viewers: CPU of the worker, frames received, and how old their values are.

The worker runs as a process; the control is played with 200 EVSEs at 50 snapshots a second, and
20 viewers read the stream over real HTTP connections.

- `hmi.cpu_idle_percent`, `hmi.cpu_percent`: of one core, without viewers and with 20.
- `hmi.frames_per_viewer_s`: frames received by each viewer a second; 10 are sent.
- `hmi.age_p50_ms`, `hmi.age_p99_ms`: from making the snapshot to its frame at the viewer.
- `hmi.kilobytes_per_viewer_s`: traffic.
- `hmi.stalled_growth_mb`: memory that 20 more viewers cost which never read.
- `hmi.history_rows_per_s`: rows that the telemetry store writes with nothing else to do.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from agent.cli.embedded import free_port
from agent.hmi.history import Batch, Bounds, EvseRow, HistoryStore, MeasurementRow
from agent.messages import Validity
from tests.hmi.conftest import Control, Gateway, evse_view, measurement, snapshot, write_config

VIEWERS = int(os.environ.get("BENCH_VIEWERS", "20"))
EVSES = 200
SECONDS = 8.0
ROWS = 100_000


class Viewer(threading.Thread):
    """Reads the stream and notes when each frame came."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("localhost", port, timeout=30)
        self.ages_s: list[float] = []
        self.octets = 0
        self.end = False

    def run(self) -> None:
        self._connection.request("GET", "/api/live")
        answer = self._connection.getresponse()
        name = b""
        while not self.end and (line := answer.readline()):
            self.octets += len(line)
            if line.startswith(b"event: "):
                name = line[7:].strip()
            elif name == b"live" and line.startswith(b"data: "):
                frame = json.loads(line[6:])
                if frame.get("f"):
                    self.ages_s.append(time.time() - frame["f"]["t"])
        self._connection.close()


@contextlib.contextmanager
def running() -> Iterator[Gateway]:
    """A worker that hears 200 EVSEs, a twentieth of them changed in each snapshot."""
    views = tuple(evse_view(f"CS{i:03d}/1") for i in range(EVSES))
    ticks = iter(range(1 << 60))

    def make() -> object:
        tick = next(ticks)
        whole = tick % 50 == 0
        some = tuple(evse_view(v.evse_id, p_w=float(tick)) for v in views[tick % 20 :: 20])
        report = measurement(50.0 + tick % 100 / 1e4, t_utc_s=time.time())
        return snapshot(measurement=report, evses=views if whole else some, complete=whole)

    with tempfile.TemporaryDirectory(prefix="v2g-bench-") as name:
        folder, port = Path(name), free_port()
        write_config(folder, port)
        control = Control(folder / "run" / "control.sock", make)
        control.start()
        gateway = Gateway(folder, port, control)
        gateway.start()
        end_s = time.monotonic() + 60
        while not control.counters.get("page_up") and time.monotonic() < end_s:
            time.sleep(0.1)
        try:
            yield gateway
        finally:
            gateway.stop()


def run() -> dict[str, float]:
    """Return the figures of the module's docstring."""
    with running() as gateway:
        process = psutil.Process(gateway.process.pid)
        idle = _cpu(process, SECONDS / 2)
        viewers = [Viewer(gateway.port) for _ in range(VIEWERS)]
        for viewer in viewers:
            viewer.start()
        time.sleep(2.0)
        for viewer in viewers:
            viewer.ages_s.clear()
            viewer.octets = 0
        began_s = time.monotonic()
        busy = _cpu(process, SECONDS)
        took_s = time.monotonic() - began_s
        ages_s = np.concatenate([viewer.ages_s for viewer in viewers])
        octets = sum(viewer.octets for viewer in viewers)
        before = process.memory_info().rss
        stalled = [_stall(gateway.port) for _ in range(VIEWERS)]
        time.sleep(SECONDS / 2)
        growth = process.memory_info().rss - before
        for viewer in viewers:
            viewer.end = True
        for connection in stalled:
            connection.close()
    return {
        "hmi.viewers": float(VIEWERS),
        "hmi.cpu_idle_percent": idle,
        "hmi.cpu_percent": busy,
        "hmi.frames_per_viewer_s": len(ages_s) / VIEWERS / took_s,
        "hmi.age_p50_ms": float(np.percentile(ages_s, 50) * 1000),
        "hmi.age_p99_ms": float(np.percentile(ages_s, 99) * 1000),
        "hmi.kilobytes_per_viewer_s": octets / VIEWERS / took_s / 1000,
        "hmi.stalled_growth_mb": growth / 1e6,
        "hmi.history_rows_per_s": _history(),
    }


def _cpu(process: psutil.Process, seconds: float) -> float:
    """CPU time of the process in percent of one core."""
    before, began_s = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began_s)


def _stall(port: int) -> socket.socket:
    connection = socket.create_connection(("localhost", port))
    connection.sendall(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def _history() -> float:
    with tempfile.TemporaryDirectory(prefix="v2g-bench-") as name:
        store = HistoryStore(Path(name), Bounds(1e9, 1e9))
        began_s = time.monotonic()
        for part in range(10):
            start_s = 1.75e9 + part * 1e4
            instants_s = [start_s + i / 10 for i in range(ROWS // 20)]
            rows = [
                MeasurementRow(t_s, 50.01, 0.001, 230.1, Validity.GOOD, 1.5, 2.5, 3.5)
                for t_s in instants_s
            ]
            evses = [
                EvseRow(start_s + i, f"CS{j:03d}/1", 1.5, 2.5, 60.5, True)
                for i in range(ROWS // 20 // EVSES)
                for j in range(EVSES)
            ]
            store.put(Batch(rows, evses))
        store.close(60.0)
        return store.written / (time.monotonic() - began_s)
