"""The SECC as its own process, as the daemon starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from agent.errors import EX_CONFIG, EX_UNAVAILABLE, AlarmCode
from agent.link import Hub
from agent.messages import Alarm, EvseStatus, OrderResult, OrderSent, Setpoint, Shutdown
from tests.secc.station import REPOSITORY

Cables = Callable[[], tuple[str, str]]

MAX_RSS = 80 << 20


class Control:
    """The daemon's end of the link, with everything that the worker said."""

    def __init__(self, folder: Path) -> None:
        self.hub = Hub(folder / "run" / "control.sock")
        self.received: list[object] = []

    def until(self, condition: Callable[[], bool], seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.received[-5:]
            self.received += [message for _, message in self.hub.poll(0.05).received]

    def last(self, kind: type) -> object | None:
        return next((m for m in reversed(self.received) if isinstance(m, kind)), None)

    @property
    def status(self) -> EvseStatus | None:
        found = self.last(EvseStatus)
        return found if isinstance(found, EvseStatus) else None

    def send(self, message: Setpoint | Shutdown) -> None:
        for peer in self.hub.peers:
            self.hub.send(peer, message)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    control = Control(tmp_path)
    yield control
    control.hub.close()


def write_settings(folder: Path, interface: str, pki: Path) -> Path:
    (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11\n")
    path = folder / "agent.toml"
    path.write_text(
        f"""
        [gateway]
        run_dir = "run"
        state_dir = "state"
        log_dir = "log"
        power_profile = "power-profile.conf"
        [secc]
        pki = "{pki}"
        cooldown_s = 5.0
        [[secc.evse]]
        interface = "{interface}"
        discharge_max_w = 50000.0
        """
    )
    return path


def start_worker(settings: Path, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "agent.vehicles.secc.worker"]
    return subprocess.Popen([*command, "--config", str(settings), "--name", name], cwd=REPOSITORY)


@pytest.mark.root
@pytest.mark.peer
def test_one_vehicle_seen_from_the_control(
    cables: Cables, pki: Path, tmp_path: Path, control: Control
) -> None:
    ours, theirs = cables()
    worker = start_worker(write_settings(tmp_path, ours, pki), f"secc@{ours}")
    arguments = ["--interface", theirs, "--pki", str(pki), "--period", "0.05", "--soc", "55"]
    vehicle = subprocess.Popen(
        [sys.executable, "-m", "agent.vehicles.simulated.evcc", *arguments], cwd=REPOSITORY
    )
    try:
        control.until(lambda: control.status is not None and control.status.soc_pct is not None)
        status = control.status
        assert status is not None
        assert status.plugged
        assert status.evse_id == ours
        assert status.discharge_max_w == 11_000.0  # the power profile's, not the outlet's
        assert status.soc_pct == 55.0
        assert status.capacity_wh == 60_000.0
        assert status.ev_id == "WMIV1234567890ABCDEX"
        assert status.departure_utc_s is not None
        assert status.energy_needed_wh == pytest.approx(15_000, rel=0.02)

        control.send(Setpoint(ours, 7, 5000.0, 60.0, time.monotonic(), wire_s=1.5))
        control.until(lambda: control.status is not None and control.status.p_w == 5000.0)
        result, sent = control.last(OrderResult), control.last(OrderSent)
        assert isinstance(result, OrderResult) and (result.seq, result.accepted) == (7, True)
        assert isinstance(sent, OrderSent) and (sent.seq, sent.p_w) == (7, 5000.0)
        assert sent.wire_s == 1.5
        assert psutil.Process(worker.pid).memory_info().rss <= MAX_RSS

        vehicle.kill()  # a hard disconnect under load
        control.until(lambda: control.last(Alarm) is not None, 10)
        alarm = control.last(Alarm)
        assert isinstance(alarm, Alarm)
        assert (alarm.code, alarm.active) == (AlarmCode.BMS_DISCONNECT, True)
        control.until(lambda: control.status is not None and bool(control.status.fault), 10)
        assert control.status is not None
        assert (control.status.p_w, control.status.plugged) == (0.0, False)
        control.until(lambda: control.status is not None and not control.status.fault, 15)

        control.send(Shutdown("the test is over"))
        assert worker.wait(15) == 0
    finally:
        for process in (worker, vehicle):
            process.kill()
            process.wait()


def test_missing_certificates_are_a_configuration_error(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, "if0", tmp_path / "nothing")
    assert start_worker(settings, "secc@if0").wait(30) == EX_CONFIG


def test_an_unknown_interface_in_the_name_is_a_configuration_error(
    tmp_path: Path, pki: Path
) -> None:
    settings = write_settings(tmp_path, "if0", pki)
    assert start_worker(settings, "secc@if1").wait(30) == EX_CONFIG


@pytest.mark.skipif(os.geteuid() != 0, reason="discovery needs CAP_NET_RAW")
def test_a_missing_interface_is_unavailable(tmp_path: Path, pki: Path) -> None:
    settings = write_settings(tmp_path, "nosuch0", pki)
    assert start_worker(settings, "secc@nosuch0").wait(30) == EX_UNAVAILABLE
