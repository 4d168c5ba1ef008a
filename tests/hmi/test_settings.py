"""`[hmi]` and `[history]`: the port beside the stations', and what is required beyond loopback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agent.config import read_settings
from agent.config.workers import plan_workers
from tests.hmi.conftest import REPOSITORY


def settings(tmp_path, text: str = ""):
    (tmp_path / "power.conf").write_text("")
    path = tmp_path / "agent.toml"
    path.write_text(f'[gateway]\npower_profile = "power.conf"\n{text}')
    return read_settings(path)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("", 8081),
        ('[stations]\nhost = "127.0.0.1"\nport = 8887\n', 8080),
        ("[hmi]\nport = 9000\n", 9000),
        ('[stations]\nhost = "127.0.0.1"\nport = 8887\n[[stations.listeners]]\nport = 8080\n'
         'security_profile = 0\nhost = "127.0.0.1"\n', 8081),
    ],
)  # fmt: skip
def test_the_page_is_at_8080_unless_charging_stations_are_expected_there(tmp_path, text, port):
    found, findings = settings(tmp_path, text)
    assert findings == []
    assert found.hmi_port == port


def test_the_port_of_a_station_listener_is_refused(tmp_path):
    _, findings = settings(tmp_path, "[hmi]\nport = 8080\n")
    assert [finding.where.split(": ")[1] for finding in findings] == ["hmi.port"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.5", "::", "gateway.example"])
def test_beyond_loopback_tls_and_users_are_required(tmp_path, host):
    _, findings = settings(tmp_path, f'[hmi]\nhost = "{host}"\n')
    assert [finding.where.rsplit(".", 1)[1] for finding in findings] == ["certificate", "users"]


def test_the_worker_ends_with_78_on_such_a_configuration(tmp_path):
    settings(tmp_path, '[hmi]\nhost = "0.0.0.0"\n')
    done = subprocess.run(
        [sys.executable, "-m", "agent.hmi.worker", "--config", tmp_path / "agent.toml"],
        capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert "beyond this machine the page needs TLS" in done.stderr


@pytest.mark.parametrize(
    ("text", "planned"),
    [
        ("", True),
        ("[hmi]\nenabled = false\n", True),
        ("[history]\nenabled = false\n", True),
        ("[hmi]\nenabled = false\n[history]\nenabled = false\n", False),
        ("[hmi]\nenabled = false\n[history]\nenabled = false\n[metrics]\nenabled = true\n", True),
    ],
)
def test_the_worker_runs_for_page_telemetry_or_metrics(tmp_path, text, planned):
    found, findings = settings(tmp_path, text)
    assert findings == []
    assert ("hmi" in [spec.name for spec in plan_workers(found)]) is planned
