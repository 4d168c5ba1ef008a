"""A daemon's hub that the tests play, and an HMI worker as a process that listens to it."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from agent.cli.embedded import free_port
from agent.errors import AlarmCode
from agent.hmi.page.passwords import UserRole, new_line
from agent.link import Hub, Peer
from agent.messages import (
    Acknowledge,
    Alarm,
    AnyMessage,
    ControlRequest,
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Role,
    Shutdown,
    Snapshot,
    SubscriptionHealth,
    Validity,
    WorkerHealth,
    WorkerState,
)

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
TICK_S = 0.02


def wait_for(condition: Callable[[], object], timeout_s: float = 60.0, pause_s: float = 0.02):
    """Return the condition's first true value; fail when it does not come in time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if value := condition():
            return value
        time.sleep(pause_s)
    pytest.fail(f"did not happen within {timeout_s} s")


def measurement(f_hz: float = 50.0, source: str = "MU01", **changes: object) -> Measurement:
    now_s = time.monotonic()
    values: dict[str, object] = {
        "source": source, "t_utc_s": time.time() - 0.055, "f_hz": f_hz, "rocof_hz_s": 0.0,
        "v1_v": 230.1, "quality": Validity.GOOD, "wire_s": now_s, "published_s": now_s,
    }  # fmt: skip
    return Measurement(**{**values, **changes})


def loop_view(**changes: object) -> LoopView:
    values: dict[str, object] = {
        "mode": "droop", "nominal_hz": 50.0, "deadband_hz": 0.01, "droop_pu": 0.004,
        "droop_w": 0.0, "target_w": -1000.0, "ordered_w": -1000.0, "delivered_w": -980.0,
        "up_w": 12_000.0, "down_w": 10_000.0, "gain_w_per_hz": 55_000.0,
        "gain_limit_w_per_hz": 80_000.0, "gain_reason": "", "delay_s": 0.4, "authority": None,
        "ticks": 1000, "missed_ticks": 0, "setpoints_sent": 42, "reason": "inside the deadband",
    }  # fmt: skip
    return LoopView(**{**values, **changes})


def evse_view(name: str = "CS001/1", **changes: object) -> EvseView:
    values: dict[str, object] = {
        "protocol": "ocpp2.1", "online": True, "plugged": True, "t_utc_s": time.time(),
        "published_s": time.monotonic(), "p_w": -980.0, "charge_max_w": 11_000.0,
        "discharge_max_w": 11_000.0, "soc_pct": 60.0, "soc_min_pct": 30.0, "soc_max_pct": 90.0,
        "departure_utc_s": time.time() + 7200.0, "vendor": "Acme", "model": "V2X",
    }  # fmt: skip
    status = EvseStatus(name, **{**values, **changes})
    return EvseView(status, -1000.0, "base", 12_000.0, 10_000.0)


def alarm(code: AlarmCode = AlarmCode.STATION_LOST, source: str = "CS009", **changes) -> Alarm:
    values = {
        "text": "charging station CS009 is lost", "advice": "look at its network and its supply",
        "since_utc_s": time.time() - 65.0,
    }  # fmt: skip
    return Alarm(code, True, source, **{**values, **changes})


def snapshot(**changes: object) -> Snapshot:
    running = WorkerState.RUNNING
    counters = {"expires_utc_s:certificate": time.time() + 12.5 * 86400.0}
    values: dict[str, object] = {
        "t_utc_s": time.time(), "mono_s": time.monotonic(), "measurement": measurement(),
        "loop": loop_view(), "evses": (evse_view(),), "complete": True, "alarms": (),
        "workers": (
            WorkerHealth("processbus", Role.PROCESS_BUS, running, 11, 0, 0.2),
            WorkerHealth("stations", Role.STATIONS, running, 12, 1, 0.1, counters),
        ),
        "subscriptions": (
            SubscriptionHealth("MU01/LLN0.MS.MSVCB01", "sv", True, False, False, 1, 1, frames=9),
        ),
        "clock_synchronised": True, "clock_source": "PTP",
        "settings": {"db_uf_hz": 0.01, "db_of_hz": 0.01, "k_uf": 0.004},
        "sources": (measurement(), measurement(50.2, "MU02", quality=Validity.INVALID)),
    }  # fmt: skip
    return Snapshot(**{**values, **changes})


