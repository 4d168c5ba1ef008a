"""The worker as a process: link, simulated stations, a killed worker, a port in use, bad files."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from agent.link import Hub
from agent.messages import (
    EvseStatus,
    Heartbeat,
    OrderResult,
    OrderSent,
    Role,
    Setpoint,
    Shutdown,
)
from agent.ocpp import Version
from agent.vehicles.simulated.battery import Battery
from agent.vehicles.simulated.profile import read_profile
from agent.vehicles.simulated.station import versions_of

HANG_S = 40.0


class Gateway:
    """A control's end of the link, with the worker and the stations as processes."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
        self.config = folder / "agent.toml"
        self.configure()
        self.hub = Hub(folder / "run" / "control.sock")
        self.processes = []
        self.statuses, self.sent, self.results, self.heartbeats = {}, {}, {}, []

    def configure(self, *lines):
        head = ["[gateway]", 'run_dir = "run"', 'state_dir = "state"', 'log_dir = "log"']
        head += ['power_profile = "power-profile.conf"', "[stations]", 'host = "127.0.0.1"']
        self.config.write_text("\n".join([*head, f"port = {self.port}", *lines]) + "\n")

    def worker(self, name="stations"):
        command = ["-m", "agent.vehicles.stations.worker", "--config", str(self.config)]
        return self.start(*command, "--name", name, "--supervised")

    def stations(self, *arguments):
        url = f"ws://127.0.0.1:{self.port}"
        command = ["-m", "agent.vehicles.simulated.station", "--url", url, "--json", "--supervised"]
        return self.start(*command, *arguments)

    def start(self, *command):
        process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.processes.append(process)
        return process

    def until(self, condition):
        deadline = time.monotonic() + HANG_S
        while not (value := condition()):
            for _, message in self.hub.poll(0.01).received:
                match message:
                    case EvseStatus():
                        self.statuses[message.evse_id] = message
                    case OrderSent():
                        self.sent[message.evse_id, message.seq] = message
                    case OrderResult():
                        self.results[message.evse_id, message.seq] = message
                    case Heartbeat():
                        self.heartbeats.append(message)
            assert time.monotonic() < deadline, self.statuses
        return value

    def ready(self, count):
        states = self.statuses.values()
        return sum(s.online and s.plugged for s in states) == count and all(
            s.discharge_max_w > 0 for s in states if s.protocol == "OCPP 2.1"
        )

    def order(self, evse_id, seq, p_w, lease_s=30.0):
        setpoint = Setpoint(evse_id, seq, p_w, lease_s, time.monotonic())
        self.hub.send_role(Role.STATIONS, setpoint)

    def close(self):
        for process in self.processes:
            process.kill()
            process.communicate()
        self.hub.close()


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path)
    yield made
    made.close()


def test_three_versions_are_ordered_deliver_and_are_lost(gateway):
    worker = gateway.worker()
    stations = gateway.stations("--count", "5")
    gateway.until(lambda: gateway.ready(5))
    protocols = sorted(status.protocol for status in gateway.statuses.values())
    assert protocols == ["OCPP 1.6J", "OCPP 2.0.1", "OCPP 2.1", "OCPP 2.1", "OCPP 2.1"]
    gateway.until(  # the others charge by themselves
        lambda: sum(s.p_w is not None and s.p_w < -10_000.0 for s in gateway.statuses.values()) == 2
    )
    ordered_s = time.monotonic()
    for evse_id in sorted(gateway.statuses):
        gateway.order(evse_id, 1, 4000.0)
    v2x = [name for name, status in gateway.statuses.items() if status.discharge_max_w > 0]
    assert len(v2x) == 3

    def delivered():
        return all(
            abs(status.p_w - (4000.0 if name in v2x else 0.0)) < 250.0
            and not math.isnan(status.latency_s)
            for name, status in gateway.statuses.items()
        )

    gateway.until(delivered)
    assert all(result.accepted for result in gateway.results.values())
    assert {s.p_w for n, s in gateway.sent.items() if n[0] in v2x} == {4000.0}
    assert {s.p_w for n, s in gateway.sent.items() if n[0] not in v2x} == {0.0}
    gateway.until(lambda: gateway.heartbeats and gateway.heartbeats[-1].counters["connected"] == 5)
    stations.send_signal(signal.SIGKILL)
    gateway.until(lambda: not any(status.online for status in gateway.statuses.values()))
    output = stations.communicate()[0].decode().splitlines()
    orders = [json.loads(line) for line in output]
    received = {f"{o['station']}/{o['evse']}": o for o in orders if o["p_w"] != 0.0 or o["evse"]}
    for name in v2x:
        assert received[name]["operation_mode"] == "CentralSetpoint"
        assert received[name]["p_w"] == 4000.0
        assert received[name]["duration_s"] <= 30
        assert ordered_s <= gateway.sent[name, 1].sent_s
        assert ordered_s <= received[name]["received_s"]
    gateway.hub.send_role(Role.STATIONS, Shutdown("test"))
    gateway.until(lambda: worker.poll() is not None)
    assert worker.returncode == 0


