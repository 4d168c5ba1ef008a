"""The worker as a process: it starts, answers without control, and refuses a wrong start."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from open61850.data import BoolData, FloatData, IntData, StructureData, UIntData
from open61850.mms import MmsClient, MmsError, ObjectName, operate, pdu
from open61850.mms.control import oper_value
from open61850.mms.report import OptFlds, TrgOps, decode_report, is_report

from agent.iec61850 import DetailQuality, Quality
from agent.link import Hub
from agent.messages import AuditEvent, ControlRequest, RequestOutcome, RequestStatus

STATION = Path(__file__).parents[2] / "scl" / "sample-station.scd"


def write_config(folder: Path, port: int, engine: str = "open61850", **scl: Any) -> Path:
    for name in ("run", "state", "log"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
    config = folder / "agent.toml"
    config.write_text(
        f"""
[gateway]
run_dir = "run"
state_dir = "state"
log_dir = "log"
power_profile = "power-profile.conf"
[scl]
file = "{scl.get("file", STATION)}"
ied = "{scl.get("ied", "V2G1")}"
[ied]
host = "127.0.0.1"
port = {port}
engine = "{engine}"
{scl.get("more", "")}
"""
    )
    return config


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(config: Path) -> subprocess.Popen[bytes]:
    with (config.parent / "stderr.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "agent.ied.worker", "--config", str(config), "--name", "ied"],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def run_to_end(config: Path) -> tuple[int, str]:
    process = start(config)
    code = process.wait(timeout=30)
    return code, (config.parent / "stderr.log").read_text()


class Control:
    """The daemon's end of the link: answers orders, sends snapshots."""

    def __init__(self, folder: Path, scene: Any) -> None:
        self.hub = Hub(folder / "run" / "control.sock")
        self.scene = scene
        self.requests: list[ControlRequest] = []
        self.events: list[AuditEvent] = []
        self.heartbeats = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            for peer, message in self.hub.poll(0.02).received:
                if isinstance(message, ControlRequest):
                    self.requests.append(message)
                    done = RequestOutcome(message.request_id, RequestStatus.COMPLETED)
                    self.hub.send(peer, done)
                elif isinstance(message, AuditEvent):
                    self.events.append(message)
                else:
                    self.heartbeats += 1
            for peer in self.hub.peers:
                if peer.hello is not None:
                    self.hub.send(peer, self.scene.snapshot())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(5)
        self.hub.close()


@pytest.fixture(params=["open61850", "libiec61850"])
def process(request: pytest.FixtureRequest, tmp_path: Path, scene: Any) -> Iterator[Any]:
    port = free_port()
    control = Control(tmp_path, scene)
    worker = start(write_config(tmp_path, port, request.param))
    yield worker, port, control
    if worker.poll() is None:
        worker.kill()
    worker.wait(10)
    control.stop()


def connect(port: int, until: Any) -> MmsClient:
    """An association, as soon as the worker serves; a busy machine starts it slowly."""

    def attempt() -> MmsClient | None:
        try:
            return MmsClient.connect("127.0.0.1", port, timeout=5.0)
        except MmsError:
            return None

    client: MmsClient = until(attempt, 300.0)
    return client


def quality(client: MmsClient) -> Quality:
    return Quality.from_bit_string(client.read("V2G1LD0/MMXU1$MX$Hz$q").value)


def test_values_and_orders_cross_the_link_and_outlive_the_control(process: Any, until: Any) -> None:
    worker, port, control = process
    with connect(port, until) as client:
        until(lambda: quality(client).is_good, 30.0)
        result = operate(client, "V2G1EVSE1/DWGC1.WSpt", StructureData([FloatData(2000.0)]))
        assert result.terminated
        assert control.requests[-1].value == 2000.0
        assert control.requests[-1].target == "cs1/1"
        assert any(event.kind == "association" for event in control.events)
        control.stop()
        until(lambda: not quality(client).is_good, 10.0)
        assert quality(client) == Quality.questionable(DetailQuality.OLD_DATA)
        assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0


