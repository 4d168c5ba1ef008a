"""Pass-through: each station behind the gateway keeps a connection of its own to the CSMS.

That is how OCPP routes through a local controller (2.0.1 part 4, clause 7): the CSMS sees every
station under its own name and in its own version, and reaches its variables, firmware, logs and
certificates. Power is not ordered there: it is ordered of the gateway, whose control arbitrates.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Final

import orjson
from loguru import logger

from agent.errors import AlarmCode, ConfigurationError, HandshakeTimeoutError, ProtocolError
from agent.messages import EvseView, Snapshot, StationCall
from agent.ocpp import CallError, ErrorCode, Payload, Version
from agent.utility.context import Context
from agent.utility.csms import wording2, wording16
from agent.utility.csms.address import AddressBook
from agent.utility.csms.connection import CsmsConnection, run_until_closed
from agent.utility.csms.dial import dial
from agent.utility.csms.pacing import Backoff, RoundTrip

AT_ONCE: Final = 16
"""Stations that connect at the same time."""
SPREAD_S: Final = 2.0
SOURCE: Final = "csms-stations"
"""One source for all of them: a thousand stations are one condition."""
LOOK_S: Final = 1.0
_VERSIONS: Final = {version.label: version for version in Version} | {
    version.subprotocol: version for version in Version
}
_POWER: Final = frozenset({
    "AFRRSignal", "RemoteStartTransaction", "RequestStartTransaction", "SetChargingProfile",
    "UpdateDynamicSchedule",
})  # fmt: skip
_ADVICE: Final = "check network and [utility] url; does the CSMS know the station's identity?"
_REFUSAL: Final = "power is ordered of the gateway, not of a single station behind it"


@dataclass(slots=True)
class _Link:
    """One station's connection."""

    identity: str
    version: Version
    trip: RoundTrip
    backoff: Backoff
    connection: CsmsConnection | None = None
    accepted: bool = False
    task: asyncio.Task[None] | None = None
    told: dict[int, str] = field(default_factory=dict)


