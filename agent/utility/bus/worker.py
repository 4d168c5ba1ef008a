"""The process that speaks to message brokers: `python -m agent.utility.bus.worker`.

A process of its own, so that nothing a broker does or leaves undone reaches the control: snapshots
come in over the link, telemetry and the fleet's parameters are its only other business. It takes
no orders from any bus.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Final

from msgspec.structs import asdict

from agent.config import Settings
from agent.control import Parameters, parameters_from
from agent.errors import ConfigurationError, Finding
from agent.messages import AnyMessage, Role, Snapshot
from agent.utility.bus import jetstream, mqtt
from agent.utility.bus.fleet import FleetLink
from agent.utility.bus.identity import Identity
from agent.utility.bus.jetstream import JetStreamTransport
from agent.utility.bus.link import together
from agent.utility.bus.mqtt import MqttTransport
from agent.utility.bus.outbox import Outbox
from agent.utility.bus.sampler import Sampler
from agent.utility.bus.store import Store
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

COUNT_S: Final = 0.5
MEGABYTE: Final = 1e6


class BusWorker:
    """Wires link, sampler, outbox and transports.

    Args:
        worker: The started worker.

    Raises:
        ConfigurationError: Files named in the settings that cannot be used.
        UnavailableError: The outbox cannot be opened.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        settings = worker.settings
        bus = settings.bus
        if settings.fleet.enabled and not bus.nats:
            finding = Finding("bus.nats", "is missing", "[fleet] needs the address of NATS")
            raise ConfigurationError((finding,))
        name = settings.gateway.name
        self._identity = Identity(name, bus.identity(name))
        addresses = {jetstream.NAME: bus.nats, mqtt.NAME: bus.mqtt}
        outbox = Outbox(
            settings.gateway.state_dir / "bus-outbox.db",
            [transport for transport, url in addresses.items() if url],
            max_bytes=bus.max_mb * MEGABYTE,
            keep_s=bus.keep_s,
        )
        self._store = Store(outbox, bus.commit_s)
        window_pct = (settings.power.min_soc_pct, settings.power.max_soc_pct)
        self._sampler = Sampler(bus, self._identity, window_pct, self._store.put)
        self._link = AsyncLink(worker, self._on_message, self._on_connect)
        self._transports: dict[str, JetStreamTransport | MqttTransport] = {}
        if bus.nats:
            self._transports["nats"] = JetStreamTransport(bus, self._identity, self._store)
        if bus.mqtt:
            self._transports["mqtt"] = MqttTransport(bus, self._identity, self._store)
        self._fleet: FleetLink | None = None
        if settings.fleet.enabled:
            self._fleet = FleetLink(
                settings,
                local_parameters(settings),
                self._identity,
                self._link.send,
                self._sampler.stock,
            )

    async def run(self) -> None:
        """Work until the control ends this process."""
        works = [self._store.run(), self._count(), self._link.run()]
        works += [each.run() for each in self._transports.values()]
        if self._fleet is not None:
            works.append(self._fleet.run())
        try:
            # A work that ends by itself has a defect: the process ends, and is started again.
            await together(*works)
        finally:
            await self._store.close()

    def _on_message(self, message: AnyMessage) -> None:
        if isinstance(message, Snapshot):
            self._sampler.take(message)
            if self._fleet is not None:
                self._fleet.take(message, self._sampler.views)

    def _on_connect(self) -> None:
        if self._fleet is not None:
            self._fleet.member.restate()

    async def _count(self) -> None:
        while True:
            merge_counters(self._worker, self._store.counters(time.time()))
            merge_counters(self._worker, {"samples": float(self._sampler.samples)})
            for name, transport in self._transports.items():
                merge_counters(self._worker, transport.health.counters(), f"{name}_")
            if self._fleet is not None:
                merge_counters(self._worker, self._fleet.counters())
            await asyncio.sleep(COUNT_S)


def local_parameters(settings: Settings) -> Parameters:
    """Return the control's local envelope, as the control itself reads it from the settings."""
    sections = (settings.grid, settings.control)
    values = {name: value for part in sections for name, value in asdict(part).items()}
    profile = dataclasses.asdict(settings.power)
    return parameters_from(**values, **profile, name=settings.gateway.name)


def main(worker: Worker) -> None:
    """Run until told to stop."""
    asyncio.run(_run(worker))


async def _run(worker: Worker) -> None:
    await BusWorker(worker).run()


if __name__ == "__main__":
    run_worker(Role.BUS, main)