def test_an_unknown_ied_is_refused_with_the_names_that_exist(tmp_path: Path) -> None:
    code, text = run_to_end(write_config(tmp_path, free_port(), ied="V2G9"))
    assert code == 78
    assert "there is no IED 'V2G9'" in text
    for name in ("MU1", "BAY1", "V2G1", "V2G2"):
        assert name in text


def test_a_wrong_scl_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.scd").write_text("<SCL xmlns='http://www.iec.ch/61850/2003/SCL'>\n<IED\n")
    code, text = run_to_end(write_config(tmp_path, free_port(), file=tmp_path / "bad.scd"))
    assert code == 78
    assert "bad.scd:" in text


def test_a_port_in_use_is_unavailable_and_says_whose_fault_it_is(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = run_to_end(write_config(tmp_path, port))
    assert code == 69
    assert f"cannot listen on 127.0.0.1:{port}" in text
    assert "another program" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without the right")
@pytest.mark.root
def test_a_port_below_1024_without_the_right_is_unavailable(tmp_path: Path) -> None:
    config = write_config(tmp_path, 102)
    limit = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not limit.exists() or int(limit.read_text()) <= 102:
        pytest.skip("this host lets everybody bind port 102")
    drop = "import os,sys,runpy; os.setgid(65534); os.setuid(65534); sys.argv[1:1]=[]; "
    code = drop + "runpy.run_module('agent.ied.worker', run_name='__main__')"
    for path in (tmp_path, *tmp_path.rglob("*"), *tmp_path.parents[:3]):
        path.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", code, "--config", str(config), "--name", "ied"],
        capture_output=True,
        timeout=30,
        check=False,
    )
    if b"ModuleNotFoundError" in done.stderr or b"Permission denied: '/" in done.stderr:
        pytest.skip("the environment cannot be read by another user")
    assert done.returncode == 69
    assert b"CAP_NET_BIND_SERVICE" in done.stderr


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('certificate = "x.pem"', "ied.private_key: is missing"),
        ('allow = ["here"]', "ied.allow"),
        ('files = "/tmp"', "the open61850 engine has no file services"),
    ],
)
def test_settings_that_cannot_be_used_stop_the_start(
    tmp_path: Path, more: str, expected: str
) -> None:
    code, text = run_to_end(write_config(tmp_path, free_port(), more=more))
    assert code == 78
    assert expected in text


def test_an_interface_for_goose_that_does_not_exist_is_named(tmp_path: Path) -> None:
    more = 'goose_interface = "no-such0"'
    code, text = run_to_end(write_config(tmp_path, free_port(), more=more))
    assert code == 69
    assert "no-such0" in text


def test_a_killed_worker_serves_again_when_it_is_started_again(
    tmp_path: Path, scene: Any, until: Any
) -> None:
    port = free_port()
    control = Control(tmp_path, scene)
    config = write_config(tmp_path, port)
    first = start(config)
    connect(port, until).close()
    first.kill()
    first.wait(10)
    second = start(config)
    try:
        with connect(port, until) as client:
            until(lambda: quality(client).is_good, 30.0)
    finally:
        second.kill()
        second.wait(10)
        control.stop()


def mutations(seed: int) -> Iterator[bytes]:
    """MMS requests, each with a few octets changed, cut or repeated; endless."""
    random = Random(seed)
    setting = ObjectName("DWGC1$SP$RvrtTms$setVal", "V2G1EVSE1")
    order = oper_value(StructureData([FloatData(1.0)]), ctl_num=1)
    wspt = ObjectName("DWGC1$CO$WSpt$SBOw", "V2G1EVSE1")
    data_set = ObjectName("LLN0$Measurements", "V2G1LD0")
    seeds = [
        pdu.confirmed_request(number, service)
        for number, service in enumerate(
            (
                pdu.read_request([ObjectName("MMXU1$MX$Hz", "V2G1LD0"), setting]),
                pdu.write_request([setting], [IntData(5)]),
                pdu.write_request([wspt], [order]),
                pdu.get_name_list_request(0, "V2G1LD0", None),
                pdu.get_variable_access_attributes_request(setting),
                pdu.get_named_variable_list_attributes_request(data_set),
            ),
            start=1,
        )
    ]
    while True:
        octets = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(octets))
            kind = random.randrange(4)
            if kind == 0:
                octets[place] = random.randrange(256)
            elif kind == 1:
                del octets[place : place + random.randint(1, 8)]
            elif kind == 2:
                octets[place:place] = bytes(octets[place : place + random.randint(1, 8)])
            else:
                octets[place] ^= 1 << random.randrange(8)
            if not octets:
                octets = bytearray(b"\xa0\x00")
        yield bytes(octets)


