"""The process that listens for charging stations: `python -m agent.vehicles.stations.worker`."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Final

from loguru import logger

from agent.errors import HandshakeTimeoutError
from agent.messages import Alarm, AnyMessage, Role, Setpoint
from agent.ocpp import Version, schemas
from agent.vehicles.stations.acceptor import Acceptor
from agent.vehicles.stations.dialect import Policy
from agent.vehicles.stations.fleet import Fleet
from agent.vehicles.stations.handshake import Door
from agent.vehicles.stations.instant import Instant
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

SWEEP_S: Final = 0.25
HOT: Final = {
    Version.V21: (
        "BootNotification", "SetVariables", "StatusNotification", "TransactionEvent",
        "SetChargingProfile", "NotifyEVChargingNeeds", "Heartbeat", "MeterValues",
    ),
    Version.V201: (
        "BootNotification", "SetVariables", "StatusNotification", "TransactionEvent",
        "SetChargingProfile", "Heartbeat", "MeterValues",
    ),
    Version.V16: (
        "BootNotification", "ChangeConfiguration", "StatusNotification", "StartTransaction",
        "MeterValues", "SetChargingProfile", "Heartbeat",
    ),
}  # fmt: skip
"""Actions whose schemas are compiled before anybody needs them."""


class StationsWorker:
    """Wires listener, fleet and link."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        settings = worker.settings.stations
        self._link = AsyncLink(worker, self._on_message, self._on_connect)
        policy = Policy(settings.heartbeat_s, settings.meter_interval_s)
        self.fleet = Fleet(policy, self._link.send)
        door = Door(
            self.fleet,
            handshake_timeout_s=settings.handshake_timeout_s,
            call_timeout_s=settings.call_timeout_s,
            on_timeout=self._handshake_timeout,
        )
        self._acceptor = Acceptor(
            settings.host,
            settings.port,
            door.make_protocol,
            handshake_timeout_s=settings.handshake_timeout_s,
            on_timeout=self._handshake_timeout,
        )
        self._handshake_timeouts = 0

    async def run(self) -> None:
        """Serve until the control ends this process."""
        self._acceptor.start()
        logger.info("listening for charging stations on port {}", self._acceptor.port)
        tasks = [asyncio.create_task(_prepare()), asyncio.create_task(self._sweep())]
        try:
            await self._link.run()
        finally:
            for task in tasks:
                task.cancel()
            self._acceptor.close()

    def _on_message(self, message: AnyMessage) -> None:
        if isinstance(message, Setpoint):
            self.fleet.order(message)

    def _on_connect(self) -> None:
        self.fleet.restate()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.fleet.expire(Instant.now())
            counters = {key: float(n) for key, n in dataclasses.asdict(self.fleet.counters).items()}
            counters["connected"] = float(len(self.fleet.connections))
            counters["handshake_timeouts"] = float(self._handshake_timeouts)
            merge_counters(self._worker, counters)

    def _handshake_timeout(self, error: HandshakeTimeoutError) -> None:
        self._handshake_timeouts += 1
        logger.warning("{}", error)
        self._link.send(
            Alarm(
                error.code,
                active=True,
                source=f"stations {error.peer}",
                text=str(error),
                advice="Check the station's network, its security profile and its URL.",
                since_utc_s=time.time(),
            )
        )


async def _prepare() -> None:
    """Compile schemas between two turns of the loop, the most used first."""
    for version, actions in HOT.items():
        for action in actions:
            schemas.prepare(version, (action,))
            await asyncio.sleep(0)


def main(worker: Worker) -> None:
    """Run until told to stop."""
    asyncio.run(_run(worker))


async def _run(worker: Worker) -> None:
    await StationsWorker(worker).run()


if __name__ == "__main__":
    run_worker(Role.STATIONS, main)
