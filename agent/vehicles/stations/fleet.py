"""Every station of this worker: routes orders down, keeps the control informed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loguru import logger

from agent.errors import RefusedError
from agent.messages import Message, OrderResult, OrderSent, Setpoint
from agent.ocpp import Answered, CallError, CallReceived, Event, Failed, Request, Version
from agent.ocpp.profiles import order_request
from agent.vehicles.stations import v2, v16
from agent.vehicles.stations.capability import StationModel
from agent.vehicles.stations.connection import Connection
from agent.vehicles.stations.dialect import Context, Handler, Policy, handle
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.orders import plan
from agent.vehicles.stations.station import Station

_HANDLERS: Final[dict[Version, dict[str, Handler]]] = {
    Version.V16: v16.HANDLERS,
    Version.V201: v2.HANDLERS,
    Version.V21: v2.HANDLERS,
}


@dataclass(frozen=True, slots=True)
class OrderTag:
    """Rides on a SetChargingProfile call, so that its fate can be told to the control."""

    evse: int
    setpoint: Setpoint
    p_w: float


@dataclass(slots=True)
class FleetCounters:
    """What the fleet did; goes into the worker's heartbeat."""

    orders: int = 0
    refused: int = 0
    superseded: int = 0
    call_errors: int = 0
    connects: int = 0
    disconnects: int = 0


class Fleet:
    """Stations by identity, connected or not.

    Args:
        policy: What the site decides for all stations.
        tell: Sends a message to the control.
    """

    def __init__(self, policy: Policy, tell: Callable[[Message], None]) -> None:
        self.policy = policy
        self.counters = FleetCounters()
        self.stations: dict[str, Station] = {}
        self.connections: dict[str, Connection] = {}
        self._tell = tell

    def station(self, identity: str, version: Version) -> Station:
        """Return the station of this identity; a change of version starts it anew."""
        known = self.stations.get(identity)
        if known is None or known.version is not version:
            known = Station(identity, version, StationModel())
            self.stations[identity] = known
        return known

    def order(self, setpoint: Setpoint) -> None:
        """Carry out an order of the control, or tell it why not."""
        identity, _, number = setpoint.evse_id.rpartition("/")
        connection = self.connections.get(identity)
        station = self.stations.get(identity)
        if station is None or not number.isdecimal() or int(number) not in station.evses:
            return  # another worker's station
        try:
            self._send_order(station, connection, int(number), setpoint)
        except (RefusedError, CallError) as error:
            self._result(setpoint, accepted=False, reason=str(error))

    def restate(self) -> None:
        """Tell the control everything: it is new, or was away."""
        for station in self.stations.values():
            station.changed.update(station.evses)
            self._publish(station, Instant.now())

    def expire(self, at: Instant) -> None:
        """Give up calls whose time is over, on every connection."""
        for connection in list(self.connections.values()):
            connection.expire(at)

    def connected(self, connection: Connection) -> None:
        """A station is here; an older connection of it ends."""
        station = connection.station
        old = self.connections.get(station.identity)
        self.connections[station.identity] = connection
        if old is not None:
            old.abort()
        self.counters.connects += 1
        station.online = True
        station.changed.update(station.evses)
        self._publish(station, Instant.now())
        logger.info("{} connected with {}", connection.name, station.version.label)

    def disconnected(self, connection: Connection) -> None:
        """A station is gone: the control must know at once."""
        station = connection.station
        for event in connection.session.close():
            self._failed(event)
        self.counters.disconnects += 1
        if self.connections.get(station.identity) is not connection:
            return
        del self.connections[station.identity]
        station.online = False
        for evse in station.evses.values():
            evse.response.cancel()
        station.changed.update(station.evses)
        self._publish(station, Instant.now())
        logger.info("{} disconnected", connection.name)

    def happened(self, connection: Connection, events: list[Event], at: Instant) -> None:
        """Act on what a station sent, or did not send in time."""
        for event in events:
            match event:
                case CallReceived():
                    self._answer(connection, event, at)
                case Answered():
                    self._answered(connection, event, at)
                case Failed():
                    self._failed(event)
        self._publish(connection.station, at)
        self._follow_up(connection)

    def written(self, connection: Connection, request: Request, at: Instant) -> None:
        """An order left: its latency counts from here."""
        tag = request.tag
        if isinstance(tag, OrderTag):
            evse = connection.station.evse(tag.evse)
            evse.response.ordered(tag.p_w, at.mono_s, evse.reading.p_w)
            setpoint = tag.setpoint
            self.counters.orders += 1
            self._tell(
                OrderSent(setpoint.evse_id, setpoint.seq, tag.p_w, at.mono_s, setpoint.wire_s)
            )

    def _send_order(
        self, station: Station, connection: Connection | None, number: int, setpoint: Setpoint
    ) -> None:
        if connection is None:
            raise RefusedError("the station is not connected")
        at = Instant.now()
        order = plan(station, station.evse(number), setpoint, at.mono_s)
        payload = order_request(station.version, order, at.utc_s)
        connection.call(
            "SetChargingProfile",
            payload,
            tag=OrderTag(number, setpoint, order.p_w),
            key=("order", number),
            urgent=True,
            valid_until_s=setpoint.issued_s + setpoint.lease_s,
        )

    def _answer(self, connection: Connection, call: CallReceived, at: Instant) -> None:
        station = connection.station
        context = Context(station, self.policy, at)
        try:
            answer = handle(_HANDLERS[station.version], context, call.action, call.payload)
        except CallError as error:
            self.counters.call_errors += 1
            connection.session.refuse(call.message_id, error)
        else:
            connection.session.answer(call.message_id, answer)

    def _answered(self, connection: Connection, event: Answered, at: Instant) -> None:
        tag = event.request.tag
        if not isinstance(tag, OrderTag):
            return
        status = str(event.payload["status"])
        evse = connection.station.touch(tag.evse)
        if status == "Accepted":
            evse.setpoint_w = tag.p_w
            self._result(tag.setpoint, accepted=True, at=at)
        else:
            evse.response.cancel()
            detail = event.payload.get("statusInfo", {}).get("reasonCode", "")
            self._result(tag.setpoint, accepted=False, reason=f"{status} {detail}".strip())

    def _failed(self, event: Event) -> None:
        if not isinstance(event, Failed) or not isinstance(event.request.tag, OrderTag):
            return
        if event.code == "Superseded":
            self.counters.superseded += 1
            return
        reason = f"{event.code}: {event.description}"
        self._result(event.request.tag.setpoint, accepted=False, reason=reason)

    def _result(
        self, setpoint: Setpoint, *, accepted: bool, reason: str = "", at: Instant | None = None
    ) -> None:
        if not accepted:
            self.counters.refused += 1
        done_s = (at or Instant.now()).mono_s
        self._tell(OrderResult(setpoint.evse_id, setpoint.seq, accepted, done_s, reason))

    def _publish(self, station: Station, at: Instant) -> None:
        for number in sorted(station.changed):
            self._tell(station.status(number, at))
        station.changed.clear()

    def _follow_up(self, connection: Connection) -> None:
        while connection.station.follow_ups:
            wish = connection.station.follow_ups.popleft()
            try:
                connection.session.call(wish.action, wish.payload, tag=wish)
            except CallError as error:
                logger.warning("{}: {}: {}", connection.name, wish.action, error)
