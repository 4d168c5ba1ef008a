"""What the processes said since the last tick, and who must hear the answers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.control import Inputs
from agent.link import HubEvents, Peer
from agent.messages import (
    Acknowledge,
    Alarm,
    AnyMessage,
    AuditEvent,
    ControlRequest,
    DigitalInput,
    EvseStatus,
    FieldReading,
    Heartbeat,
    Measurement,
    OrderResult,
    OrderSent,
    Reload,
    RequestKind,
    Role,
    StationAnswer,
    StationCall,
    StatusQuery,
    SubscriptionHealth,
    Validity,
    Verification,
)

REQUESTS_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class Inbox:
    """Sorts messages by kind; `take` hands them to one step of the control.

    Attributes:
        queries: Peers that asked for the status.
        orders: Orders that left on the wire since the last `take_orders`.
        alarms: Alarms that workers raised or cleared since the last `take_alarms`.
        seen: What workers saw that the audit must keep, since the last `take_seen`.
        operator: What was asked of the daemon itself, since the last `take_operator`.
        sources: Newest report of every source.
        passing: OCPP calls and answers on their way, since the last `take_passing`.
        readings: What meters and analysers measured since the last `take_readings`.
        verifications: Last result for each device and EVSE.
    """

    measurements: list[Measurement] = field(default_factory=list)
    digital: dict[tuple[object, ...], DigitalInput] = field(default_factory=dict)
    statuses: dict[str, EvseStatus] = field(default_factory=dict)
    results: list[OrderResult] = field(default_factory=list)
    requests: list[ControlRequest] = field(default_factory=list)
    queries: list[Peer] = field(default_factory=list)
    orders: list[OrderSent] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    seen: list[AuditEvent] = field(default_factory=list)
    operator: list[Acknowledge | Reload | ControlRequest] = field(default_factory=list)
    passing: list[tuple[Peer, StationCall | StationAnswer]] = field(default_factory=list)
    sources: dict[str, Measurement] = field(default_factory=dict)
    readings: list[FieldReading] = field(default_factory=list)
    verifications: dict[tuple[object, ...], Verification] = field(default_factory=dict)
    subscriptions: dict[str, SubscriptionHealth] = field(default_factory=dict)
    counters: dict[str, dict[str, float]] = field(default_factory=dict)
    _owners: dict[str, Peer] = field(default_factory=dict)
    _known: dict[str, EvseStatus] = field(default_factory=dict)
    _senders: OrderedDict[str, Peer] = field(default_factory=OrderedDict)

    def put(self, events: HubEvents) -> None:
        """Take what one `Hub.poll` brought."""
        for peer, message in events.received:
            self._put(peer, message)
        for peer in events.left:
            self._lose(peer)

    def take(self) -> Inputs:
        """Return what is new since the last call."""
        inputs = Inputs(
            measurements=tuple(self.measurements),
            digital=tuple(self.digital.values()),
            evses=tuple(self.statuses.values()),
            results=tuple(self.results),
            requests=tuple(self.requests),
        )
        self.measurements, self.results, self.requests = [], [], []
        self.digital, self.statuses = {}, {}
        return inputs

    def forget_sources(self, before_s: float) -> None:
        """Forget sources whose newest report is older than a monotonic instant."""
        self.sources = {n: m for n, m in self.sources.items() if m.published_s >= before_s}

    def take_orders(self) -> list[OrderSent]:
        """Return the orders sent since the last call."""
        orders, self.orders = self.orders, []
        return orders

    def take_alarms(self) -> list[Alarm]:
        """Return the workers' alarms since the last call."""
        alarms, self.alarms = self.alarms, []
        return alarms

    def take_seen(self) -> list[AuditEvent]:
        """Return the workers' events for the audit since the last call."""
        seen, self.seen = self.seen, []
        return seen

    def take_operator(self) -> list[Acknowledge | Reload | ControlRequest]:
        """Return what was asked of the daemon itself since the last call."""
        asked, self.operator = self.operator, []
        return asked

    def take_passing(self) -> list[tuple[Peer, StationCall | StationAnswer]]:
        """Return what is on its way between stations and CSMS since the last call."""
        passing, self.passing = self.passing, []
        return passing

    def take_readings(self) -> list[FieldReading]:
        """Return what field devices measured since the last call."""
        readings, self.readings = self.readings, []
        return readings

    def take_queries(self) -> list[Peer]:
        """Return who asked for the status since the last call."""
        queries, self.queries = self.queries, []
        return queries

    def owner(self, evse_id: str) -> Peer | None:
        """The process that reaches this EVSE."""
        return self._owners.get(evse_id)

    def reaches(self, station: str) -> Peer | None:
        """The process that reaches this station."""
        start = f"{station}/"
        owners = (owner for name, owner in self._owners.items() if name.startswith(start))
        return next(owners, None)

    def sender(self, request_id: str) -> Peer | None:
        """The process that sent this request."""
        return self._senders.get(request_id)

    def _put(self, peer: Peer, message: AnyMessage) -> None:
        if isinstance(message, Measurement):
            self.measurements.append(message)
            self.sources[message.source] = message
        elif isinstance(message, EvseStatus):
            self._put_status(peer, message)
        elif isinstance(message, OrderSent):
            self.orders.append(message)
        elif isinstance(message, OrderResult):
            self.results.append(message)
        elif isinstance(message, ControlRequest):
            self._remember_sender(message, peer)
            own = message.kind is RequestKind.SIMULATION
            (self.operator if own else self.requests).append(message)
        else:
            self._put_rare(peer, message)

    def _put_status(self, peer: Peer, status: EvseStatus) -> None:
        """Take a status, unless it tells of an absence that another process knows better.

        A station may come back at another worker than the one that remembers it.
        """
        evse_id = status.evse_id
        owner = self._owners.get(evse_id, peer)
        if owner is not peer and not status.online and self._known[evse_id].online:
            return
        self._owners[evse_id] = peer
        self._known[evse_id] = self.statuses[evse_id] = status

    def _put_rare(self, peer: Peer, message: AnyMessage) -> None:
        if isinstance(message, Heartbeat):
            self.counters[message.name] = message.counters
        elif isinstance(message, DigitalInput):
            self.digital[message.key] = message
        elif isinstance(message, SubscriptionHealth):
            self.subscriptions[message.control_block] = message
        elif isinstance(message, Alarm):
            self.alarms.append(message)
        elif isinstance(message, AuditEvent):
            self.seen.append(message)
        elif isinstance(message, FieldReading):
            self.readings.append(message)
        elif isinstance(message, Verification):
            self.verifications[message.key] = message
        elif isinstance(message, StationCall | StationAnswer):
            self.passing.append((peer, message))
        elif isinstance(message, Acknowledge | Reload):
            self._remember_sender(message, peer)
            self.operator.append(message)
        elif isinstance(message, StatusQuery):
            peer.watching = message.watch
            self.queries.append(peer)

    def _remember_sender(self, request: ControlRequest | Acknowledge | Reload, peer: Peer) -> None:
        self._senders[request.request_id] = peer
        if len(self._senders) > REQUESTS_REMEMBERED:
            self._senders.popitem(last=False)

    def _lose(self, peer: Peer) -> None:
        """The process is gone: its EVSEs cannot be reached, its subscriptions are not heard."""
        for evse_id in [name for name, owner in self._owners.items() if owner is peer]:
            del self._owners[evse_id]
            lost = msgspec.structs.replace(
                self._known[evse_id], online=False, quality=Validity.QUESTIONABLE
            )
            self._known[evse_id] = self.statuses[evse_id] = lost
        if peer.hello is not None and peer.hello.role is Role.PROCESS_BUS:
            for name, health in self.subscriptions.items():
                self.subscriptions[name] = msgspec.structs.replace(
                    health, alive=False, reason="process bus worker down"
                )