def test_an_order_ends_by_itself_when_the_worker_is_killed(gateway):
    worker = gateway.worker()
    gateway.stations("--count", "1", "--mix", "2.1")
    gateway.until(lambda: gateway.ready(1))
    [name] = gateway.statuses
    gateway.order(name, 1, 5000.0, lease_s=2.0)
    gateway.until(lambda: abs((gateway.statuses[name].p_w or 0.0) - 5000.0) < 250.0)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    gateway.statuses.clear()
    gateway.worker()
    gateway.until(lambda: gateway.ready(1))
    assert gateway.statuses[name].discharge_max_w == 11_000.0
    gateway.until(lambda: abs(gateway.statuses[name].p_w or 0.0) < 250.0)


def test_a_port_in_use_is_named_and_exits_69(gateway):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", gateway.port))
        holder.listen()
        worker = gateway.worker()
        errors = worker.communicate(timeout=HANG_S)[1].decode()
        assert worker.returncode == 69
        assert f"port {gateway.port}: Address already in use" in errors


def test_every_bad_setting_is_reported_and_exits_78(gateway):
    gateway.configure("security_profile = 3", 'authorization = "local"', "prot = 1")
    worker = gateway.worker()
    errors = worker.communicate(timeout=HANG_S)[1].decode()
    assert worker.returncode == 78
    assert "prot" in errors
    gateway.configure("security_profile = 3", 'authorization = "local"')
    worker = gateway.worker()
    errors = worker.communicate(timeout=HANG_S)[1].decode()
    for part in ("certificate", "client_ca", "local_list"):
        assert f"stations.{part}" in errors
    gateway.configure('passwords = "absent"', "security_profile = 1")
    worker = gateway.worker()
    errors = worker.communicate(timeout=HANG_S)[1].decode()
    assert worker.returncode == 78
    assert "absent: cannot be read" in errors


def test_profile_0_is_not_opened_to_the_network_by_accident(gateway):
    text = gateway.config.read_text().replace("127.0.0.1", "0.0.0.0")
    gateway.config.write_text(text)
    worker = gateway.worker()
    errors = worker.communicate(timeout=HANG_S)[1].decode()
    assert worker.returncode == 78
    assert "allow_unauthenticated" in errors


def test_a_battery_answers_like_a_first_order_lag():
    battery = Battery(time_constant_s=0.1)
    battery.order(10_000.0, 0.0)
    battery.advance(0.1)
    assert battery.p_w == pytest.approx(10_000.0 * (1 - math.exp(-1)))
    battery.advance(10.0)
    assert battery.p_w == pytest.approx(10_000.0)
    assert battery.settled
    assert battery.export_wh == pytest.approx(10_000.0 * (10.0 - 0.1) / 3600.0, rel=1e-3)
    assert battery.soc_pct < 60.0


def test_an_empty_battery_stops():
    battery = Battery(capacity_wh=100.0, soc_pct=1.0)
    battery.order(11_000.0, 0.0)
    for second in range(1, 60):
        battery.advance(float(second))
    assert battery.soc_pct == 0.0
    assert battery.p_w == pytest.approx(0.0, abs=1.0)


def test_a_mix_is_a_pattern_of_versions():
    assert versions_of("2.1:2,1.6", 4) == [Version.V21, Version.V21, Version.V16, Version.V21]
    for bad in ("3.0", "2.1:x", "", "2.1:0"):
        with pytest.raises(ValueError, match=r"VERSION|empty"):
            versions_of(bad, 1)


def test_a_station_reads_limits_as_charging():
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}],
    }
    order = read_profile({"connectorId": 1, "csChargingProfiles": {"chargingSchedule": schedule}})
    assert (order.p_w, order.duration_s, order.is_limit) == (-6900.0, None, True)


def test_unknown_arguments_are_explained():
    command = [
        sys.executable,
        "-m",
        "agent.vehicles.simulated.station",
        "--url",
        "ws://x",
        "--mix",
        "9",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 2
    assert "VERSION:SHARE" in done.stderr
