"""The OCPP client: connect, boot, stay; come back when the connection is lost.

The gateway is one charging station whose EVSEs are those of the fleet. What the vehicles do never
waits for anything in here.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger

from agent.config import Utility
from agent.errors import (
    AlarmCode,
    ConfigurationError,
    HandshakeTimeoutError,
    ProtocolError,
)
from agent.messages import Authority, Snapshot
from agent.ocpp import CallError, Payload, Version
from agent.ocpp.timestamps import parse_utc
from agent.utility.context import Context
from agent.utility.csms import wording2, wording16
from agent.utility.csms.address import AddressBook
from agent.utility.csms.connection import CsmsConnection, run_until_closed
from agent.utility.csms.delivery import deliver
from agent.utility.csms.der import DerDesk
from agent.utility.csms.desk import Desk
from agent.utility.csms.dial import ConnectError, dial
from agent.utility.csms.journal import Journal
from agent.utility.csms.pacing import Backoff, RoundTrip
from agent.utility.csms.reports import Reports
from agent.utility.csms.smart_charging import SmartCharging
from agent.utility.csms.transactions import Transactions
from agent.utility.csms.wishes import WishBook

TICK_S: Final = 0.5
HEARTBEAT_S: Final = 300.0
"""Where the CSMS names no interval (0: "as you like")."""
BOOT_PAUSE_S: Final = 30.0
SOURCE: Final = "csms"
JOURNAL: Final = "csms.sqlite"
_ADVICE: Final = "check network, [utility] url and certificates; the local droop goes on meanwhile"


@dataclass(slots=True)
class LinkState:
    """What people want to know of the connection.

    Attributes:
        stage: `connecting`, `booting`, `pending`, `connected` or `waiting`.
        why: What went wrong last; empty while connected.
    """

    stage: str = "connecting"
    version: Version | None = None
    peer: str = ""
    why: str = ""
    connects: int = 0
    heartbeats: int = 0
    round_trip_s: float = 0.0
    skew_s: float = 0.0


class CsmsClient:
    """The service; made once.

    Args:
        context: The control.
        on_change: Called with the state after every change of it.
        journal: File of the journal; in the state folder where None.

    Raises:
        ConfigurationError: Certificate, key, authorities or password cannot be used.
        UnavailableError: The journal cannot be opened.
    """

    def __init__(
        self,
        context: Context,
        on_change: Callable[[LinkState], None] = lambda _state: None,
        journal: Path | None = None,
    ) -> None:
        self.state = LinkState()
        self._context = context
        self.settings = settings = context.settings.utility
        self._on_change = on_change
        self._identity = settings.identity or context.settings.gateway.name
        self.addresses = AddressBook(settings)
        self.addresses.of(self._identity)  # what is wrong with the files is said now
        path = journal or context.settings.gateway.state_dir / JOURNAL
        self.journal = Journal(path, settings.queue_max)
        self.transactions = Transactions(self.journal, settings.meter_interval_s)
        authority = authority_of(settings)
        wishes = WishBook(context, SOURCE, authority)
        self.der = DerDesk(context)
        self.smart = SmartCharging(context, self.journal, self.transactions, wishes)
        self.smart.others.append(self.der.desires)
        self.reports = Reports(context, self.transactions)
        self._trip = RoundTrip(settings.call_timeout_min_s, settings.call_timeout_max_s)
        self._backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s)
        self._news = asyncio.Event()
        self.connection: CsmsConnection | None = None
        self.heartbeat_s = HEARTBEAT_S
        self._desk = Desk(context, self)
        self._boot_reason = "PowerUp"
        context.listeners.append(self._follow)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        work = [asyncio.create_task(each) for each in (self._keep(), self._tick())]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            self._context.listeners.remove(self._follow)
            self.journal.close()

    async def _keep(self) -> None:
        while True:
            await self._attempt()
            self._changed("waiting")
            await asyncio.sleep(self._backoff.next_s())

    @property
    def timeout_s(self) -> float:
        """Time that the CSMS has to answer now."""
        return self._trip.timeout_s

    async def call(self, action: str, payload: Payload) -> Payload:
        """Ask the CSMS. Raises `CallError`, with a code of `LOST` when it is not connected."""
        if self.connection is None:
            raise CallError("Closed", "the CSMS is not connected")
        return await self.connection.call(action, payload)

    async def boot(self, connection: CsmsConnection, reason: str) -> Payload:
        """Send BootNotification and return the answer."""
        release = importlib.metadata.version("v2g-agent")
        if connection.version is Version.V16:
            payload = wording16.boot(self._identity, release)
        else:
            payload = wording2.boot(self._identity, release, reason)
        timeout_s = self.settings.handshake_timeout_s
        return await connection.call("BootNotification", payload, timeout_s)

    async def _attempt(self) -> None:
        """One connection, from the first packet to its end."""
        started_s = time.monotonic()
        why = ""
        try:
            connection = await self._open()
            try:
                interval_s = await self._boot(connection)
                started_s = time.monotonic()
                await self._serve(connection, interval_s)
            finally:
                self.connection = None
                self.transactions.online = False
                connection.close(reason="the gateway ends the connection")
            why = connection.why or "the connection was lost"
            self._backoff.held(time.monotonic() - started_s)
        except HandshakeTimeoutError as error:
            why = str(error)
            self._context.count("csms_handshake_timeouts")
            self._context.alarm(AlarmCode.HANDSHAKE_TIMEOUT, True, SOURCE, why, _ADVICE)
        except (ProtocolError, ConfigurationError) as error:
            why = str(error)
        self._lost(why)

    async def _open(self) -> CsmsConnection:
        address = self.addresses.of(self._identity)
        self.state.peer = address.peer
        self._changed("connecting")

        def make(version: Version) -> CsmsConnection:
            async def handler(action: str, payload: Payload) -> Payload:
                self.smart.heard_s = time.monotonic()
                return await self._desk.answer(version, action, payload)

            return CsmsConnection(version, handler, self._trip)

        timeout_s = self.settings.handshake_timeout_s
        _, listener, trip_s = await dial(address, make, timeout_s)
        assert isinstance(listener, CsmsConnection)  # noqa: S101 - `make` made it
        self._trip.measured(trip_s)
        self.connection = listener
        self.state.version = listener.version
        return listener

    async def _boot(self, connection: CsmsConnection) -> float:
        """Boot until the CSMS accepts; return its heartbeat interval."""
        while True:
            self._changed("booting")
            try:
                answer = await self.boot(connection, self._boot_reason)
            except CallError as error:
                if error.code == "Timeout":
                    raise HandshakeTimeoutError(self.state.peer, "boot") from error
                raise ConnectError(self.state.peer, "boot", connection.why or str(error)) from error
            self._learn_time(answer)
            interval_s = float(answer.get("interval", 0))
            if answer["status"] == "Accepted":
                return interval_s if interval_s > 0.0 else HEARTBEAT_S
            self._changed("pending", f"the CSMS answers {answer['status']}")
            await self._closed_within(connection, interval_s or BOOT_PAUSE_S)

    async def _closed_within(self, connection: CsmsConnection, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(connection.closed.wait(), seconds)
            what = connection.why or "the connection was lost"
            raise ConnectError(self.state.peer, "boot", what)

    async def _serve(self, connection: CsmsConnection, interval_s: float) -> None:
        """Everything that happens while the CSMS is there."""
        self.state.connects += 1
        self._boot_reason = "Unknown"
        self.transactions.online = True
        self.heartbeat_s = interval_s
        self._changed("connected")
        logger.info("connected to {} with {}", self.state.peer, connection.version.label)
        self._context.audit("service", SOURCE, f"connected with {connection.version.label}")
        for code in (AlarmCode.UPSTREAM_LOST, AlarmCode.HANDSHAKE_TIMEOUT):
            self._context.alarm(code, False, SOURCE, "", "")
        work = [
            self._beat(connection, min(interval_s, self.settings.lease_s / 3.0)),
            deliver(connection, self.journal, self._news, self._context),
            self.reports.run(connection, self.der),
            self._pull(),
        ]
        await run_until_closed(connection, work)

    async def _beat(self, connection: CsmsConnection, interval_s: float) -> None:
        while True:
            with contextlib.suppress(CallError):
                answer = await connection.call("Heartbeat", {})
                self.state.heartbeats += 1
                self._learn_time(answer)
                self._changed("connected")
            await asyncio.sleep(interval_s)

    async def _pull(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.smart.pull(self.call)

    async def _tick(self) -> None:
        """Renew the wishes while the CSMS is heard; they end by themselves when it is not."""
        while True:
            await asyncio.sleep(TICK_S)
            if self.connection is not None and self.state.stage == "connected":
                self.smart.heard_s = self.connection.heard_s
            await self.smart.renew()
            self._count()

    def _follow(self, snapshot: Snapshot) -> None:
        if snapshot.complete:
            fleet = self._context.fleet
            if self.transactions.follow(fleet, time.monotonic(), time.time()):
                self._news.set()

    def _lost(self, why: str) -> None:
        self.state.why = why
        logger.warning("no CSMS: {}", why)
        self._context.alarm(AlarmCode.UPSTREAM_LOST, True, SOURCE, f"no CSMS: {why}", _ADVICE)

    def _changed(self, stage: str, why: str = "") -> None:
        self.state.stage = stage
        self.state.round_trip_s = self._trip.smoothed_s
        if stage in ("connected", "pending"):
            self.state.why = why
        self._on_change(self.state)

    def _learn_time(self, answer: Payload) -> None:
        """Compare the clocks; ours is disciplined by the system, never by a CSMS."""
        theirs_s = parse_utc(answer.get("currentTime"))
        if theirs_s is not None:
            self.state.skew_s = theirs_s + self._trip.smoothed_s / 2.0 - time.time()

    def _count(self) -> None:
        self._context.counters.update(
            csms_connected=float(self.state.stage == "connected"),
            csms_connects=float(self.state.connects),
            csms_heartbeats=float(self.state.heartbeats),
            csms_round_trip_ms=self._trip.smoothed_s * 1e3,
            csms_timeout_ms=self._trip.timeout_s * 1e3,
            csms_queued=float(len(self.journal)),
            csms_thinned=float(self.journal.thinned),
            csms_transactions=float(len(self.transactions.running)),
            csms_clock_skew_ms=self.state.skew_s * 1e3,
            csms_profiles=float(len(self.smart.store)),
        )


def authority_of(settings: Utility) -> Authority:
    """Return the rank of what the upstream orders."""
    if settings.authority == "balancing-authority":
        return Authority.BALANCING_AUTHORITY
    return Authority.CSMS
