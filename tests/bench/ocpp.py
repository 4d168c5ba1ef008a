"""Orders to charging stations: latency, CPU, memory, and what reconnect storms leave behind.

The real worker process serves thin stations over mTLS with schema checks on, pinned to one core;
the stations and this process share the other. Setpoints go through the real link.

Figures, by number of stations N:

- `ocpp.single_wire_p50_ms`, `…_p99_ms`: from a Setpoint given to the link to its frame in the
  socket, with five stations.
- `ocpp.fanout_N_wire_p50_ms`, `…_p99_ms`: from one burst of N Setpoints to each one's frame in its
  socket; `ocpp.fanout_N_p50_ms`, `…_p99_ms`: to each station's answer back at the control.
- `ocpp.fanout_N_cpu_us`: CPU of the worker for one order and its answer.
- `ocpp.tls_connection_kb`: memory of the worker for one mTLS station, with its state.
- `ocpp.storm_growth_mb`: resident memory after the last of the reconnect storms, less that
  after the first; every storm drops and reconnects all stations.
- `ocpp.plain_cpu_us`, `ocpp.plain_p99_ms`, `ocpp.cpu_ratio`: the `ocpp` package on `websockets`
  in the same run, over the same TLS, and how many times more CPU it takes.

`OCPP_STATIONS` sets N (default 1000), `OCPP_STORMS` the number of storms (default 2).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.link import Hub
from agent.messages import EvseStatus, OrderResult, OrderSent, Role, Setpoint

FOLDER = Path(__file__).resolve().parent
ROUNDS = 5
SINGLE_ROUNDS = 60
PLAIN_STATIONS = 100
PLAIN_ROUNDS = 3
HANG_S = 180.0


def run() -> dict[str, float]:
    """Measure; see the module's docstring."""
    count = int(os.environ.get("OCPP_STATIONS", "1000"))
    storms = int(os.environ.get("OCPP_STORMS", "2"))
    with tempfile.TemporaryDirectory() as folder:
        pki = Path(folder) / "pki"
        pki.mkdir()
        make_pki(pki, max(count, PLAIN_STATIONS))
        figures = single(Path(folder) / "single")
        figures |= fan_out(Path(folder) / "fanout", pki, count, storms)
        figures |= plain(pki)
    figures["ocpp.cpu_ratio"] = (
        figures["ocpp.plain_cpu_us"] / figures[f"ocpp.fanout_{count}_cpu_us"]
    )
    return figures


def single(folder: Path) -> dict[str, float]:
    """Five stations without TLS, one order at a time."""
    with site(folder) as here, crowd(f"ws://localhost:{here.port}", 5, "ocpp2.1") as stations:
        wait_ready(stations)
        here.until(lambda: here.ready(5))
        waits = []
        for number in range(SINGLE_ROUNDS):
            for name in sorted(here.statuses):
                given_s = time.monotonic()
                here.order(name, number, 1000.0 + number)
                here.until(lambda name=name, number=number: (name, number) in here.results)
                waits.append(here.sent[name, number] - given_s)
    return percentiles("ocpp.single_wire", waits)


def fan_out(folder: Path, pki: Path, count: int, storms: int) -> dict[str, float]:
    """All stations over mTLS, all orders at once."""
    with site(folder, pki) as here:
        idle_kb = rss_kb(here.pid)
        with crowd(f"wss://localhost:{here.port}", count, "ocpp2.0.1", pki) as stations:
            wait_ready(stations)
            here.until(lambda: here.ready(count))
            time.sleep(1.0)
            here.until(lambda: True)
            figures = {"ocpp.tls_connection_kb": (rss_kb(here.pid) - idle_kb) / count}
            waits, wire_waits, used_s = [], [], 0.0
            for number in range(ROUNDS):
                names = sorted(here.statuses)
                before_s, start_s = cpu_s(here.pid), time.monotonic()
                here.order_all(names, number, -1000.0 - number)
                here.until(lambda number=number, names=names: here.answered(number) == len(names))
                waits += [here.results[name, number] - start_s for name in names]
                wire_waits += [here.sent[name, number] - start_s for name in names]
                used_s += cpu_s(here.pid) - before_s
            figures |= percentiles(f"ocpp.fanout_{count}_wire", wire_waits)
            figures |= percentiles(f"ocpp.fanout_{count}", waits)
            figures[f"ocpp.fanout_{count}_cpu_us"] = used_s / (ROUNDS * count) * 1e6
            sizes_kb = [storm(here, stations, count) for _ in range(storms)]
            if len(sizes_kb) > 1:
                figures["ocpp.storm_growth_mb"] = (sizes_kb[-1] - sizes_kb[0]) / 1024
    return figures


def storm(here: Site, stations: subprocess.Popen[bytes], count: int) -> float:
    """Drop and reconnect everything; the worker's memory afterwards."""
    here.statuses.clear()
    assert stations.stdin is not None
    stations.stdin.write(b"storm\n")
    stations.stdin.flush()
    wait_ready(stations, here)
    here.until(lambda: here.ready(count))
    time.sleep(0.5)
    return rss_kb(here.pid)


def plain(pki: Path) -> dict[str, float]:
    """The `ocpp` package on `websockets`, over the same TLS, pinned to the same core."""
    port = free_port()
    server = subprocess.Popen(
        [
            *(sys.executable, "-P", str(FOLDER / "_ocpp_plain.py"), str(port)),
            *(str(PLAIN_STATIONS), str(PLAIN_ROUNDS), str(pki)),
        ],
        stdout=subprocess.PIPE,
    )
    pin(server.pid, 0)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"listening\n"
        with crowd(f"wss://localhost:{port}", PLAIN_STATIONS, "ocpp2.0.1", pki) as stations:
            wait_ready(stations)
            figures = json.loads(server.stdout.readline())
    finally:
        server.kill()
        server.wait()
    return {f"ocpp.plain_{name}": value for name, value in figures.items()}


