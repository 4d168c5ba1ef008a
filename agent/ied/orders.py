"""Orders from SCADA: the control of an IED object as a `ControlRequest`, and back again.

Runs on threads of the engine (check, execute) and on the IED's own (outcome); one lock holds the
few fields that both touch.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.iec61850 import ObjectReference
from agent.ied.port import AddCause, ControlOrder, Native, number, whole
from agent.mapping import BoundControl, Context, Scope
from agent.mapping.fields import Getter
from agent.messages import (
    SITE,
    Authority,
    ControlRequest,
    EvseView,
    Message,
    RequestKind,
    RequestOutcome,
    RequestStatus,
)

OUTCOME_TIMEOUT_S: Final = 60.0
"""An order of which the control says nothing for this long has failed."""
_RANGE_SLACK: Final = 1e-3


@dataclass(slots=True)
class Waiting:
    """An order that the control has and has not answered.

    Attributes:
        requests: Those of its requests that are not final yet; a group's order has many.
        cause: The first failure among them.
    """

    serial: int
    since_s: float
    requests: set[str]
    cause: AddCause | None = None


class Orders:
    """Builds requests from control orders and matches outcomes to them.

    Args:
        send: Hand a message to the control; False when there is none.
        finish: `Engine.finish`.
        lease_s: Lease of an order whose node has no reversion time.
    """

    def __init__(
        self,
        send: Callable[[Message], bool],
        finish: Callable[[int, AddCause | None], None],
        lease_s: float,
    ) -> None:
        self._send = send
        self._finish = finish
        self._lease_s = lease_s
        self._waiting: dict[str, Waiting] = {}
        self._standing: dict[tuple[ObjectReference, str], str] = {}
        self._lock = threading.Lock()

    def place(
        self, order: ControlOrder, bound: BoundControl, target: str, lease_s: float | None
    ) -> AddCause | None:
        """Send an accepted order to the control; its outcome ends it.

        A withdrawal names the standing order that the same object gave before.
        """
        request = self._request(order, bound, target, lease_s)
        key = (order.target, target)
        if request.kind is RequestKind.WITHDRAW:
            earlier = self._standing.pop(key, "")
            request = msgspec.structs.replace(request, setting=earlier or request.request_id)
        else:
            self._standing[key] = request.request_id
        return self._place(order, [request])

    def place_group(
        self,
        order: ControlOrder,
        bound: BoundControl,
        members: Sequence[EvseView],
        lease_s: float | None,
    ) -> AddCause | None:
        """Split a group's order over its EVSEs in proportion to what each can do.

        The order is done when every EVSE has followed, and failed with the first that has not.
        """
        shares = split(_request_value(bound, order.value), members)
        if not shares:
            return AddCause.BLOCKED_BY_PROCESS
        return self._place(
            order,
            [
                msgspec.structs.replace(
                    self._request(order, bound, evse_id, lease_s), value=share_w
                )
                for evse_id, share_w in shares.items()
            ],
        )

    def outcome(self, outcome: RequestOutcome) -> None:
        """End the order that an outcome belongs to; an acceptance ends nothing."""
        if outcome.status is RequestStatus.ACCEPTED:
            return
        with self._lock:
            waiting = self._waiting.pop(outcome.request_id, None)
            if waiting is None:
                return
            waiting.requests.discard(outcome.request_id)
            waiting.cause = waiting.cause or _cause(outcome)
            if waiting.requests:
                return
        self._finish(waiting.serial, waiting.cause)

    def fail_all(self, cause: AddCause) -> None:
        """End every order: the control that had them is gone."""
        with self._lock:
            lost, self._waiting = self._waiting, {}
        for serial in {waiting.serial for waiting in lost.values()}:
            self._finish(serial, cause)

    def expire(self, now_s: float) -> None:
        """End orders that the control has forgotten."""
        with self._lock:
            late = {
                waiting.serial
                for waiting in self._waiting.values()
                if now_s - waiting.since_s > OUTCOME_TIMEOUT_S
            }
            self._waiting = {
                key: waiting for key, waiting in self._waiting.items() if waiting.serial not in late
            }
        for serial in late:
            self._finish(serial, AddCause.TIME_LIMIT_OVER)

    def _request(
        self, order: ControlOrder, bound: BoundControl, target: str, lease_s: float | None
    ) -> ControlRequest:
        return ControlRequest(
            request_id=f"mms-{uuid.uuid4().hex}",
            authority=Authority.SCADA,
            origin=origin_of(order),
            kind=_request_kind(bound, order.value),
            target=target,
            value=_request_value(bound, order.value),
            lease_s=lease_s if lease_s is not None and lease_s > 0 else self._lease_s,
            received_s=time.monotonic(),
            t_utc_s=time.time(),
            setting=_request_setting(bound, order.value),
            test=order.test,
        )

    def _place(self, order: ControlOrder, requests: Sequence[ControlRequest]) -> AddCause | None:
        names = {request.request_id for request in requests}
        waiting = Waiting(order.serial, time.monotonic(), set(names))
        with self._lock:
            self._waiting.update(dict.fromkeys(names, waiting))
        if all(self._send(request) for request in requests):
            return None
        with self._lock:
            for name in names:
                self._waiting.pop(name, None)
        return AddCause.ABORTION_BY_COMMUNICATION_LOSS


def split(value_w: float, members: Sequence[EvseView]) -> dict[str, float]:
    """Share a group's power, W, over its connected EVSEs in proportion to their limits."""
    able = {
        view.evse_id: view.status.discharge_max_w if value_w > 0 else view.status.charge_max_w
        for view in members
        if view.status.online and view.status.plugged
    }
    whole_w = sum(able.values())
    if not able or (value_w and not whole_w):
        return {}
    part = abs(value_w) / whole_w if whole_w else 0.0
    return {
        evse_id: math.copysign(limit_w * min(part, 1.0), value_w)
        for evse_id, limit_w in able.items()
    }


