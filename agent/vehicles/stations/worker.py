"""The process that listens for charging stations: `python -m agent.vehicles.stations.worker`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Final

from loguru import logger

from agent import heap
from agent.config import Stations
from agent.errors import ConfigurationError, Finding, HandshakeTimeoutError, RefusedError
from agent.messages import (
    AnyMessage,
    GridSignal,
    ModeOrder,
    Role,
    Setpoint,
    StationAnswer,
    StationCall,
)
from agent.ocpp import CallError, Version, schemas
from agent.vehicles.stations.alarms import HandshakeAlarm
from agent.vehicles.stations.authorization import Authorizer, load_local_list
from agent.vehicles.stations.capability import load_models, models_folder
from agent.vehicles.stations.connection import Connection
from agent.vehicles.stations.dialect import Policy, SignRequest
from agent.vehicles.stations.fleet import Fleet
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.listeners import Listeners
from agent.vehicles.stations.memory import SUFFIX, Memory
from agent.vehicles.stations.outbox import Outbox
from agent.worker import AsyncLink, Worker, loop_policy, merge_counters, run_worker

SWEEP_S: Final = 0.25
SAVE_S: Final = 1.0
GC_THRESHOLD: Final = 5_000
COLLECT_AFTER: Final = 100
"""Ended connections after which their memory is reclaimed."""
HOT: Final = {
    Version.V21: (
        "BootNotification", "SetVariables", "GetVariables", "StatusNotification",
        "TransactionEvent", "SetChargingProfile", "NotifyEVChargingNeeds", "Heartbeat",
    ),
    Version.V201: (
        "BootNotification", "SetVariables", "GetVariables", "StatusNotification",
        "TransactionEvent", "SetChargingProfile", "Heartbeat", "MeterValues",
    ),
    Version.V16: (
        "BootNotification", "ChangeConfiguration", "GetConfiguration", "StatusNotification",
        "StartTransaction", "MeterValues", "SetChargingProfile", "Heartbeat",
    ),
}  # fmt: skip
"""Actions whose schemas are compiled before anybody needs them."""


class StationsWorker:
    """Wires listeners, fleet and link.

    Args:
        worker: The started worker.

    Raises:
        ConfigurationError: Files named in the settings that cannot be used.
        UnavailableError: A port is in use or may not be opened.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._settings = settings = _own_settings(worker)
        self._link = AsyncLink(worker, self._on_message, self._on_connect)
        self._outbox = Outbox(self._link)
        self._alarm = HandshakeAlarm(self._outbox.tell)
        self._signing: dict[str, asyncio.Task[None]] = {}
        authorizer = Authorizer(
            settings.authorization,
            load_local_list(settings.local_list) if settings.local_list else {},
        )
        policy = Policy(
            settings.heartbeat_s,
            settings.meter_interval_s,
            authorizer,
            load_models(models_folder(worker.settings)),
            signs_certificates=bool(settings.ca_command),
            alarm=self._outbox.tell,
        )
        self._memory = memory = Memory(worker.settings.gateway.state_dir / f"{worker.name}{SUFFIX}")
        self.fleet = Fleet(
            policy,
            self._outbox.tell,
            self._sign,
            lambda identity, later_than_s: memory.recall(identity, later_than_s, policy.models),
        )
        self.listeners = Listeners(settings, self.fleet, self._handshake_timeout)
        self.fleet.remember(self._memory.load(policy.models), Instant.now())

    async def run(self) -> None:
        """Serve until the control ends this process."""
        self.listeners.start()
        tasks = [asyncio.create_task(_prepare()), asyncio.create_task(self._sweep())]
        tasks.append(asyncio.create_task(self._housekeeping()))
        try:
            await self._link.run()
        finally:
            for task in tasks:
                task.cancel()
            self.listeners.close()
            self._memory.save(self.fleet.stations)

    def _on_message(self, message: AnyMessage) -> None:
        match message:
            case Setpoint() | ModeOrder():
                self.fleet.order(message)
            case GridSignal():
                self.fleet.signal(message)
            case StationCall():
                self.fleet.call(message)
            case StationAnswer():
                self.fleet.answer(message)

    def _on_connect(self) -> None:
        self.fleet.restate()
        self._alarm.restate()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            at = Instant.now()
            self.fleet.expire(at)
            self.listeners.expire(at)
            self._alarm.expire(at.mono_s)
            counters = self.fleet.totals()
            counters["handshake_timeouts"] = float(self._alarm.count)
            counters["refused"] = float(self.listeners.refused)
            merge_counters(self._worker, counters)

    async def _housekeeping(self) -> None:
        collected = 0
        while True:
            await asyncio.sleep(SAVE_S)
            self._memory.save(self.fleet.stations)
            self.listeners.reload()
            ended = self.fleet.counters.disconnects
            if ended - collected >= COLLECT_AFTER:
                # A closed TLS connection is a cycle of 40 kB that the collector finds late, and
                # what it leaves lies between what stays.
                collected = ended
                gc.collect()
                heap.give_back()

    def _handshake_timeout(self, error: HandshakeTimeoutError) -> None:
        logger.warning("{}", error)
        self._alarm.timed_out(error, Instant.now())

    def _sign(self, connection: Connection, wish: SignRequest) -> asyncio.Task[None] | None:
        """Start one signing for each station at most."""
        identity = connection.station.identity
        if identity in self._signing:
            return None
        task = asyncio.create_task(self._sign_one(connection, wish))
        self._signing[identity] = task
        task.add_done_callback(lambda _task: self._signing.pop(identity, None))
        return task

    async def _sign_one(self, connection: Connection, wish: SignRequest) -> None:
        # Its X.509 library takes 0.1 s to import, which a restarted worker has not to give.
        from agent.vehicles.stations import certificates

        station, kind = connection.station, wish.certificate_type
        try:
            csr = certificates.check_csr(
                wish.csr, station.identity, self._settings.organization, kind
            )
            chain = await certificates.sign(self._settings.ca_command, csr, station.identity, kind)
            payload = certificates.signed_request(chain, wish, station.version.is_2x)
            connection.call("CertificateSigned", payload)
        except (RefusedError, CallError) as error:
            logger.warning("{}: certificate request refused: {}", station.identity, error)


def _own_settings(worker: Worker) -> Stations:
    """Return the settings with the ports of this one of the stations' processes."""
    stations, path = worker.settings.stations, worker.settings.path
    if worker.name not in stations.worker_names:
        known = ", ".join(stations.worker_names)
        finding = Finding(f"{path}: stations.workers", f"asks for {known}, not {worker.name}", "")
        raise ConfigurationError((finding,))
    return stations.of_worker(stations.worker_names.index(worker.name))


def _compile_hot() -> Iterator[None]:
    """Compile the schemas of `HOT`, the most used first; pause after each."""
    for version, actions in HOT.items():
        for action in actions:
            schemas.prepare(version, (action,))
            yield


def prepare_stand_in() -> None:
    """Compile them all while nobody is served."""
    for _ in _compile_hot():
        pass


async def _prepare() -> None:
    """Compile schemas between two turns of the loop."""
    for _ in _compile_hot():
        await asyncio.sleep(0)
    heap.keep_what_lives()
    # The collector need not look so often at the rest.
    gc.set_threshold(GC_THRESHOLD, 10, 10)


def main(worker: Worker) -> None:
    """Run until told to stop."""
    asyncio.set_event_loop_policy(loop_policy())
    asyncio.run(_run(worker))


async def _run(worker: Worker) -> None:
    await StationsWorker(worker).run()


if __name__ == "__main__":
    run_worker(Role.STATIONS, main, prepare=prepare_stand_in)
