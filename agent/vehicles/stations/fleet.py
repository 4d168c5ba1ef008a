"""Every station of this worker: who is here, what they say, and what is said to them."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loguru import logger

from agent.messages import (
    GridSignal,
    Message,
    ModeOrder,
    Setpoint,
    StationAnswer,
    StationCall,
)
from agent.ocpp import Answered, CallError, CallReceived, Event, Failed, Request, Version
from agent.ocpp.timestamps import format_utc
from agent.ocpp.v2x import OperationMode
from agent.vehicles.stations import v2, v16
from agent.vehicles.stations.connection import Connection
from agent.vehicles.stations.device_model import learn_configuration, learn_variables
from agent.vehicles.stations.dialect import (
    AskUpstream,
    Context,
    Handler,
    Policy,
    SignRequest,
    handle,
)
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.order_desk import OrderDesk, OrderTag
from agent.vehicles.stations.passage import UP, Passage, PassTag
from agent.vehicles.stations.station import FollowUp, Station

Signer = Callable[[Connection, SignRequest], "asyncio.Task[None] | None"]

Recall = Callable[[str, float], Station | None]

_HANDLERS: Final[dict[Version, dict[str, Handler]]] = {
    Version.V16: v16.HANDLERS,
    Version.V201: v2.HANDLERS,
    Version.V21: v2.HANDLERS,
}
_SIGNALLED: Final = frozenset({OperationMode.LOCAL_FREQUENCY, OperationMode.CENTRAL_FREQUENCY})
AWAITED_S: Final = 60.0
"""A station of before this process's restart is expected back for so long."""
SETTLE_S: Final = 2.0
"""An accepted order is in the control's `OrderResult`; a status that only repeats it waits so
long for a meter value to go with."""
PROBE_S: Final = 3.0
"""Time that a connection has to show that it lives when its identity knocks again."""


@dataclass(slots=True)
class FleetCounters:
    """What the fleet did; goes into the worker's heartbeat."""

    connects: int = 0
    disconnects: int = 0
    takeovers_refused: int = 0
    call_errors: int = 0


