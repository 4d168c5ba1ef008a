"""Brokers, snapshots and a publishing gateway for the tests of the bus."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.config import Bus
from agent.messages import (
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    Snapshot,
    Validity,
)
from agent.utility.bus.identity import READING, Identity
from agent.utility.bus.jetstream import JetStreamTransport
from agent.utility.bus.mqtt import MqttTransport
from agent.utility.bus.outbox import Outbox
from agent.utility.bus.store import Store
from tests.utility.bus.brokers import Mosquitto, NatsServer


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


MRID = "0b0e8c1e-6f0e-5b4e-9d5c-7d6f0f1e2a3b"
UTC = 1_790_000_000.0


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running nats-server with JetStream."""
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto."""
    (tmp_path / "mosquitto").mkdir()
    server = Mosquitto(tmp_path / "mosquitto")
    server.start()
    yield server
    server.close()


@pytest.fixture
def identity() -> Identity:
    return Identity("V2G1", MRID)


def view(evse_id: str = "CS1/1", **values: object) -> EvseView:
    """One EVSE with a half full vehicle that discharges."""
    status: dict[str, object] = {
        "evse_id": evse_id, "protocol": "ocpp2.1", "online": True, "plugged": True,
        "t_utc_s": UTC, "published_s": 0.0, "p_w": 4000.0, "soc_pct": 55.0,
        "capacity_wh": 60_000.0, "setpoint_w": 4000.0,
    }  # fmt: skip
    return EvseView(EvseStatus(**(status | values)), 4000.0, "droop", 7000.0, 15_000.0)


def snapshot(t_utc_s: float = UTC, views: tuple[EvseView, ...] = (), **values: object) -> Snapshot:
    """A complete snapshot at 49.90 Hz."""
    measured = Measurement(
        source="MU01", t_utc_s=t_utc_s, f_hz=49.9, rocof_hz_s=0.0, v1_v=230.0,
        quality=Validity.GOOD, wire_s=0.0, published_s=0.0, v_phase_v=(230.5, 230.0, 229.5),
    )  # fmt: skip
    loop = LoopView(
        mode="on", nominal_hz=50.0, deadband_hz=0.01, droop_pu=0.004, droop_w=4000.0,
        target_w=4000.0, ordered_w=4000.0, delivered_w=3980.0, up_w=7000.0, down_w=15_000.0,
        gain_w_per_hz=22_000.0, gain_limit_w_per_hz=1e6, gain_reason="", delay_s=0.4,
        authority=None, ticks=1, missed_ticks=0, setpoints_sent=1,
    )  # fmt: skip
    fields: dict[str, object] = {
        "t_utc_s": t_utc_s, "mono_s": 0.0, "measurement": measured, "loop": loop, "evses": views,
        "complete": True, "alarms": (), "workers": (), "clock_synchronised": True,
    }  # fmt: skip
    return Snapshot(**(fields | values))  # type: ignore[arg-type]


class Gateway:
    """The bus side of one gateway: an outbox on disk and one transport that empties it."""

    def __init__(self, folder: Path, settings: Bus, identity: Identity) -> None:
        name = "nats" if settings.nats else "mqtt"
        outbox = Outbox(
            folder / "outbox.db", [name], max_bytes=settings.max_mb * 1e6, keep_s=settings.keep_s
        )
        self.store = Store(outbox, settings.commit_s)
        kind = JetStreamTransport if settings.nats else MqttTransport
        self.transport = kind(settings, identity, self.store)
        self.sent: list[bytes] = []

    def put(self, count: int = 1) -> None:
        """Publish messages whose payload is their own count."""
        for _ in range(count):
            payload = f"{len(self.sent)}".encode()
            self.store.put(time.time(), READING, payload)
            self.sent.append(payload)

    async def put_evenly(self, hertz: float, seconds: float) -> None:
        """Publish telemetry at a rate."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number in range(int(hertz * seconds)):
            await asyncio.sleep(max(0.0, began_s + number / hertz - loop.time()))
            self.put()


@asynccontextmanager
async def running(folder: Path, settings: Bus, identity: Identity) -> AsyncIterator[Gateway]:
    """A gateway that runs; its end is that of a process that is told to stop."""
    gateway = Gateway(folder, settings, identity)
    tasks = [asyncio.create_task(gateway.store.run()), asyncio.create_task(gateway.transport.run())]
    try:
        yield gateway
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RuntimeError):
            await gateway.store.close()


async def until(condition, timeout_s: float = 30.0) -> None:
    """Wait for a condition; fail when it does not come in time."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            pytest.fail(f"did not happen within {timeout_s} s")
        await asyncio.sleep(0.02)
