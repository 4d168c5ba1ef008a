"""The IED in a whole running site, seen by clients that know nothing of it; on both engines."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from open61850.data import BoolData, UIntData
from open61850.mms import MmsClient, MmsError, operate
from open61850.mms.report import OptFlds, TrgOps, decode_report, is_report

from agent.cli.embedded import Site, SiteOptions, free_port, write_configuration
from agent.cli.gateway import GatewayClient
from agent.errors import AgentError
from agent.iec61850 import DetailQuality, Quality
from agent.messages import Snapshot, WorkerHealth
from tests.ied.conftest import wait_for

BLOCK = "V2G1LD0/LLN0$RP$urcbMeasurements01"
SIM = "V2G1LD0/LPHD1$ST$Sim$stVal"
HZ = "V2G1LD0/MMXU1$MX$Hz$mag$f"
LOST = Quality.invalid(DetailQuality.OLD_DATA)
DUE_HZ = 100
SLOW_S = 120.0
"""A busy machine starts processes slowly."""


@dataclass
class Running:
    """A site and how to look at it."""

    site: Site
    gateway: GatewayClient

    def connect(self) -> MmsClient:
        return MmsClient.connect("127.0.0.1", self.site.options.mms_port, timeout=10.0)

    def connected(self) -> MmsClient | None:
        with contextlib.suppress(MmsError):
            return self.connect()
        return None

    def snapshot(self) -> Snapshot:
        for _ in range(9):
            with contextlib.suppress(AgentError):
                return self.gateway.snapshot()
        return self.gateway.snapshot()

    def worker(self) -> WorkerHealth:
        return next(w for w in self.snapshot().workers if w.name == "ied")

    @contextlib.contextmanager
    def simulated_unit(self) -> Iterator[None]:
        """A test set that publishes MU01 at 49.70 Hz with the simulation bit."""
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.processbus.simulated", "--simulated",
             "--interface", self.site.sending_end, "--dip-every", "0",
             "--dip-hz", "49.70", "--dip-length", "3600"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(b"dip\n")
        process.stdin.flush()
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)
            process.stdin.close()


@pytest.fixture(scope="module", params=["open61850", "libiec61850"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    if request.param == "libiec61850":
        pytest.importorskip("pyiec61850", reason="the libiec61850 extra is not installed")
    folder = tmp_path_factory.mktemp("site")
    bus = f"virtual:{folder}/bus"
    options = SiteOptions(folder, stations=1, ocpp_port=free_port(), mms_port=free_port())
    config = write_configuration(options, bus)
    engine = f'[ied]\nengine = "{request.param}"\n'
    config.write_text(config.read_text().replace("[ied]\n", engine))
    with (folder / "site.log").open("wb") as log:
        site = Site(options, config, bus, log)
        site.start()
        try:
            arguments = argparse.Namespace(socket=site.socket, config=config)
            gateway = wait_for(lambda: _gateway(arguments), SLOW_S)
            running = Running(site, gateway)
            wait_for(lambda: _follows(running), SLOW_S)
            yield running
            gateway.close()
        finally:
            site.stop()


def _gateway(arguments: argparse.Namespace) -> GatewayClient | None:
    with contextlib.suppress(AgentError):
        return GatewayClient(arguments)
    return None


def _follows(running: Running) -> bool:
    """The IED answers with the frequency of the merging unit."""
    client = running.connected()
    if client is None:
        return False
    with client:
        return abs(value(client, HZ) - 50.0) < 0.005


def value(client: MmsClient, name: str) -> Any:
    return client.read(name).value  # type: ignore[union-attr]


def test_simulated_values_count_while_lphd_sim_says_so(running: Running) -> None:
    """A SCADA switches LPHD.Sim; values, SimSt, alarm and audit follow, and back again."""
    with running.connect() as client, running.simulated_unit():
        supervised = lambda: value(client, "V2G1LD0/LSVS1$ST$SimSt$stVal")  # noqa: E731
        assert (value(client, SIM), supervised()) == (False, False)
        operate(client, "V2G1LD0/LPHD1.Sim", True)
        wait_for(lambda: value(client, SIM) is True, SLOW_S)
        wait_for(lambda: abs(value(client, HZ) - 49.70) < 0.005, SLOW_S)
        wait_for(supervised, SLOW_S)
        assert any(alarm.code == 0x17 for alarm in running.snapshot().alarms)
        operate(client, "V2G1LD0/LPHD1.Sim", False)
        wait_for(lambda: value(client, SIM) is False, SLOW_S)
        wait_for(lambda: abs(value(client, HZ) - 50.0) < 0.005, SLOW_S)
        wait_for(lambda: not supervised(), SLOW_S)
    audit = (running.site.options.folder / "log" / "stability-audit.log").read_text()
    assert "simulated streams accepted" in audit
    assert "simulated streams refused" in audit


def v2g_client(running: Running, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and last line of `v2g-client mms`."""
    port = str(running.site.options.mms_port)
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.client", "mms", "127.0.0.1", "--port", port,
         "--timeout", "60", "--json", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    lines = (done.stdout + done.stderr).splitlines()
    return done.returncode, json.loads(next(line for line in reversed(lines) if line[:1] == "{"))


