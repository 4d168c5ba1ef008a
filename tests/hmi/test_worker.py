"""The worker process: telemetry with the page off, TLS beyond loopback, a port in use."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import sys
import urllib.request

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.cli.embedded import free_port
from agent.errors import AlarmCode
from agent.hmi.history import Table, read
from agent.hmi.page.passwords import UserRole, load_users
from agent.messages import Alarm
from tests.hmi.conftest import (
    PASSWORD,
    REPOSITORY,
    Control,
    Gateway,
    wait_for,
    write_config,
)


@pytest.fixture
def start(tmp_path):
    started: list[Gateway] = []

    def start_one(port: int, *lines: str, before=lambda _folder: None) -> Gateway:
        config = write_config(tmp_path, port, *lines)
        before(tmp_path)
        control = Control(tmp_path / "run" / "control.sock")
        control.start()
        gateway = Gateway(tmp_path, port, control)
        started.append(gateway)
        assert config.exists()
        gateway.start()
        return gateway

    yield start_one
    for gateway in started:
        assert gateway.stop() == 0, gateway.log()


def rows(gateway: Gateway, table: Table = Table.MEASUREMENTS) -> list[tuple]:
    if not gateway.control.counters.get("history_written"):
        return []  # its file may be there already, its tables not yet
    path = gateway.state / "history.sqlite"
    return [row for chunk in read(path, table, 0.0, 1e12) for row in chunk]


def test_telemetry_and_metrics_run_with_the_page_off(start):
    port, metrics_port = free_port(), free_port()
    gateway = start(port, "enabled = false", "[history]", "measurements_per_s = 50",
                    "evse_period_s = 0.5", "[metrics]", "enabled = true",
                    f"port = {metrics_port}")  # fmt: skip
    wait_for(lambda: gateway.control.counters.get("history_written", 0) > 20)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    text = urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=20).read()
    assert b"v2g_frequency_hertz 50.0" in text
    wait_for(lambda: rows(gateway, Table.EVSES))
    assert rows(gateway)[0][1:] == (50.0, 0.0, 230.1, "good", -1000.0, -1000.0, -980.0)
    assert "recording begins" in [row[3] for row in rows(gateway, Table.EVENTS)]


def test_a_damaged_telemetry_file_raises_0x34_until_somebody_removed_it(start):
    def damage(folder) -> None:
        (folder / "state").mkdir()
        (folder / "state" / "history.sqlite").write_bytes(b"no database at all" * 500)

    gateway = start(free_port(), "enabled = false", before=damage)

    def alarms() -> list[Alarm]:
        found = [message for message in gateway.control.heard if isinstance(message, Alarm)]
        return [alarm for alarm in found if alarm.code is AlarmCode.HISTORY_FAILED]

    wait_for(alarms)
    assert alarms()[0].active
    assert "set aside" in alarms()[0].text
    wait_for(lambda: rows(gateway))
    for path in gateway.state.glob("*.damaged-*"):
        path.unlink()
    wait_for(lambda: not alarms()[-1].active)


def test_a_port_in_use_costs_the_page_only_and_it_comes_when_the_port_is_free(start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        gateway = start(other.getsockname()[1])
        wait_for(lambda: gateway.control.counters.get("page_up") == 0.0)
        wait_for(lambda: rows(gateway))
    wait_for(lambda: gateway.control.counters.get("page_up") == 1.0)
    assert httpx.get(gateway.url, timeout=30).status_code == 200


def certificate(folder) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip


def test_beyond_loopback_it_is_tls_and_who_looks_has_logged_in(start, tmp_path):
    gateway = start(
        free_port(), 'host = "0.0.0.0"', 'certificate = "server.crt"', 'key = "server.key"',
        before=certificate,
    )  # fmt: skip
    gateway.scheme = "https"
    wait_for(lambda: gateway.control.counters.get("page_up"))
    trust = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    with httpx.Client(base_url=gateway.url, verify=trust, timeout=30.0) as client:
        session = client.get("/api/session")
        assert session.json()["may_look"] is False
        assert "strict-transport-security" in session.headers
        for path in ("/api/live", "/api/site", "/api/events", "/api/events/x"):
            assert client.get(path).status_code == 401
        answer = client.post("/api/login", json={"name": "victor", "password": PASSWORD})
        assert "secure" in answer.headers["set-cookie"].lower()
        assert client.get("/api/site").json()["name"] == "V2G1"
        with client.stream("GET", "/api/live") as stream:
            assert next(stream.iter_lines()) == "retry: 1000"
    wait_for(lambda: "expires_utc_s:certificate" in gateway.control.counters)
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://localhost:{gateway.port}", timeout=30)


def test_users_are_added_by_command(tmp_path):
    path = tmp_path / "users"
    for role in ("viewer", "operator"):
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli.ctl", "user", "otto", "--role", role, "--file", path],
            input=f"{PASSWORD}\n", capture_output=True, text=True, cwd=REPOSITORY, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert load_users(path)["otto"].role is UserRole.OPERATOR
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.ctl", "user", "otto", "--file", path],
        input="short\n", capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 64
    assert "characters" in done.stderr
