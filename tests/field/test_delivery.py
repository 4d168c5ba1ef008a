"""Was it delivered? The whole gateway, a charging station and an MMS client of others, an analyser.

`v2g-daemon` and its workers are processes; the station is PyPI `ocpp` and follows its orders, the
analyser is a Modbus/TCP server that measures what the station really delivers, which need not be
what it reports. The continuous verification looks at 4 s instead of a minute, so that a test need
not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from open61850.data import BoolData, FloatData, StructureData
from open61850.mms import MmsClient, ObjectName

from agent.cli.ctl import build_parser
from agent.cli.embedded import SiteOptions, free_port, write_configuration
from agent.cli.verify import EXIT_NOT_PASSED
from agent.config import load_settings
from agent.config.workers import plan_workers
from agent.messages import Role
from agent.vehicles.field.description import find_description, shipped_folder
from agent.vehicles.simulated.analyser import SimulatedAnalyser
from tests.field.site import served
from tests.gateway.conftest import REPOSITORY, wait_for

pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

EVSE = "PEER1/1"
PATIENCE_S = 100.0
FIELD = """
[field]
verify_limit = 0.03

[[field.device]]
name = "pq1"
role = "analyser"
type = "janitza-umg604"
host = "127.0.0.1"
port = {port}
evse = "PEER1/1"
"""
QUICK_FIELD = """
from agent.vehicles.field import verifier
verifier.LEAST_S, verifier.PERIOD_S = 4.0, 1.0
from agent.messages import Role
from agent.vehicles.field.worker import main
from agent.worker import run_worker
run_worker(Role.FIELD, main)
"""


class Analyser(threading.Thread):
    """Serves what the station really delivers: its report without the error of its meter.

    Attributes:
        reported_w: What the station reports.
        gain: Of its report against the truth.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.reported_w, self.gain, self.port = 0.0, 1.0, 0
        self._ready, self._loop, self._over = threading.Event(), None, None
        self.start()
        self._ready.wait(PATIENCE_S)

    def run(self):
        asyncio.run(self._serve())

    def stop(self):
        self._loop.call_soon_threadsafe(self._over.set)
        self.join(PATIENCE_S)

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        description = find_description("janitza-umg604", (shipped_folder(),))
        async with served(SimulatedAnalyser(description, self._values).device()) as port:
            self.port = port
            self._ready.set()
            await self._over.wait()

    def _values(self):
        p_w = self.reported_w / self.gain
        values = {"p_w": p_w, "f_hz": 50.0}
        for phase in ("l1", "l2", "l3"):
            values |= {f"p_{phase}_w": p_w / 3, f"v_{phase}_v": 230.0}
        return values


