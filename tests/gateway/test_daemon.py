"""The control daemon as a process: ticks, orders, lost workers, operators, audit."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from agent.audit import verify
from agent.messages import (
    Authority,
    ControlRequest,
    OrderResult,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Role,
    Snapshot,
    StatusQuery,
    Validity,
)
from tests.gateway.conftest import evse_status, measurement, wait_for

REMOTE_RAMP_S = 4.0
"""Remote orders ramp by a tenth of the fleet's power a second: 3 kW of 11 kW take 2.7 s."""


def feed(bus, f_hz: float, seconds: float, quality: Validity = Validity.GOOD) -> None:
    """Report a frequency 50 times a second."""
    for _ in range(round(seconds / 0.02)):
        bus.link.send(measurement(f_hz, quality))
        time.sleep(0.02)


@contextlib.contextmanager
def feeding(bus, f_hz: float):
    """Report a frequency from a thread, while the test waits for a tool."""
    end = threading.Event()

    def run() -> None:
        while not end.is_set():
            feed(bus, f_hz, 0.02)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    end.set()
    thread.join()


def ready(worker):
    bus, stations = worker(Role.PROCESS_BUS), worker(Role.STATIONS)
    stations.link.send(evse_status())
    feed(bus, 50.0, 0.3)
    return bus, stations