def bombard(port: int, until: Any, count: int, seed: int, alive: Callable[[], bool]) -> int:
    """Send mutated requests; returns how many associations they ended."""
    ended = 0
    client = connect(port, until)
    source = mutations(seed)
    for number in range(count):
        try:
            client._conn.send(pdu.wrap(next(source)))
            if number % 20 == 19:
                client.read("V2G1LD0/LLN0$ST$Beh$stVal")
        except (OSError, MmsError):
            pass
        if not client.is_connected:
            ended += 1
            assert alive()
            client.close()
            client = connect(port, until)
    client.close()
    return ended


def test_mutated_requests_end_at_most_their_association(process: Any, until: Any) -> None:
    worker, port, _ = process
    bombard(port, until, 400, 61850, lambda: worker.poll() is None)
    assert worker.poll() is None
    with connect(port, until) as client:
        assert client.read("V2G1LD0/LLN0$ST$Beh$stVal")


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_100_000_mutated_requests(
    process: Any, request: pytest.FixtureRequest, until: Any, record_property: Any
) -> None:
    """About a quarter of an hour an engine; two hours at most."""
    worker, port, _ = process
    ended = sum(
        bombard(port, until, 1_000, seed, lambda: worker.poll() is None) for seed in range(100)
    )
    died = int(worker.poll() is not None)
    engine = request.node.callspec.id
    record_property(engine, f"100000 requests ended {ended} associations, {died} workers;")
    assert worker.poll() is None


BLOCK = "V2G1LD0/LLN0$RP$urcbMeasurements01"


def telemetry(port: int, until: Any, seconds: float) -> list[int]:
    """SqNum of every report of 20 members at an integrity period of 10 ms."""
    numbers: list[int] = []
    members: set[int] = set()

    def heard(message: Any) -> None:
        if is_report(message):
            report = decode_report(message)
            numbers.append(report.seq_num or 0)
            members.add(len(report.entries))

    with connect(port, until) as client:
        client.add_report_listener(heard)
        fields = OptFlds(sequence_number=True).to_bitstring()
        client.write(f"{BLOCK}$OptFlds", fields)
        client.write(f"{BLOCK}$TrgOps", TrgOps(integrity=True).to_bitstring())
        client.write(f"{BLOCK}$IntgPd", UIntData(10))
        client.write(f"{BLOCK}$RptEna", BoolData(True))
        time.sleep(seconds)
        client.write(f"{BLOCK}$RptEna", BoolData(False))
    assert members == {20}
    return numbers


def unbroken(numbers: list[int]) -> bool:
    """SqNum of a URCB counts to 255 and begins again (IEC 61850-7-2 Ed. 2.1, 17.2.2.9)."""
    return all((b - a) % 256 == 1 for a, b in itertools.pairwise(numbers))


def test_telemetry_at_100_hz_has_no_gap(process: Any, until: Any) -> None:
    _, port, _ = process
    numbers = telemetry(port, until, 2.0)
    assert len(numbers) > 20
    assert unbroken(numbers)


@pytest.mark.soak
def test_telemetry_at_100_hz_for_a_minute(process: Any, until: Any, record_property: Any) -> None:
    """One minute an engine: 99 % of 6,000 reports, while the control sends snapshots."""
    _, port, control = process
    before, begun_s = control.heartbeats, time.monotonic()
    numbers = telemetry(port, until, 60.0)
    record_property("reports of 6000", len(numbers))
    beats = (control.heartbeats - before) / (time.monotonic() - begun_s)
    record_property("worker heartbeats a second (2 are due)", round(beats, 2))
    assert unbroken(numbers)