class StationLinks:
    """The connections, opened and closed as stations come and go.

    Args:
        context: The control.
        addresses: Where the CSMS is.
    """

    def __init__(self, context: Context, addresses: AddressBook) -> None:
        self._context = context
        self._settings = context.settings.utility
        self._addresses = addresses
        self._links: dict[str, _Link] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._calls: set[asyncio.Task[None]] = set()
        context.listeners.append(self._follow)
        context.on_station_call = self._called

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                up = sum(link.accepted for link in self._links.values())
                self._context.counters["csms_stations"] = float(up)
        finally:
            for link in tuple(self._links.values()):
                self._drop(link)

    def _follow(self, snapshot: Snapshot) -> None:
        if not snapshot.complete:
            return
        present: dict[str, Version] = {}
        for view in self._context.fleet:
            identity, _, number = view.evse_id.rpartition("/")
            version = _VERSIONS.get(view.status.protocol)
            if identity and number.isdecimal() and view.status.online and version is not None:
                present[identity] = version
        for identity, link in tuple(self._links.items()):
            if present.get(identity) is not link.version:
                self._drop(link)
        for identity, version in present.items():
            if identity not in self._links and version.subprotocol in self._settings.protocols:
                self._add(identity, version)

    def _add(self, identity: str, version: Version) -> None:
        settings = self._settings
        trip = RoundTrip(settings.call_timeout_min_s, settings.call_timeout_max_s)
        backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s)
        link = self._links[identity] = _Link(identity, version, trip, backoff)
        link.task = asyncio.create_task(self._keep(link))

    def _drop(self, link: _Link) -> None:
        self._links.pop(link.identity, None)
        if link.connection is not None:
            link.connection.close(reason="the station is gone")
        if link.task is not None:
            link.task.cancel()

    async def _keep(self, link: _Link) -> None:
        await asyncio.sleep(SPREAD_S * random.random() * min(1.0, len(self._links) / AT_ONCE))
        while True:
            started_s = time.monotonic()
            try:
                await self._attempt(link)
                link.backoff.held(time.monotonic() - started_s)
            except HandshakeTimeoutError as error:
                self._context.count("csms_handshake_timeouts")
                text = f"{error}, for station {link.identity}"
                self._context.alarm(AlarmCode.HANDSHAKE_TIMEOUT, True, SOURCE, text, _ADVICE)
            except (ProtocolError, ConfigurationError) as error:
                logger.warning("station {}: no CSMS: {}", link.identity, error)
            finally:
                link.accepted = False
                if link.connection is not None:
                    link.connection.abort("the gateway gives up")
                link.connection = None
            await asyncio.sleep(link.backoff.next_s())

    async def _attempt(self, link: _Link) -> None:
        timeout_s = self._settings.handshake_timeout_s
        address = self._addresses.of(link.identity, (link.version.subprotocol,))

        def make(version: Version) -> CsmsConnection:
            async def handler(action: str, payload: Payload) -> Payload:
                return await self._pass_down(link, action, payload)

            return CsmsConnection(version, handler, link.trip)

        async with self._gate:
            _, listener, trip_s = await dial(address, make, timeout_s)
            assert isinstance(listener, CsmsConnection)  # noqa: S101 - `make` made it
            link.trip.measured(trip_s)
            link.connection = listener
            interval_s = await self._boot(link, listener)
        link.told.clear()
        await run_until_closed(
            listener, [self._beat(listener, interval_s), self._tell(link, listener)]
        )

    async def _boot(self, link: _Link, connection: CsmsConnection) -> float:
        """Boot in the station's name; return the heartbeat interval."""
        status = next((view.status for view in self._views(link)), None)
        vendor = (status.vendor if status else "") or wording2.VENDOR
        model = (status.model if status else "") or "unknown"
        payload: Payload = {"chargePointVendor": vendor[:20], "chargePointModel": model[:20]}
        if link.version is not Version.V16:
            make = {"vendorName": vendor[:50], "model": model[:20]}
            payload = {"reason": "Unknown", "chargingStation": make}
        while True:
            timeout_s = self._settings.handshake_timeout_s
            try:
                answer = await connection.call("BootNotification", payload, timeout_s)
            except CallError as error:
                if error.code == "Timeout":
                    raise HandshakeTimeoutError(self._addresses.peer, "boot") from error
                raise
            interval_s = float(answer.get("interval", 0)) or 60.0
            if answer["status"] == "Accepted":
                link.accepted = True
                self._context.alarm(AlarmCode.HANDSHAKE_TIMEOUT, False, SOURCE, "", "")
                return interval_s
            await asyncio.sleep(interval_s)

    async def _beat(self, connection: CsmsConnection, interval_s: float) -> None:
        while True:
            with contextlib.suppress(CallError):
                await connection.call("Heartbeat", {})
            await asyncio.sleep(interval_s)

    async def _tell(self, link: _Link, connection: CsmsConnection) -> None:
        """Tell the states of the station's connectors, as they change."""
        while True:
            for view in self._views(link):
                number = int(view.evse_id.rpartition("/")[2])
                if link.version is Version.V16:
                    payload = wording16.status(number, view.status, time.time())
                    state = str(payload["status"])
                else:
                    payload = wording2.status(number, view.status, time.time())
                    state = str(payload["connectorStatus"])
                if link.told.get(number) != state:
                    link.told[number] = state
                    with contextlib.suppress(CallError):
                        await connection.call("StatusNotification", payload)
            await asyncio.sleep(LOOK_S)

    async def _pass_down(self, link: _Link, action: str, payload: Payload) -> Payload:
        """Carry a call of the CSMS to its station and the answer back."""
        if action in _POWER:
            self._context.audit("refusal", link.identity, f"{action}: {_REFUSAL}")
            if link.version is Version.V16:
                return {"status": "Rejected"}
            info = {"reasonCode": "UnsupportedRequest", "additionalInfo": _REFUSAL}
            return {"status": "Rejected", "statusInfo": info}
        self._context.count("csms_passed_down")
        answer = await self._context.call_station(link.identity, action, orjson.dumps(payload))
        if answer.error:
            raise _as_error(answer.error)
        found: Payload = orjson.loads(answer.payload)
        return found

    def _called(self, call: StationCall) -> None:
        """A station asks its CSMS, or tells it something."""
        link = self._links.get(call.station)
        if link is None or link.connection is None or not link.accepted:
            self._context.answer_station(call, error="no CSMS")
            return
        task = asyncio.create_task(self._pass_up(link.connection, call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _pass_up(self, connection: CsmsConnection, call: StationCall) -> None:
        try:
            answer = await connection.call(call.action, orjson.loads(call.payload))
        except (CallError, orjson.JSONDecodeError) as error:
            self._context.answer_station(call, error=str(error))
            return
        self._context.count("csms_passed_up")
        self._context.answer_station(call, orjson.dumps(answer))

    def _views(self, link: _Link) -> list[EvseView]:
        start = f"{link.identity}/"
        return [view for view in self._context.fleet if view.evse_id.startswith(start)]


def _as_error(text: str) -> CallError:
    """Give the CSMS the station's own error code, where it had one."""
    code, _, description = text.partition(": ")
    try:
        return CallError(ErrorCode(code), description)
    except ValueError:
        refused = "does not pass through" in text
        return CallError(ErrorCode.NOT_SUPPORTED if refused else ErrorCode.INTERNAL_ERROR, text)