@dataclass
class Control:
    """The daemon's end of the link, played by a thread that ticks 50 times a second.

    Attributes:
        make: Returns the snapshot of a tick.
        heard: Everything that the worker said, except heartbeats.
    """

    socket: Path
    make: Callable[[], Snapshot] = snapshot
    heard: list[AnyMessage] = field(default_factory=list)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    peers: int = 0
    counters: dict[str, float] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        hub = Hub(self.socket)
        self._thread = threading.Thread(target=self._run, args=(hub,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def requests(self, kind: RequestKind) -> list[ControlRequest]:
        return [m for m in self.heard if isinstance(m, ControlRequest) and m.kind is kind]

    def _run(self, hub: Hub) -> None:
        due_s = time.monotonic()
        while not self._end.is_set():
            due_s = max(due_s + TICK_S, time.monotonic() - TICK_S)
            rest_s = 0.0
            while rest_s >= 0.0:  # once at least, however late it is
                for peer, message in hub.poll(rest_s).received:
                    self._take(hub, peer, message)
                rest_s = due_s - time.monotonic()
            self.peers = len(hub.peers)
            made = msgspec.structs.replace(self.make(), alarms=tuple(self.alarms.values()))
            hub.send_role(Role.HMI, made)
        hub.send_role(Role.HMI, Shutdown("the test is over"))
        hub.close()

    def _take(self, hub: Hub, peer: Peer, message: AnyMessage) -> None:
        if hasattr(message, "counters"):
            self.counters = message.counters
            return
        self.heard.append(message)
        if isinstance(message, ControlRequest | Acknowledge):
            hub.send(peer, self._answer(message))

    def _answer(self, request: ControlRequest | Acknowledge) -> RequestOutcome:
        status = RequestStatus.ACCEPTED
        if isinstance(request, Acknowledge):
            name = f"{request.code} {request.source}"
            known = self.alarms.get(name)
            status = RequestStatus.COMPLETED if known else RequestStatus.REFUSED
            if known is not None:
                self.alarms[name] = msgspec.structs.replace(known, acknowledged=True)
        return RequestOutcome(request.request_id, status, t_utc_s=time.time())

    def raise_alarm(self, raised: Alarm) -> None:
        self.alarms[f"{raised.code} {raised.source}"] = raised


@dataclass
class Gateway:
    """An HMI worker process with its folder and the control it listens to."""

    folder: Path
    port: int
    control: Control
    scheme: str = "http"
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.hmi.worker", "--config", self.folder / "agent.toml",
             "--name", "hmi"],
            stderr=(self.folder / "hmi.log").open("a"), text=True, cwd=REPOSITORY,
        )  # fmt: skip
        wait_for(lambda: self.process.poll() is not None or self.control.counters)
        assert self.process.poll() is None, self.log()

    def stop(self) -> int:
        self.control.stop()
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()

    def log(self) -> str:
        return (self.folder / "hmi.log").read_text()


def write_config(folder: Path, port: int, *lines: str) -> Path:
    """Write a configuration whose page has an operator and a viewer."""
    (folder / "power.conf").write_text("")
    (folder / "users").write_text(
        f"{new_line('anna', UserRole.OPERATOR, PASSWORD)}\n"
        f"{new_line('victor', UserRole.VIEWER, PASSWORD)}\n"
    )
    path = folder / "agent.toml"
    path.write_text(
        '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        'power_profile = "power.conf"\n'
        f'[hmi]\nport = {port}\nusers = "users"\n' + "\n".join(lines) + "\n"
    )
    return path


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("hmi")
    port = free_port()
    write_config(folder, port, "[history]", "evse_period_s = 0.5")
    control = Control(folder / "run" / "control.sock")
    control.start()
    gateway = Gateway(folder, port, control)
    gateway.start()
    wait_for(lambda: control.counters.get("page_up"))
    yield gateway
    assert gateway.stop() == 0, gateway.log()


def sine_hz(amplitude_hz: float = 0.05, period_s: float = 10.0) -> float:
    return 50.0 + amplitude_hz * math.sin(2 * math.pi * time.time() / period_s)