@dataclass
class Site:
    """The worker under measurement, and what it told the control."""

    hub: Hub
    port: int
    process: subprocess.Popen[bytes]
    statuses: dict[str, EvseStatus] = field(default_factory=dict)
    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    results: dict[tuple[str, int], float] = field(default_factory=dict)
    counts: Counter[int] = field(default_factory=Counter)

    @property
    def pid(self) -> int:
        return self.process.pid

    def order(self, evse_id: str, seq: int, p_w: float) -> None:
        """Send one order down the link."""
        setpoint = Setpoint(evse_id, seq, p_w, 30.0, time.monotonic())
        self.hub.send_role(Role.STATIONS, setpoint)

    def order_all(self, evse_ids: list[str], seq: int, p_w: float) -> None:
        """Send orders of one tick down the link, as `agent.daemon.loop` does."""
        now_s = time.monotonic()
        orders = [Setpoint(name, seq, p_w, 30.0, now_s) for name in evse_ids]
        self.hub.send_all(self.hub.peers[0], orders)

    def ready(self, count: int) -> bool:
        return sum(status.plugged for status in self.statuses.values()) >= count

    def answered(self, seq: int) -> int:
        return self.counts[seq]

    def until(self, condition: Callable[[], bool]) -> None:
        """Read the link until something is true."""
        deadline_s = time.monotonic() + HANG_S
        while True:
            for _, message in self.hub.poll(0.001).received:
                match message:
                    case EvseStatus():
                        self.statuses[message.evse_id] = message
                    case OrderSent():
                        self.sent[message.evse_id, message.seq] = message.sent_s
                    case OrderResult():
                        self.results[message.evse_id, message.seq] = time.monotonic()
                        self.counts[message.seq] += 1
            if condition():
                return
            if time.monotonic() > deadline_s:
                raise TimeoutError("the stations did not get there")


@contextlib.contextmanager
def site(folder: Path, pki: Path | None = None) -> Iterator[Site]:
    """Run the stations worker on core 0."""
    folder.mkdir()
    (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
    port = free_port()
    lines = ["[gateway]", 'run_dir = "run"', 'state_dir = "state"', 'log_dir = "log"']
    lines += ['power_profile = "power-profile.conf"', "[stations]", 'host = "127.0.0.1"']
    lines += [f"port = {port}", "connects_per_s = 5000.0", "call_timeout_s = 60.0"]
    lines += ["handshake_timeout_s = 60.0"]
    if pki:
        lines += ["security_profile = 3", f'certificate = "{pki}/server.pem"']
        lines += [f'key = "{pki}/server.key"', f'client_ca = "{pki}/ca.pem"']
    (folder / "agent.toml").write_text("\n".join(lines) + "\n")
    hub = Hub(folder / "run" / "control.sock")
    command = [sys.executable, "-m", "agent.vehicles.stations.worker", "--supervised"]
    environment = {**os.environ, "V2G_LOG_LEVEL": "ERROR"}
    process = subprocess.Popen([*command, "--config", str(folder / "agent.toml")], env=environment)
    pin(process.pid, 0)
    here = Site(hub, port, process)
    try:
        here.until(lambda: bool(hub.peers and hub.peers[0].hello))
        time.sleep(1.5)
        yield here
    finally:
        process.terminate()
        process.wait()
        hub.close()


@contextlib.contextmanager
def crowd(
    url: str, count: int, subprotocol: str, pki: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the stations on core 1."""
    script = str(FOLDER / "_ocpp_stations.py")
    command = [sys.executable, "-P", script, url, str(count), subprotocol]
    process = subprocess.Popen(
        [*command, *([str(pki)] if pki else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pin(process.pid, 1)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_ready(stations: subprocess.Popen[bytes], here: Site | None = None) -> None:
    """Wait for the stations' word, reading the link meanwhile."""
    assert stations.stdout is not None
    deadline_s = time.monotonic() + HANG_S
    while not select.select([stations.stdout], [], [], 0.0 if here else HANG_S)[0]:
        if here is not None:
            here.until(lambda: True)
        if time.monotonic() > deadline_s:
            raise TimeoutError("the stations did not connect")
    assert stations.stdout.readline() == b"ready\n"


def percentiles(name: str, waits: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    waits = sorted(waits)
    return {
        f"{name}_p50_ms": waits[len(waits) // 2] * 1e3,
        f"{name}_p99_ms": waits[int(0.99 * len(waits))] * 1e3,
    }


def cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where there are two."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_pki(folder: Path, count: int) -> None:
    """Write ca.pem, server.pem and .key, and a certificate for each station on one key."""
    ca_key, station_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    moment = datetime.datetime.now(datetime.UTC)

    def issue(name: str, key: ec.EllipticCurvePrivateKey, ca: bool = False) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - datetime.timedelta(days=1))
            .not_valid_after(moment + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = builder.add_extension(names, critical=False)
        signed = builder.sign(ca_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    (folder / "ca.pem").write_bytes(issue("Bench CA", ca_key, ca=True))
    (folder / "server.pem").write_bytes(issue("localhost", station_key))
    for name in ("server.key", "stations.key"):
        (folder / name).write_bytes(pem(station_key))
    for number in range(count):
        (folder / f"B{number}.pem").write_bytes(issue(f"B{number}", station_key))
