"""The IED: reads with idle neighbours, telemetry at 100 Hz, the cost of an update."""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from open61850.data import BitStringData, BoolData, UIntData
from open61850.mms import MmsClient, MmsError
from open61850.mms.report import is_report

from agent.iec61850 import ObjectReference
from agent.ied.engines import create
from agent.ied.port import Decider, EngineOptions
from agent.scl import expand, read_scl

ROOT = Path(__file__).parents[2]
STATION = ROOT / "scl" / "sample-station.scd"
VALUE = "V2G1LD0/MMXU1$MX$Hz$mag$f"
BLOCK = "V2G1LD0/LLN0$RP$urcbMeasurements01"
IDLE = 50
READS = 600
TELEMETRY_S = 10.0


def run() -> dict[str, float]:
    """Measure the IED worker as its clients see it.

    Returns:
        ``ied.read_p50_us`` and ``ied.read_p50_idle_us``: median of single reads of one client,
        alone and beside 50 idle associations; ``ied.idle_ratio``: their quotient, taken in turns
        so that the machine's mood meets both. ``ied.telemetry_percent``: reports received of
        those due at a 10 ms integrity period. ``ied.update_us``: CPU time of one value change
        that five buffered blocks keep, with each engine.
    """
    figures = {f"ied.update_us_{name}": _update_us(name) for name in ("open61850", "libiec61850")}
    with _worker() as port:
        figures |= _reads(port)
        figures["ied.telemetry_percent"] = _telemetry(port)
    return figures


def _reads(port: int) -> dict[str, float]:
    alone: list[float] = []
    beside: list[float] = []
    reader = MmsClient.connect("127.0.0.1", port)
    for _ in range(4):
        alone += _time_reads(reader)
        idle = [MmsClient.connect("127.0.0.1", port) for _ in range(IDLE)]
        beside += _time_reads(reader)
        for client in idle:
            client.close()
    reader.close()
    first, second = statistics.median(alone), statistics.median(beside)
    return {
        "ied.read_p50_us": first,
        "ied.read_p50_idle_us": second,
        "ied.read_p99_idle_us": statistics.quantiles(beside, n=100)[98],
        "ied.idle_ratio": second / first,
    }


def _time_reads(client: MmsClient) -> list[float]:
    times: list[float] = []
    for _ in range(READS):
        start_s = time.perf_counter()
        client.read(VALUE)
        times.append((time.perf_counter() - start_s) * 1e6)
    return times


def _telemetry(port: int) -> float:
    with MmsClient.connect("127.0.0.1", port) as client:
        count = 0

        def heard(message: object) -> None:
            nonlocal count
            count += is_report(message)  # type: ignore[arg-type]

        client.add_report_listener(heard)
        client.write(f"{BLOCK}$TrgOps", BitStringData(bytes((0x08,)), 2))
        client.write(f"{BLOCK}$IntgPd", UIntData(10))
        client.write(f"{BLOCK}$RptEna", BoolData(True))
        time.sleep(TELEMETRY_S)
        received = count
        client.write(f"{BLOCK}$RptEna", BoolData(False))
    return 100.0 * received / (TELEMETRY_S / 0.010)


def _update_us(name: str) -> float:
    class Anyone:
        def __getattr__(self, _name: str) -> object:
            return lambda *_args: None

    model = expand(read_scl(STATION, ieds=("V2G1",)), "V2G1")
    engine = create(name, model, EngineOptions())
    decider: Decider = Anyone()  # type: ignore[assignment]
    engine.start(decider)
    reference = ObjectReference.parse("V2G1EVSE1/MMXU1.TotW.mag.f[MX]")
    for number in range(100):
        engine.update([(reference, float(number))])
    start_s = time.process_time()
    for number in range(500):
        engine.update([(reference, float(-number))])
    spent_s = time.process_time() - start_s
    engine.stop()
    return spent_s / 500 * 1e6


@contextlib.contextmanager
def _worker() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
        config = folder / "agent.toml"
        config.write_text(
            f'[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
            f'power_profile = "power-profile.conf"\n[scl]\nfile = "{STATION}"\n'
            f'[ied]\nhost = "127.0.0.1"\nport = {port}\n'
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.ied.worker", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait(port: int) -> None:
    end_s = time.monotonic() + 30
    while True:
        try:
            MmsClient.connect("127.0.0.1", port).close()
            return
        except MmsError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.1)