@contextlib.contextmanager
def deaf(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """The stations hear nothing and do nothing; their connections stay."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_command_terminates_well_only_when_the_vehicle_has_followed(running: Running) -> None:
    """`v2g-client` orders; another client reads the power when the termination is there."""
    stations = running.site.stations
    assert stations is not None
    wait_for(lambda: _quality(running) == Quality(), SLOW_S)
    with running.connect() as client:
        code, said = v2g_client(running, "operate", "V2G1EVSE1/DWGC1.WSpt", "3000")
        assert code == 0, said
        assert abs(value(client, "V2G1EVSE1/MMXU1$MX$TotW$mag$f") - 3000.0) <= 200.0
        with deaf(stations):
            code, said = v2g_client(running, "operate", "V2G1EVSE1/DWGC1.WSpt", "-4000")
            assert code == 1, said
            assert value(client, "V2G1EVSE1/MMXU1$MX$TotW$mag$f") > 0.0


def test_a_lost_evse_is_invalid_and_old(running: Running) -> None:
    lost_s, back = lose_station(running)
    assert lost_s > 0.0
    assert back == Quality()


def lose_station(running: Running) -> tuple[float, Quality]:
    """End the stations' process: seconds until q says so, and q when they are back."""
    site = running.site
    assert site.stations is not None
    wait_for(lambda: _quality(running) == Quality(), SLOW_S)
    with running.connect() as client:
        site.stations.kill()
        killed_s = time.monotonic()
        wait_for(lambda: _quality(running, client) == LOST, SLOW_S)
        lost_s = time.monotonic() - killed_s
        assert Quality.from_bit_string(value(client, "V2G1EVSE1/LLN0$ST$Beh$q")) == LOST
        assert value(client, "V2G1EVSE1/LLN0$ST$Health$stVal") == 3
    site.stations.wait(10)
    site.start_stations()
    return lost_s, wait_for(lambda: _quality(running) == Quality() and Quality(), SLOW_S)


def _quality(running: Running, client: MmsClient | None = None) -> Quality:
    """q of the delivered power of EVSE1, read by an association of its own without `client`."""
    if client is None:
        with running.connect() as another:
            return _quality(running, another)
    return Quality.from_bit_string(value(client, "V2G1EVSE1/MMXU1$MX$TotW$q"))


def kill_worker(running: Running) -> tuple[float, Snapshot, Snapshot]:
    """Seconds until a client is served again, and snapshots from before and after."""
    before, worker = running.snapshot(), running.worker()
    os.kill(worker.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    wait_for(running.connected, SLOW_S).close()
    back_s = time.monotonic() - killed_s
    return back_s, before, wait_for(lambda: _other(running.snapshot(), worker.pid), SLOW_S)


def test_a_killed_worker_serves_again_and_the_control_ticks_on(running: Running) -> None:
    _, before, after = kill_worker(running)
    ticks = after.loop.ticks - before.loop.ticks
    assert ticks > 20 * (after.mono_s - before.mono_s), "the loop stood still"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_an_evse_lost_5_times_is_invalid_and_old_within_a_second(
    running: Running, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    times = [lose_station(running)[0] for _ in range(5)]
    engine = request.node.callspec.params["running"]
    record_property(engine, f"invalid/oldData after {max(times):.2f} s at most;")
    assert max(times) <= 1.0


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_worker_killed_10_times_is_back_within_a_second(
    running: Running, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Three minutes an engine: every time within 1 s, and no tick of the control is missed."""
    times, missed = [], 0
    for _ in range(10):
        time.sleep(15.0)  # it has recovered, and its stand-in waits
        back_s, before, after = kill_worker(running)
        times.append(back_s)
        missed += _missed(before, after)
    engine = request.node.callspec.params["running"]
    record_property(engine, f"back after {max(times):.2f} s at most, {missed} ticks missed;")
    assert max(times) <= 1.0
    assert missed == 0


def _other(now: Snapshot, pid: int) -> Snapshot | None:
    worker = next(w for w in now.workers if w.name == "ied")
    return now if worker.pid not in (0, pid) else None


def telemetry(running: Running, seconds: float) -> int:
    """Reports of 20 members at an integrity period of 10 ms."""
    numbers: list[int] = []
    members: set[int] = set()

    def heard(message: Any) -> None:
        if is_report(message):
            report = decode_report(message)
            numbers.append(report.seq_num or 0)
            members.add(len(report.entries))

    with running.connect() as client:
        client.add_report_listener(heard)
        client.write(f"{BLOCK}$OptFlds", OptFlds(sequence_number=True).to_bitstring())
        client.write(f"{BLOCK}$TrgOps", TrgOps(integrity=True).to_bitstring())
        client.write(f"{BLOCK}$IntgPd", UIntData(round(1000 / DUE_HZ)))
        client.write(f"{BLOCK}$RptEna", BoolData(True))
        time.sleep(seconds)
        received = len(numbers)
        client.write(f"{BLOCK}$RptEna", BoolData(False))
    assert members == {20}
    assert all((b - a) % 256 == 1 for a, b in itertools.pairwise(numbers))
    return received


def test_telemetry_at_100_hz_beside_the_control(running: Running) -> None:
    """A busy machine may send fewer, never with a gap."""
    assert telemetry(running, 2.0) > 20


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_telemetry_at_100_hz_for_a_minute_slows_no_tick(
    running: Running, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """99 % of 6,000 reports; ticks missed and the latency of orders as in a minute without."""
    quiet = running.snapshot()
    time.sleep(60.0)
    before = running.snapshot()
    received = telemetry(running, 60.0)
    after = running.snapshot()
    alone, beside = _missed(quiet, before), _missed(before, after)
    ticks = (after.loop.ticks - before.loop.ticks) / (after.mono_s - before.mono_s)
    engine = request.node.callspec.params["running"]
    record_property(
        engine,
        f"{received} of 6000 reports, {ticks:.1f} ticks/s, {beside} missed ({alone} without);",
    )
    assert received >= 0.99 * 60.0 * DUE_HZ
    assert beside <= alone


def _missed(before: Snapshot, after: Snapshot) -> int:
    return after.loop.missed_ticks - before.loop.missed_ticks
