"""What an operator may do on the page: acknowledge, stop, resume, and a bounded test."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent import strict_json
from agent.errors import AlarmCode
from agent.hmi.page.access import Access
from agent.messages import (
    SITE,
    Acknowledge,
    Authority,
    ControlRequest,
    Message,
    RequestKind,
    RequestOutcome,
)

ANSWER_S: Final = 5.0
STOP_LEASE_S: Final = 24 * 3600.0
GRACE_S: Final = 5.0
_GATEWAY_TIMEOUT: Final = 504
_CONFLICT: Final = 409

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Seen(msgspec.Struct, tag="acknowledge", forbid_unknown_fields=True):
    """The operator has seen the alarm with this code and source."""

    code: AlarmCode
    source: Name


class Stop(msgspec.Struct, tag="stop", forbid_unknown_fields=True):
    """Everything at the target to zero until `Resume`."""

    target: Name = SITE


class Resume(msgspec.Struct, tag="resume", forbid_unknown_fields=True):
    """End the order `order`, whoever of the operators gave it."""

    order: Name


class Test(msgspec.Struct, tag="test", forbid_unknown_fields=True):
    """A bounded test: `power_w` (positive discharges) for `duration_s`."""

    power_w: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
    duration_s: Annotated[float, msgspec.Meta(ge=1, le=3600)]
    target: Name = SITE


Order = Seen | Stop | Resume | Test


class Orders:
    """Turns what an operator asks into `ControlRequest`s, and waits for what became of them.

    Args:
        access: Who may.
        send: To the control.
    """

    def __init__(self, access: Access, send: Callable[[Message], None]) -> None:
        self._access = access
        self._send = send
        self._waiting: dict[str, asyncio.Future[RequestOutcome]] = {}
        self.sent = 0

    def take(self, outcome: RequestOutcome) -> None:
        """Hear what became of an order; the first word of the control is the answer."""
        waiting = self._waiting.get(outcome.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)

    async def order(self, request: Request) -> Response:
        """`POST /api/orders`."""
        session = self._access.operator(request)
        if isinstance(session, Response):
            return session
        try:
            order = strict_json.decode(await request.body(), Order)
        except msgspec.DecodeError as error:
            return JSONResponse({"error": str(error)}, 400)
        wish = _request(order, f"hmi:{session.user.name}")
        outcome = await self._ask(wish)
        if outcome is None:
            return JSONResponse({"error": "the control does not answer"}, _GATEWAY_TIMEOUT)
        good = outcome.status in ("accepted", "completed")
        body = {"id": wish.request_id, "status": outcome.status, "reason": outcome.reason}
        return JSONResponse(body, 200 if good else _CONFLICT)

    async def _ask(self, wish: Acknowledge | ControlRequest) -> RequestOutcome | None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[wish.request_id] = waiting
        try:
            self._send(wish)
            self.sent += 1
            return await asyncio.wait_for(waiting, ANSWER_S)
        except TimeoutError:
            return None
        finally:
            del self._waiting[wish.request_id]


def _request(order: Order, origin: str) -> Acknowledge | ControlRequest:
    match order:
        case Seen(code, source):
            return Acknowledge(_identity(), origin, code, source)
        case Stop(target):
            return _wish(origin, RequestKind.STOP, STOP_LEASE_S, target=target)
        case Resume(number):
            return _wish(origin, RequestKind.WITHDRAW, STOP_LEASE_S, setting=number)
    return _wish(
        origin,
        RequestKind.WATT_SETPOINT,
        order.duration_s + GRACE_S,
        target=order.target,
        value=order.power_w,
        duration_s=order.duration_s,
    )


def _identity() -> str:
    return f"hmi-{uuid.uuid4()}"


def _wish(
    origin: str,
    kind: RequestKind,
    lease_s: float,
    *,
    target: str = SITE,
    value: float = 0.0,
    duration_s: float = 0.0,
    setting: str = "",
) -> ControlRequest:
    return ControlRequest(
        request_id=_identity(),
        authority=Authority.LOCAL_OPERATOR,
        origin=origin,
        kind=kind,
        target=target,
        value=value,
        lease_s=lease_s,
        received_s=time.monotonic(),
        t_utc_s=time.time(),
        setting=setting,
        duration_s=duration_s,
    )
