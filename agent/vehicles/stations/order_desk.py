"""Carries the control's orders to the stations, and what became of them back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.errors import RefusedError
from agent.messages import Message, ModeOrder, OrderResult, OrderSent, Setpoint
from agent.ocpp import CallError, Failed, Payload, Request, schemas
from agent.ocpp.profiles import order_request, update_request
from agent.ocpp.v2x import OperationMode
from agent.vehicles.stations.connection import Connection
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.orders import plan, plan_mode
from agent.vehicles.stations.station import Station

AnyOrder = Setpoint | ModeOrder
_CENTRAL: Final = OperationMode.CENTRAL_SETPOINT.value


class OrderTag(msgspec.Struct, frozen=True, gc=False):
    """Rides on an order's call, so that its fate can be told to the control."""

    number: int
    order: AnyOrder
    p_w: float
    mode: str


@dataclass(slots=True)
class OrderCounters:
    """What became of all orders; goes into the worker's heartbeat."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    superseded: int = 0


class OrderDesk:
    """Plans, sends and follows orders.

    Args:
        tell: Sends a message to the control.
    """

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self.counters = OrderCounters()
        self._tell = tell
        self._checked: set[tuple[object, ...]] = set()
        self._held: dict[str, tuple[Connection, int, Setpoint]] = {}
        self._last_s: dict[str, float] = {}

    def order(
        self, station: Station, connection: Connection | None, number: int, order: AnyOrder
    ) -> None:
        """Carry out an order, or tell the control why not."""
        if connection is None:
            self._result(order, accepted=False, reason="the station is not connected")
            return
        try:
            if isinstance(order, ModeOrder):
                self._send_mode(station, connection, number, order)
            elif not self._hold(station, connection, number, order):
                self._send(station, connection, number, order)
        except (RefusedError, CallError) as error:
            self._result(order, accepted=False, reason=str(error))

    def release(self, now_s: float) -> None:
        """Send the orders that waited for their station's shortest interval."""
        for evse_id, (connection, number, setpoint) in tuple(self._held.items()):
            station = connection.station
            if now_s >= self._last_s.get(evse_id, 0.0) + station.model.min_interval_s:
                del self._held[evse_id]
                alive = connection if station.online else None
                self.order(station, alive, number, setpoint)

    def written(self, station: Station, tag: OrderTag, now_s: float) -> None:
        """An order left: its latency counts from here."""
        evse, order = station.evses[tag.number], tag.order
        evse.response.ordered(tag.p_w, now_s, evse.reading.p_w)
        self.counters.sent += 1
        wire_s = order.wire_s if isinstance(order, Setpoint) else 0.0
        self._tell(OrderSent(order.evse_id, order.seq, tag.p_w, now_s, wire_s))

    def answered(self, station: Station, tag: OrderTag, answer: Payload, at: Instant) -> None:
        """The station accepted or rejected an order."""
        status, evse = answer["status"], station.evses[tag.number]
        if status == "Accepted":
            evse.setpoint_w = tag.p_w
            (station.settled if evse.mode == tag.mode else station.changed).add(tag.number)
            evse.mode = tag.mode
            self._result(tag.order, accepted=True, now_s=at.mono_s)
        else:
            evse.response.cancel()
            evse.mode = ""
            station.changed.add(tag.number)
            detail = answer.get("statusInfo", {}).get("reasonCode", "")
            self._result(tag.order, accepted=False, reason=f"{status} {detail}".strip())

    def failed(self, tag: OrderTag, event: Failed) -> None:
        """An order has no answer."""
        if event.code == "Superseded":
            self.counters.superseded += 1
            return
        self._result(tag.order, accepted=False, reason=f"{event.code}: {event.description}")

    def _hold(
        self, station: Station, connection: Connection, number: int, setpoint: Setpoint
    ) -> bool:
        """Keep an order that comes too early for its station; a newer one replaces it."""
        interval_s = station.model.min_interval_s
        if interval_s <= 0.0:
            return False
        now_s = Instant.now().mono_s
        if now_s >= self._last_s.get(setpoint.evse_id, 0.0) + interval_s:
            self._last_s[setpoint.evse_id] = now_s
            return False
        self._held[setpoint.evse_id] = (connection, number, setpoint)
        return True

    def _send(
        self, station: Station, connection: Connection, number: int, setpoint: Setpoint
    ) -> None:
        at, evse = Instant.now(), station.evse(number)
        order = plan(station, evse, setpoint, at.mono_s)
        worded = order
        if order.v2x and station.model.setpoint_sign < 0:
            worded = msgspec.structs.replace(order, p_w=-order.p_w)
        tag = OrderTag(number, setpoint, order.p_w, _CENTRAL if order.v2x else "")
        if order.v2x and station.model.dynamic_updates and evse.mode == _CENTRAL:
            action, payload = "UpdateDynamicSchedule", update_request(worded)
        else:
            action = "SetChargingProfile"
            payload = order_request(station.version, worded, at.utc_s)
        shape = (action, station.version, order.v2x, order.unit, order.phases, bool(order.q_var))
        if shape not in self._checked:
            schemas.check_request(station.version, action, payload)
            self._checked.add(shape)
        connection.submit(_urgent(action, payload, tag))

    def _send_mode(
        self, station: Station, connection: Connection, number: int, order: ModeOrder
    ) -> None:
        payload = plan_mode(station, station.evse(number), order, Instant.now())
        schemas.check_request(station.version, "SetChargingProfile", payload)
        tag = OrderTag(number, order, order.p_w, order.mode)
        connection.submit(_urgent("SetChargingProfile", payload, tag))

    def _result(
        self, order: AnyOrder, *, accepted: bool, reason: str = "", now_s: float | None = None
    ) -> None:
        if accepted:
            self.counters.accepted += 1
        else:
            self.counters.refused += 1
        done_s = time.monotonic() if now_s is None else now_s
        self._tell(OrderResult(order.evse_id, order.seq, accepted, done_s, reason))


def _urgent(action: str, payload: Payload, tag: OrderTag) -> Request:
    """A request that replaces an older order of its EVSE and goes before all that is none."""
    order = tag.order
    return Request(
        action, payload, tag, ("order", tag.number), True, order.issued_s + order.lease_s
    )
