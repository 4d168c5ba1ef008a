"""What the services of the utility process share: orders, the fleet, alarms, the audit.

A service is made from a `Context` and never touches the link itself. Whatever it wants of the
vehicles it asks with `request`; `control.step` decides, and the answer says why not.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from loguru import logger

from agent.config import Settings
from agent.errors import AlarmCode
from agent.messages import (
    SITE,
    Alarm,
    AnyMessage,
    AuditEvent,
    Authority,
    ControlRequest,
    Message,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    Snapshot,
    StationAnswer,
    StationCall,
)
from agent.utility.fleet import FleetView

ANSWER_S: Final = 5.0
"""The control answers within a tick and the audit's write; longer means that it is not there."""
STATION_ANSWER_S: Final = 30.0
SILENT: Final = "the control does not answer"

_FINAL: Final = frozenset({
    RequestStatus.COMPLETED, RequestStatus.FAILED, RequestStatus.REFUSED, RequestStatus.EXPIRED,
})  # fmt: skip


Transfer = Callable[[str, object], Awaitable[tuple[str, object]]]
"""Takes `messageId` and `data` of an OCPP DataTransfer; returns `status` and `data`."""


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[RequestOutcome]
    final: bool
    last: RequestOutcome | None = None


class Context:
    """The control, as the services of this process see it.

    Args:
        settings: Of the gateway.
        name: Of this worker.
        send: Puts a message on the link.

    Attributes:
        fleet: What the control last said of the fleet.
        counters: Go into the heartbeat; each service prefixes its own.
        listeners: Called after every snapshot with it.
        on_connect: Called when the link to the control is new.
        transfers: Who takes the CSMS's DataTransfer, by its `vendorId`.
        on_station_call: Called with what a station asks of the CSMS; None while nobody listens.
    """

    def __init__(self, settings: Settings, name: str, send: Callable[[Message], None]) -> None:
        self.settings = settings
        self.name = name
        self.fleet = FleetView()
        self.counters: dict[str, float] = {}
        self.listeners: list[Callable[[Snapshot], None]] = []
        self.transfers: dict[str, Transfer] = {}
        self.on_connect: list[Callable[[], None]] = []
        self.on_station_call: Callable[[StationCall], None] | None = None
        self._send = send
        self._prefix = f"{name}-{secrets.token_hex(6)}"
        self._numbers = count(1)
        self._events = count(time.time_ns() // 1000)  # rises over a restart as well
        self._outcomes: dict[str, _Waiting] = {}
        self._answers: dict[str, asyncio.Future[StationAnswer]] = {}
        self._alarms: dict[tuple[AlarmCode, str], Alarm] = {}

    def new_id(self) -> str:
        """Return an id that no request had before, in this process or another."""
        return f"{self._prefix}-{next(self._numbers)}"

    async def request(
        self,
        kind: RequestKind,
        value: float,
        *,
        origin: str,
        authority: Authority,
        lease_s: float,
        target: str = SITE,
        setting: str = "",
        duration_s: float = 0.0,
        test: bool = False,
        request_id: str = "",
        final: bool = False,
        timeout_s: float = ANSWER_S,
    ) -> RequestOutcome:
        """Ask the control and return what it says.

        Args:
            kind: What is asked. `value`, `target`, `setting`, `duration_s` as in `ControlRequest`.
            value: In W, positive exports; a limit is a magnitude.
            target: `SITE`, a group's name or an EVSE.
            setting: Name of a setting or mode, or the request to withdraw.
            duration_s: Of a bounded test.
            origin: Who asks, for the audit: `csms`, `ocpi:DE*ABC`, `dispatch:issuer`.
            authority: Rank of who asks.
            lease_s: It ends by itself after this time.
            test: Only say what the answer would be.
            request_id: Name under which it may be withdrawn or repeated; a new one where empty.
            final: Wait for the end of the request, not only for its acceptance.
            timeout_s: The wait; then the outcome is the last one heard (`accepted`), or `failed`
                with `SILENT` as its reason where there was none.
        """
        request_id = request_id or self.new_id()
        future: asyncio.Future[RequestOutcome] = asyncio.get_running_loop().create_future()
        waiting = self._outcomes[request_id] = _Waiting(future, final)
        self._send(
            ControlRequest(
                request_id=request_id,
                authority=authority,
                origin=origin,
                kind=kind,
                target=target,
                value=value,
                lease_s=lease_s,
                received_s=time.monotonic(),
                t_utc_s=time.time(),
                setting=setting,
                duration_s=duration_s,
                test=test,
            )
        )
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            silent = RequestOutcome(request_id, RequestStatus.FAILED, SILENT, t_utc_s=time.time())
            return waiting.last or silent
        finally:
            if self._outcomes.get(request_id) is waiting:
                del self._outcomes[request_id]

    async def withdraw(
        self, request_id: str, *, origin: str, authority: Authority
    ) -> RequestOutcome:
        """End a request before its lease does."""
        return await self.request(
            RequestKind.WITHDRAW,
            0.0,
            origin=origin,
            authority=authority,
            lease_s=1.0,
            setting=request_id,
        )

    async def call_station(
        self, station: str, action: str, payload: bytes, timeout_s: float = STATION_ANSWER_S
    ) -> StationAnswer:
        """Call a station behind this gateway; the answer has `error` where there is none."""
        call = StationCall(self.new_id(), station, action, payload)
        future: asyncio.Future[StationAnswer] = asyncio.get_running_loop().create_future()
        self._answers[call.request_id] = future
        self._send(call)
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return StationAnswer(call.request_id, station, error="Timeout: no answer")
        finally:
            del self._answers[call.request_id]

    def answer_station(self, call: StationCall, payload: bytes = b"{}", error: str = "") -> None:
        """Answer what a station asked."""
        self._send(StationAnswer(call.request_id, call.station, payload, error, from_station=True))

    def alarm(self, code: AlarmCode, active: bool, source: str, text: str, advice: str) -> None:
        """Raise, change or clear an alarm; it is stated again when the control is new."""
        known = self._alarms.get((code, source))
        if not active and known is None:
            return
        since_utc_s = known.since_utc_s if known is not None else time.time()
        alarm = Alarm(code, active, source, text, advice, since_utc_s)
        if active:
            if known is None:
                logger.warning("{} {}", code, text)
            self._alarms[code, source] = alarm
        else:
            del self._alarms[code, source]
        self._send(alarm)

    def audit(self, kind: str, subject: str, text: str) -> None:
        """Have the audit log keep what happened (`agent.audit.Kind`)."""
        self._send(AuditEvent(self.name, next(self._events), kind, subject, text, time.time()))

    def count(self, name: str, step: float = 1.0) -> None:
        """Raise a counter."""
        self.counters[name] = self.counters.get(name, 0.0) + step

    def take(self, message: AnyMessage) -> None:
        """Take one message of the control."""
        if isinstance(message, Snapshot):
            self.fleet.take(message, time.monotonic())
            for listener in self.listeners:
                listener(message)
        elif isinstance(message, RequestOutcome):
            self._take_outcome(message)
        elif isinstance(message, StationAnswer):
            future = self._answers.get(message.request_id)
            if future is not None and not future.done():
                future.set_result(message)
        elif isinstance(message, StationCall):
            if self.on_station_call is not None:
                self.on_station_call(message)
            else:
                self.answer_station(message, error="no CSMS")

    def connected(self) -> None:
        """The link to the control is new: state what holds."""
        self.fleet.forget()
        for alarm in self._alarms.values():
            self._send(alarm)
        for callback in self.on_connect:
            callback()

    def _take_outcome(self, outcome: RequestOutcome) -> None:
        waiting = self._outcomes.get(outcome.request_id)
        if waiting is None or waiting.future.done():
            return
        if outcome.status in _FINAL or not waiting.final:
            waiting.future.set_result(outcome)
        else:
            waiting.last = outcome