def snapshot(daemon) -> dict:
    done = daemon.ctl("status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_dip_becomes_a_setpoint_that_discharges(worker):
    bus, stations = ready(worker)
    feed(bus, 49.80, 0.3)
    orders = stations.setpoints()
    assert orders[-1].evse_id == "CS001/1"
    assert orders[-1].p_w > 1000
    assert orders[-1].lease_s > 0


def test_nothing_is_sent_while_nothing_changes(worker):
    bus, stations = ready(worker)
    feed(bus, 49.80, 0.5)
    before = len(stations.setpoints())
    feed(bus, 49.80, 1.0)
    assert len(stations.setpoints()) == before


def test_a_small_wobble_inside_the_deadband_moves_nothing(worker):
    bus, stations = ready(worker)
    for f_hz in (50.004, 49.996, 50.005, 49.995):
        feed(bus, f_hz, 0.1)
    assert all(abs(order.p_w) < 1 for order in stations.setpoints())


def test_when_the_process_bus_dies_the_power_is_held_briefly_then_ramped_to_zero(worker):
    bus, stations = ready(worker)
    feed(bus, 49.80, 0.3)
    held_w = stations.setpoints()[-1].p_w
    bus.link.close()
    lost_s = time.monotonic()
    stations.listen(3.0)
    ramp = [order for order in stations.setpoints() if order.issued_s > lost_s]
    assert ramp
    assert ramp[-1].p_w == pytest.approx(0.0, abs=1)
    powers = [held_w, *(order.p_w for order in ramp)]
    assert all(b <= a + 1e-6 for a, b in itertools.pairwise(powers))
    assert ramp[0].issued_s - lost_s >= 0.1
    assert ramp[-1].issued_s - lost_s <= 2.6


def test_the_loop_goes_on_when_a_worker_dies_and_says_which_evses_are_lost(running, worker):
    bus, stations = ready(worker)
    ticks = snapshot(running)["loop"]["ticks"]
    stations.link.close()
    feed(bus, 50.0, 0.5)
    after = snapshot(running)
    assert after["loop"]["ticks"] > ticks + 20
    assert [view["status"]["online"] for view in after["evses"]] == [False]


def test_frequency_out_of_bounds_raises_0x14_and_clears_it(running, worker):
    bus, _ = ready(worker)
    with feeding(bus, 49.40):
        alarms = json.loads(running.ctl("alarms", "--json").stdout)
    assert "0x14" in [alarm["code"] for alarm in alarms]
    feed(bus, 50.0, 0.5)
    said = [line["what"] for line in running.audit if line["kind"] == "alarm"]
    assert any("0x14 raised" in what for what in said)
    assert any("0x14 cleared" in what for what in said)


def scada_request(request_id: str, value: float = 3000.0) -> ControlRequest:
    return ControlRequest(
        request_id,
        Authority.SCADA,
        "hmi-1",
        RequestKind.WATT_SETPOINT,
        "site",
        value,
        30.0,
        time.monotonic(),
        time.time(),
    )


def outcomes(peer, request_id: str) -> list[RequestStatus]:
    return [
        m.status
        for m in peer.listen()
        if isinstance(m, RequestOutcome) and m.request_id == request_id
    ]


def test_an_order_from_scada_reaches_the_station_and_completes_when_power_follows(running, worker):
    bus, stations = ready(worker)
    ied = worker(Role.IED)
    ied.link.send(scada_request("r1"))
    feed(bus, 50.0, REMOTE_RAMP_S)
    order = stations.setpoints()[-1]
    assert order.p_w == pytest.approx(3000, rel=0.02)
    assert RequestStatus.COMPLETED not in outcomes(ied, "r1")
    stations.link.send(OrderResult(order.evse_id, order.seq, True, time.monotonic()))
    for _ in range(20):
        stations.link.send(evse_status(p_w=order.p_w, setpoint_w=order.p_w))
        feed(bus, 50.0, 0.1)
        if RequestStatus.COMPLETED in outcomes(ied, "r1"):
            break
    assert outcomes(ied, "r1") == [RequestStatus.ACCEPTED, RequestStatus.COMPLETED]
    kinds = [line["kind"] for line in running.audit]
    assert "command" in kinds
    assert "outcome" in kinds


def test_a_repeated_request_is_not_carried_out_twice(worker):
    bus, stations = ready(worker)
    ied = worker(Role.IED)
    ied.link.send(scada_request("same"))
    feed(bus, 50.0, REMOTE_RAMP_S)
    count = len(stations.setpoints())
    ied.link.send(scada_request("same", value=9000.0))
    feed(bus, 50.0, 0.3)
    assert len(stations.setpoints()) == count


def test_v2g_ctl_stop_and_resume(running, worker):
    bus, stations = ready(worker)
    feed(bus, 49.80, 0.3)
    assert stations.setpoints()[-1].p_w > 1000
    with feeding(bus, 49.80):
        assert running.ctl("stop").returncode == 0
    assert stations.setpoints()[-1].p_w == pytest.approx(0, abs=1)
    with feeding(bus, 49.80):
        assert running.ctl("resume").returncode == 0
    wait_for(lambda: feed(bus, 49.80, 0.2) or stations.setpoints()[-1].p_w > 1000, 40)


def test_watchers_hear_every_tick_and_all_evses_once_a_second(running, worker):
    bus, _ = ready(worker)
    operator = worker(Role.OPERATOR)
    operator.link.send(StatusQuery(watch=True))
    feed(bus, 50.0, 1.5)
    heard = [m for m in operator.listen() if isinstance(m, Snapshot)]
    assert len(heard) >= 50
    complete = [m for m in heard if m.complete]
    assert 2 <= len(complete) < len(heard)
    assert all(len(m.evses) == 1 for m in complete)


def test_the_audit_of_a_session_verifies(running, worker):
    bus, _ = ready(worker)
    feed(bus, 49.4, 0.2)
    running.ctl("stop")
    report = verify(
        running.folder / "log" / "stability-audit.log",
        (running.folder / "state" / "audit.key").read_bytes(),
    )
    assert report.ok, report


def test_systemd_hears_ready_watchdog_and_stopping(daemon, monkeypatch, tmp_path):
    address = tmp_path / "notify.sock"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(address))
    manager.settimeout(10)
    monkeypatch.setenv("NOTIFY_SOCKET", str(address))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    daemon.start()
    heard = [manager.recv(256) for _ in range(4)]
    assert heard[0].startswith(b"READY=1")
    assert b"WATCHDOG=1" in heard[1:]
    assert daemon.stop() == 0
    while not manager.recv(256).startswith(b"STOPPING=1"):
        pass
    manager.close()


def test_a_second_daemon_on_the_same_folder_is_refused(running):
    done = running.ctl("status")
    assert done.returncode == 0
    second = subprocess.run(
        [
            sys.executable,
            "-m",
            "agent.cli.daemon",
            "--config",
            str(running.config),
            "--external-workers",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 69
    assert "another v2g-daemon is running here" in second.stderr


def test_v2g_ctl_without_a_daemon_says_so_and_exits_69(daemon):
    done = daemon.ctl("status")
    assert done.returncode == 69
    assert "no v2g-daemon answers here" in done.stderr


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[stations]\nprot = 1\n", "stations.prot: unknown key (did you mean port?)"),
        ('[control]\npreset = "no-such-code"\n', "no-such-code"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_exit_78(daemon, toml, expected):
    with daemon.config.open("a") as file:
        file.write(toml)
    daemon.start()
    assert daemon.process.wait(15) == 78
    assert expected in daemon.process.stderr.read()
    daemon.process.stderr.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(daemon):
    daemon.folder.chmod(0o500)
    daemon.start()
    assert daemon.process.wait(15) == 69
    assert "cannot be" in daemon.process.stderr.read()