@dataclass
class Gateway:
    """The running site."""

    folder: Path
    config: Path
    analyser: Analyser
    mms_port: int
    processes: list[subprocess.Popen] = field(default_factory=list)

    def spawn(self, *command, **options):
        name = Path(command[-1] if command[0] == "-c" else command[0 if command[0] != "-m" else 1])
        log = (self.folder / f"{len(self.processes)}-{name.stem[:20]}.log").open("w")
        options.setdefault("stdout", log)
        process = subprocess.Popen(
            [sys.executable, *command], stderr=log, cwd=REPOSITORY, text=True, **options
        )
        self.processes.append(process)
        return process

    def ctl(self, *arguments):
        """Run `v2g-ctl` in this process; return (exit code, standard output)."""
        said = io.StringIO()
        parsed = build_parser().parse_args([*map(str, arguments), "--config", str(self.config)])
        with contextlib.redirect_stdout(said):
            code = parsed.run(parsed)
        return code, said.getvalue()

    def status(self):
        return json.loads(self.ctl("status", "--json")[1])

    def verify(self, name, *arguments):
        """Run `v2g-ctl verify`; return its exit code and the report, which is kept as `name`."""
        command = ("verify", "--device", "pq1", "--evse", EVSE, "--output", name, *arguments)
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli.ctl", *command, "--config", str(self.config)],
            capture_output=True, text=True, timeout=300, check=False, cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        assert done.returncode in (0, EXIT_NOT_PASSED), (done.stdout, done.stderr)
        return done.returncode, json.loads((self.folder / f"{name}.json").read_text())["report"]

    def follow(self, station):
        """Take the station's word for what it reports."""
        for line in station.stdout:
            said = json.loads(line)
            if said.get("kind") == "order":
                self.analyser.reported_w = float(said["power_w"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delivery")
    analyser = Analyser()
    options = SiteOptions(folder, ocpp_port=free_port(), mms_port=free_port())
    bus = f"virtual:{folder / 'bus.sock'}"
    config = write_configuration(options, bus)
    config.write_text(config.read_text() + FIELD.format(port=analyser.port))
    here = Gateway(folder, config, analyser, options.mms_port)
    try:
        here.spawn("-m", "agent.cli.daemon", "--config", str(config), "--external-workers")
        wait_for((folder / "run" / "control.sock").exists, PATIENCE_S)
        for spec in plan_workers(load_settings(config)):
            start = ("-c", QUICK_FIELD) if spec.role is Role.FIELD else ("-m", spec.module)
            here.spawn(*start, "--config", str(config), "--name", spec.name)
        here.spawn(
            "-m", "agent.processbus.simulated", "--interface", bus, "--dip-every", "0", "--goose"
        )
        peer = REPOSITORY / "tests" / "gateway" / "peers" / "ocpp_station.py"
        wait_for(lambda: (here.status().get("loop") or {}).get("mode") == "droop", PATIENCE_S, 0.2)
        station = here.spawn(
            str(peer), f"ws://127.0.0.1:{options.ocpp_port}", "2.1", "PEER1",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        threading.Thread(target=here.follow, args=(station,), daemon=True).start()

        def plugged():
            found = [view["status"] for view in here.status()["evses"]]
            return any(s["evse_id"] == EVSE and s["plugged"] for s in found)

        wait_for(plugged, PATIENCE_S, 0.2)
        yield here
    finally:
        for process in reversed(here.processes):
            process.send_signal(signal.SIGTERM)
        for process in here.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        analyser.stop()


LIVE = ("--duration", "24s", "--max-lag", "1s")
TEST = ("--power", "6kW", "--step", "2s", *LIVE)


def together(*calls):
    """Run several verifications at once; return what each returned."""
    with ThreadPoolExecutor() as pool:
        return [done.result() for done in [pool.submit(call) for call in calls]]


def holds(part, true):
    """Whether an estimate's interval holds the truth; it grows on a machine that lags."""
    return abs(part["value"] - true) <= part["half_width_95"] + 0.01


def test_a_discharge_test_and_live_data_prove_what_was_delivered(gateway):
    """Steps go through the control and OCPP; a second verification only listens meanwhile."""
    gateway.analyser.gain = 1.0
    found = together(lambda: gateway.verify("test", *TEST), lambda: gateway.verify("live", *LIVE))
    for name, (code, report) in zip(("test", "live"), found, strict=True):
        assert holds(report["gain"], 1.0), report
        assert abs(report["lag_s"]["value"]) < 1.5
        assert report["energy_export"]["measured_wh"] > 5.0
        assert report["phases"]["verdict"] == "pass"
        assert (code == 0) == (report["verdict"] == "pass")
        for suffix in ("json", "html"):
            checked, said = gateway.ctl("verify", "--check", gateway.folder / f"{name}.{suffix}")
            assert checked == 0
            assert "known key" in said
            assert report["verdict"] in said
    wait_for(lambda: abs(gateway.analyser.reported_w) < 100.0, PATIENCE_S)  # the order has ended


def values(item):
    """Every number and boolean in an MMS value, depth first."""
    if isinstance(item, StructureData):
        return [value for member in item.members for value in values(member)]
    return [item.value] if isinstance(item, FloatData | BoolData) else []


def test_continuous_verification_is_a_measurement_and_an_alarm_for_an_mms_client(gateway):
    """open61850's client reads `EVSE1/GGIO1.AnIn1` (%) and `Alm1` while the meter is wrong."""
    client = MmsClient.connect("127.0.0.1", gateway.mms_port, timeout=30)
    domain = next(name for name in client.get_name_list(9) if name.endswith("EVSE1"))

    def look():
        variance_pct = values(client.read(ObjectName("GGIO1$MX$AnIn1", domain)))[0]
        alarm = values(client.read(ObjectName("GGIO1$ST$Alm1", domain)))[0]
        return variance_pct, alarm

    gateway.analyser.gain = 1.10
    with ThreadPoolExecutor() as pool:
        running = pool.submit(gateway.verify, "wrong", *TEST)
        wait_for(lambda: look()[0] > 3.0 and look()[1] is True, PATIENCE_S, 0.2)
        status = gateway.status()
        code, report = running.result()
    client.close()
    (found,) = [each for each in status["verifications"] if each["evse_id"] == EVSE]
    assert found["device"] == "pq1"
    assert found["variance"] > 0.03
    raised = [alarm["text"] for alarm in status["alarms"] if alarm["source"] == EVSE]
    assert any("reports" in text and "off pq1" in text for text in raised)
    assert code == EXIT_NOT_PASSED
    assert holds(report["gain"], 1.10), report
    assert report["verdict"] != "pass"
