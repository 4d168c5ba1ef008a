"""A daemon as a process, and workers and tools that speak to it over its real socket."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.link import Link
from agent.messages import (
    AnyMessage,
    EvseStatus,
    Heartbeat,
    Measurement,
    Role,
    Setpoint,
    Validity,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0, pause_s: float = 0.005):
    """Return the condition's first true value; fail when it does not come in time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if value := condition():
            return value
        time.sleep(pause_s)
    pytest.fail(f"did not happen within {timeout_s} s")


@dataclass
class Daemon:
    """`v2g-daemon --external-workers` on a folder of its own."""

    folder: Path
    config: Path
    process: subprocess.Popen[str] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "control.sock"

    @property
    def audit(self) -> list[dict]:
        text = (self.folder / "log" / "stability-audit.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "agent.cli.daemon",
                "--config",
                str(self.config),
                *(arguments or ("--external-workers",)),
            ],
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        wait_for(lambda: self.socket.exists() or self.process.poll() is not None, 60)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self.process.stderr.close()
        return code

    def ctl(self, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent.cli.ctl", *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=REPOSITORY,
            check=False,
        )


@dataclass
class FakeWorker:
    """A worker that the test plays; everything on the link is real."""

    link: Link
    heard: list[AnyMessage] = field(default_factory=list)

    def listen(self, seconds: float = 0.0) -> list[AnyMessage]:
        end_s = time.monotonic() + seconds
        while True:
            rest_s = max(0.0, end_s - time.monotonic())
            if self.link.connected:
                select.select([self.link.fileno()], [], [], rest_s)
                self.heard += self.link.receive()
            if time.monotonic() >= end_s:
                return self.heard

    def setpoints(self) -> list[Setpoint]:
        return [m for m in self.listen() if isinstance(m, Setpoint)]

    def beat(self) -> None:
        self.link.send(Heartbeat(self.link.hello.name, time.monotonic()))


def measurement(f_hz: float, quality: Validity = Validity.GOOD) -> Measurement:
    now_s = time.monotonic()
    return Measurement(
        "MU01",
        time.time() - 0.055,
        f_hz,
        0.0,
        230.0,
        quality,
        now_s - 0.002,
        now_s,
        uncertainty_hz=1e-4,
        v_phase_v=(230.0, 230.0, 230.0),
        smp_synch=2,
    )


def evse_status(evse_id: str = "CS001/1", **changes: object) -> EvseStatus:
    values: dict[str, object] = {
        "protocol": "ocpp2.1",
        "online": True,
        "plugged": True,
        "t_utc_s": time.time(),
        "published_s": time.monotonic(),
        "p_w": 0.0,
        "charge_max_w": 11_000.0,
        "discharge_max_w": 11_000.0,
        "soc_pct": 60.0,
        "capacity_wh": 60_000.0,
    }
    return EvseStatus(evse_id, **{**values, **changes})


@pytest.fixture
def daemon(tmp_path):
    (tmp_path / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=11.0\n")
    config = tmp_path / "agent.toml"
    config.write_text(
        '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        'power_profile = "power.conf"\n[ied]\nenabled = false\n[hmi]\nenabled = false\n'
        "[history]\nenabled = false\n"
    )
    daemon = Daemon(tmp_path, config)
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait()
        daemon.process.stderr.close()


@pytest.fixture
def running(daemon):
    daemon.start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def worker(running):
    links: list[Link] = []

    def connect(role: Role, name: str = "") -> FakeWorker:
        link = Link(running.socket, role, name)
        wait_for(link.connect)
        links.append(link)
        fake = FakeWorker(link)
        fake.beat()
        return fake

    yield connect
    for link in links:
        link.close()


@pytest.fixture
def needs_root():
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and AF_PACKET")
