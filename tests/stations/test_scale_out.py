"""Two processes for stations behind HAProxy, one control; one of the two is killed.

The fleet's power is what the stations were told and still do: each obeys its last order until the
`duration` of that order ends, connected or not.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.cli.discharge import operator_request
from agent.cli.embedded import free_port
from agent.cli.gateway import GatewayClient
from agent.errors import UnavailableError
from agent.messages import RequestKind, Snapshot, StatusQuery, WorkerState

ROOT = Path(__file__).parents[2]
HAPROXY = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PER_STATION_W = 3_000.0
BUMP = 0.02
BACK_S = 30.0
SPARE = 200

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed"),
]


class Site:
    """A gateway with two stations' processes, HAProxy in front, and simulated stations."""

    def __init__(self, folder, count):
        self.folder, self.count = folder, count
        self.processes, self.orders = [], {}
        self.snapshot, self.connected = None, {}
        first = free_ports_in_a_row()
        self.port = free_port()
        bus = f"virtual:{folder}/bus.sock"
        (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
        (folder / "agent.toml").write_text(
            '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
            'power_profile = "power-profile.conf"\n'
            f'[scl]\nfile = "{ROOT}/scl/sample-station.scd"\n'
            f'[process_bus]\ninterface = "{bus}"\nevents_mb = 0\n'
            f'[stations]\nhost = "127.0.0.1"\nport = {first}\nworkers = 2\n'
            "meter_interval_s = 30\nconnects_per_s = 5000\n"
            "[ied]\nenabled = false\n"
        )
        bound = {
            "OCPP_BIND": f"127.0.0.1:{self.port}",
            "OCPP_ONE": f"127.0.0.1:{first}",
            "OCPP_TWO": f"127.0.0.1:{first + 1}",
        }
        self.start(HAPROXY, "-f", str(ROOT / "packaging/haproxy/haproxy.cfg"), env=bound)
        self.python("agent.cli.daemon", "--config", str(folder / "agent.toml"))
        self.python(
            *("agent.processbus.simulated", "--interface", bus, "--dip-every", "0", "--goose"),
            priority=True,
        )

    def python(self, module, *arguments, **options):
        return self.start(sys.executable, "-m", module, *arguments, **options)

    def start(self, *command, env=None, priority=False, **options):
        def prepare():
            if priority:
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))

        log = (self.folder / f"{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            command,
            env={**os.environ, **(env or {})},
            stderr=log,
            cwd=ROOT,
            preexec_fn=prepare,
            **{"stdout": log, **options},
        )
        self.processes.append(process)
        return process

    def connect_stations(self):
        url = f"ws://127.0.0.1:{self.port}"
        process = self.python(
            *("agent.vehicles.simulated.station", "--url", url, "--json"),
            *("--count", str(self.count), "--mix", "2.1:1", "--supervised"),
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read_orders, args=(process,), daemon=True).start()

    def _read_orders(self, process):
        for line in process.stdout:
            order = json.loads(line)
            if "p_w" in order:
                ends_s = order["received_s"] + (order["duration_s"] or float("inf"))
                self.orders[order["station"]] = (order["p_w"], ends_s)

    def power_w(self):
        now_s = time.monotonic()
        return sum(p_w for p_w, ends_s in tuple(self.orders.values()) if now_s < ends_s)

    def watch(self):
        """Follow the daemon's snapshots in the background."""
        self.client = self._client()
        self.client.send(StatusQuery(watch=True))
        threading.Thread(target=self._follow, daemon=True).start()

    def _client(self):
        arguments = argparse.Namespace(
            socket=self.folder / "run" / "control.sock", config=self.folder / "agent.toml"
        )
        while True:
            try:
                return GatewayClient(arguments)
            except UnavailableError:
                time.sleep(0.1)

    def _follow(self):
        with contextlib.suppress(UnavailableError):  # the end of the test
            for message in self.client.messages(3600.0):
                if isinstance(message, Snapshot):
                    self.snapshot = message
                    for view in message.evses:
                        self.connected[view.evse_id] = view.status.online and view.status.plugged

    def online(self):
        return sum(self.connected.values())

    def worker(self, name):
        workers = self.snapshot.workers if self.snapshot else ()
        return next((w for w in workers if w.name == name), None)

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_ports_in_a_row():
    while True:
        first = free_port()
        if free_port(first + 1) == first + 1:
            return first


def until(condition, within_s):
    end_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end_s, f"did not happen within {within_s} s"
        time.sleep(0.05)
    return value


def kill_one_process(folder, count, patience_s):
    """Return (seconds until all stations were back, largest deviation of the fleet's power)."""
    site = Site(folder, count)
    try:
        site.watch()
        until(lambda: site.snapshot and site.snapshot.loop.mode == "droop", patience_s)
        site.connect_stations()
        until(lambda: site.online() == count, patience_s)
        for name in ("stations", "stations@2"):
            until(lambda: site.worker(name).counters.get("connected", 0) > 0.2 * count, 10.0)  # noqa: B023
        wanted_w = PER_STATION_W * count
        site.client.send(
            operator_request(RequestKind.WATT_SETPOINT, value=wanted_w, lease_s=3600.0)
        )
        until(lambda: abs(site.power_w() - wanted_w) < 0.005 * wanted_w, patience_s)
        time.sleep(1.0)
        before_w, victim = site.power_w(), site.worker("stations@2").pid
        os.kill(victim, signal.SIGKILL)
        start_s, worst = time.monotonic(), 0.0
        until(lambda: site.online() < count, patience_s)
        while True:
            worst = max(worst, abs(site.power_w() - before_w) / before_w)
            back_s = time.monotonic() - start_s
            worker = site.worker("stations@2")
            if site.online() == count and worker.state is WorkerState.RUNNING:
                break
            assert back_s < patience_s, f"{site.online()} of {count} are back"
            time.sleep(0.05)
        end_s = time.monotonic() + 5.0
        while time.monotonic() < end_s:
            worst = max(worst, abs(site.power_w() - before_w) / before_w)
            time.sleep(0.05)
        return back_s, worst
    finally:
        site.close()


def test_a_killed_process_costs_no_power_and_its_stations_are_back(tmp_path):
    back_s, bump = kill_one_process(tmp_path, 40, 90.0)
    assert bump <= BUMP
    assert back_s < 90.0  # a hang limit; the figure is in the campaign below


@pytest.mark.soak
def test_10_000_stations_on_two_processes(tmp_path, record_property):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10_000, (hard - SPARE) // 2)  # HAProxy has two files for each station
    back_s, bump = kill_one_process(tmp_path, count, 600.0)
    record_property("stations", count)
    record_property("back after s", round(back_s, 1))
    record_property("largest power bump %", round(100.0 * bump, 2))
    assert back_s <= BACK_S
    assert bump <= BUMP