def check_range(
    bound: BoundControl,
    value: Native,
    context: Context | None,
    read: Callable[[ObjectReference], Native],
) -> AddCause | None:
    """Whether ctlVal is a number inside every limit of its object."""
    if isinstance(value, float) and not math.isfinite(value):
        return AddCause.INCONSISTENT_PARAMETERS
    row = bound.row
    if row.values:
        known = str(whole(value)) in row.values
        return None if known else AddCause.INCONSISTENT_PARAMETERS
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = row.low, row.high
    lows = [low, _field(bound.low, context), _attribute(bound.min_val, read)]
    highs = [high, _field(bound.high, context), _attribute(bound.max_val, read)]
    has_attributes = bound.min_val is not None and lows[2] != highs[2]
    lows, highs = (lows, highs) if has_attributes else (lows[:2], highs[:2])
    least = max((limit for limit in lows if limit is not None), default=-math.inf)
    most = min((limit for limit in highs if limit is not None), default=math.inf)
    slack = _RANGE_SLACK * max(1.0, abs(value))
    if least - slack <= value <= most + slack:
        return None
    return AddCause.INCONSISTENT_PARAMETERS


def request_target(bound: BoundControl, evse_id: str | None) -> str | None:
    """Target of a request: the gateway, the EVSE or the group; None where nothing is there."""
    if bound.scope is Scope.GATEWAY:
        return SITE
    return bound.device if bound.scope is Scope.GROUP else evse_id


def origin_of(order: ControlOrder) -> str:
    """Who ordered, for audit and arbitration: orIdent, orCat and the peer."""
    ident = order.origin_ident.decode("utf-8", errors="backslashreplace")
    printable = "".join(c if c.isprintable() else "?" for c in ident)
    return f"{printable or 'unnamed'} (orCat {order.origin_category}) {order.session}"


def _request_value(bound: BoundControl, value: Native | None) -> float:
    if bound.row.values or value is None:
        return 0.0
    return number(value) * bound.row.scale


def _request_kind(bound: BoundControl, value: Native | None) -> RequestKind:
    """The row's request, or the one that the row names for this ordinal."""
    text = bound.row.values.get(str(whole(value)), "") if bound.row.values else ""
    return RequestKind(text) if text in RequestKind.__members__.values() else bound.row.request


def _request_setting(bound: BoundControl, value: Native | None) -> str:
    if bound.row.values and value is not None:
        return bound.row.values[str(whole(value))]
    return bound.row.setting


def _field(getter: Getter | None, context: Context | None) -> float | None:
    if getter is None or context is None:
        return None
    value = getter(context).value
    return None if value is None or isinstance(value, str) else float(value)


def _attribute(
    reference: ObjectReference | None, read: Callable[[ObjectReference], Native]
) -> float | None:
    return None if reference is None else number(read(reference))


def _cause(outcome: RequestOutcome) -> AddCause | None:
    if outcome.status is RequestStatus.COMPLETED:
        return None
    try:
        return AddCause(outcome.add_cause)
    except ValueError:
        return AddCause.UNKNOWN