class Fleet:
    """Stations by identity, connected or not.

    Args:
        policy: What the site decides for all stations.
        tell: Sends a message to the control.
        signer: Starts the signing of a station's certificate request.
        recall: Returns what a sibling process knows of a station (identity, later than UTC s).
    """

    def __init__(
        self,
        policy: Policy,
        tell: Callable[[Message], None],
        signer: Signer = lambda _connection, _wish: None,
        recall: Recall = lambda _identity, _later_than_s: None,
    ) -> None:
        self.policy = policy
        self.counters = FleetCounters()
        self.stations: dict[str, Station] = {}
        self.connections: dict[str, Connection] = {}
        self.orders = OrderDesk(tell)
        self.passage = Passage(tell)
        self._tell = tell
        self._signer = signer
        self._recall = recall
        self._probes: dict[str, float] = {}
        self._settling: OrderedDict[str, float] = OrderedDict()

    def station(self, identity: str, version: Version) -> Station:
        """Return the station of this identity; a change of version starts it anew."""
        known = self.stations.get(identity)
        if known is None or not known.online:
            seen_s = known.seen_utc_s if known else 0.0
            known = self._recall(identity, seen_s) or known
            if known is not None:
                self.stations[identity] = known
        if known is None or known.version is not version:
            profile = known.security_profile if known else 0
            model = self.policy.models.find(protocol=version.subprotocol)
            known = Station(identity, version, model, security_profile=profile)
            self.stations[identity] = known
        return known

    def may_replace(self, identity: str, proven: bool, now_s: float) -> bool:
        """Whether a new connection may take the place of one that is up.

        Only who proved the identity may. Otherwise the present connection is asked for a sign of
        life, and when it gives none it ends, so that the station's next attempt succeeds.
        """
        present = self.connections.get(identity)
        if present is None or (proven and present.station.security_profile > 0):
            return True
        self.counters.takeovers_refused += 1
        if identity not in self._probes:
            self._probes[identity] = now_s + PROBE_S
            present.heard_s = min(present.heard_s, now_s)
            present.ping()
        return False

    def order(self, order: Setpoint | ModeOrder) -> None:
        """Carry out an order of the control; those for other workers' stations are not ours."""
        identity, _, number = order.evse_id.rpartition("/")
        station = self.stations.get(identity)
        if station is not None and number.isdecimal() and int(number) in station.evses:
            self.orders.order(station, self.connections.get(identity), int(number), order)

    def signal(self, signal: GridSignal) -> None:
        """Pass the restoration signal on to all EVSEs in a frequency mode (Q07)."""
        payload = {"timestamp": format_utc(signal.t_utc_s), "signal": signal.signal}
        for connection in tuple(self.connections.values()):
            modes = {evse.mode for evse in connection.station.evses.values()}
            if connection.station.version is Version.V21 and modes & _SIGNALLED:
                connection.call("AFRRSignal", payload, key="afrr", urgent=True)

    def call(self, call: StationCall) -> None:
        """Carry a call from above to its station, if it is one of ours."""
        if call.station in self.stations:
            self.passage.call(self.connections.get(call.station), call)

    def answer(self, answer: StationAnswer) -> None:
        """The CSMS answered a station's question."""
        self.passage.answer(answer)

    def remember(self, stations: dict[str, Station], at: Instant) -> None:
        """Expect back the stations that the process before this one served."""
        for station in stations.values():
            station.awaited_until_s = at.mono_s + AWAITED_S
        self.stations |= stations

    def restate(self) -> None:
        """Tell the control everything: it is new, or was away."""
        for station in self.stations.values():
            station.touch_all()
            self.publish(station, Instant.now())

    def expire(self, at: Instant) -> None:
        """Give up what took too long, on every connection."""
        now_s = at.mono_s
        late = [c for c in self.connections.values() if c.session.deadline_s <= now_s]
        for connection in late:
            connection.expire(at)
        self._settle(at)
        self._give_up_awaited(at)
        self.passage.expire(at.mono_s)
        self.orders.release(at.mono_s)
        self._end_probes(at.mono_s)

    def revoke(self, serial_numbers: frozenset[int]) -> None:
        """Disconnect the stations whose certificates were revoked."""
        for connection in tuple(self.connections.values()):
            if connection.serial_number in serial_numbers:
                logger.warning("{}: its certificate was revoked; disconnected", connection.name)
                connection.abort()

    def connected(self, connection: Connection) -> None:
        """A station is here; an older connection of it ends."""
        station = connection.station
        old = self.connections.get(station.identity)
        self.connections[station.identity] = connection
        if old is not None:
            old.abort()
        self.counters.connects += 1
        station.online, station.awaited_until_s = True, -math.inf
        station.touch_all()
        self.publish(station, Instant.now())
        logger.debug("{} connected with {}", connection.name, station.version.label)

    def disconnected(self, connection: Connection) -> None:
        """A station is gone: the control must know at once."""
        station = connection.station
        for event in connection.session.close():
            if isinstance(event, Failed):
                self._failed(station, event)
        self.counters.disconnects += 1
        if self.connections.get(station.identity) is not connection:
            return
        del self.connections[station.identity]
        station.online, station.seen_utc_s = False, Instant.now().utc_s
        for evse in station.evses.values():
            evse.response.cancel()
            evse.mode = ""
        station.touch_all()
        self.publish(station, Instant.now())
        logger.debug("{} disconnected", connection.name)

    def happened(self, connection: Connection, events: list[Event], at: Instant) -> None:
        """Act on what a station sent, or did not send in time."""
        station = connection.station
        for event in events:
            match event:
                case Answered():
                    self._answered(station, event, at)
                case CallReceived():
                    self._answer(connection, event, at)
                case Failed():
                    self._failed(station, event)
        if station.changed:
            self.publish(station, at)
        if station.follow_ups:
            self._follow_up(connection)

    def written(self, connection: Connection, request: Request, now_s: float) -> None:
        """A call left."""
        if isinstance(request.tag, OrderTag):
            self.orders.written(connection.station, request.tag, now_s)

    def publish(self, station: Station, at: Instant) -> None:
        """Tell the control what changed at a station."""
        for number in sorted(station.changed):
            self._tell(station.status(number, at))
        station.settled -= station.changed
        station.changed.clear()

    def _settle(self, at: Instant) -> None:
        """Publish what could wait, a while after the first order that the control knows of."""
        while self._settling and next(iter(self._settling.values())) <= at.mono_s:
            station = self.stations.get(self._settling.popitem(last=False)[0])
            if station is not None and station.settled:
                station.changed |= station.settled
                self.publish(station, at)

    def totals(self) -> dict[str, float]:
        """Return the counters for the heartbeat."""
        counters = dataclasses.asdict(self.counters)
        counters |= {f"orders_{k}": v for k, v in dataclasses.asdict(self.orders.counters).items()}
        counters |= {"stations": len(self.stations), "connected": len(self.connections)}
        return {name: float(value) for name, value in counters.items()}

    def _answer(self, connection: Connection, call: CallReceived, at: Instant) -> None:
        station, session = connection.station, connection.session
        context = Context(station, self.policy, at)
        self._want_boot(station, call)
        try:
            answer = handle(_HANDLERS[station.version], context, call.action, call.payload)
        except CallError as error:
            self.counters.call_errors += 1
            session.refuse(call.message_id, error)
            return
        if isinstance(answer, AskUpstream):
            self.passage.ask(connection, call, answer, at)
            return
        if isinstance(answer, SignRequest):
            session.answer(call.message_id, answer.answer)
            self._signer(connection, answer)
            return
        session.answer(call.message_id, answer)
        if call.action in UP:
            self.passage.inform(connection, call)

    def _want_boot(self, station: Station, call: CallReceived) -> None:
        """A station that runs for long does not boot for us; its make must be asked for (F06)."""
        if station.booted or station.asked_to_boot or call.action == "BootNotification":
            return
        station.asked_to_boot = True
        station.follow_up("TriggerMessage", {"requestedMessage": "BootNotification"})

    def _answered(self, station: Station, event: Answered, at: Instant) -> None:
        tag = event.request.tag
        if isinstance(tag, OrderTag):
            self.orders.answered(station, tag, event.payload, at)
            if station.settled:
                self._settling.setdefault(station.identity, at.mono_s + SETTLE_S)
        elif isinstance(tag, PassTag):
            self.passage.answered(station, tag, event)
        elif isinstance(tag, FollowUp):
            self._learn(station, event)

    def _learn(self, station: Station, event: Answered) -> None:
        match event.request.action:
            case "GetVariables":
                learn_variables(station, event.payload)
            case "GetConfiguration":
                learn_configuration(station, event.payload)

    def _failed(self, station: Station, event: Failed) -> None:
        tag = event.request.tag
        if isinstance(tag, OrderTag):
            self.orders.failed(tag, event)
        elif isinstance(tag, PassTag):
            self.passage.failed(station, tag, event)

    def _give_up_awaited(self, at: Instant) -> None:
        """Tell the control of the stations that did not come back."""
        for station in self.stations.values():
            if -math.inf < station.awaited_until_s <= at.mono_s:
                station.awaited_until_s = -math.inf
                station.touch_all()
                self.publish(station, at)

    def _follow_up(self, connection: Connection) -> None:
        while connection.station.follow_ups:
            wish = connection.station.follow_ups.popleft()
            try:
                connection.session.call(wish.action, wish.payload, tag=wish)
            except CallError as error:
                logger.warning("{}: {}: {}", connection.name, wish.action, error)

    def _end_probes(self, now_s: float) -> None:
        for identity, until_s in tuple(self._probes.items()):
            connection = self.connections.get(identity)
            if connection is None or connection.heard_s > until_s - PROBE_S:
                del self._probes[identity]
            elif now_s >= until_s:
                del self._probes[identity]
                logger.warning("{}: no sign of life; disconnected", connection.name)
                connection.abort()
