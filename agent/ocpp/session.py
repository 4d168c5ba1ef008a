"""One OCPP-J conversation without I/O: bytes in, events out, and the other way round.

The same class serves both directions: towards a charging station and towards a CSMS. It keeps one
outstanding call towards the peer (2.0.1 part 4, clause 4.1.1), a short queue behind it in which a
newer order replaces an older one, and the timeouts; the caller owns the clock and the socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from itertools import count
from typing import Final

from agent.errors import DecodeError
from agent.ocpp import frames, schemas
from agent.ocpp.codes import CallError, ErrorCode
from agent.ocpp.events import (
    Answered,
    CallReceived,
    Event,
    Failed,
    Outgoing,
    Request,
    SendReceived,
    SessionCounters,
)
from agent.ocpp.frames import (
    Call,
    CallErrorFrame,
    CallResult,
    Frame,
    FrameError,
    Payload,
    Send,
    UnknownFrame,
)
from agent.ocpp.limits import DEFAULT_LIMITS, Limits
from agent.ocpp.version import Version

MAX_QUEUE: Final = 64
MAX_OPEN: Final = 8
"""Calls of the peer that may wait for our answer; the rule is one, stations are forgiven some."""


class Session:
    """State of one connection.

    Attributes:
        deadline_s: Monotonic time at which `expire` has something to do; infinite when nothing
            waits for an answer.

    Args:
        version: Negotiated version.
        id_prefix: Start of every message id of ours, unique to this connection, at most 24
            characters.
        call_timeout_s: Time that the peer has to answer.
        limits: Bounds on what the peer sends.
    """

    __slots__ = (
        "_call_timeout_s", "_events", "_id_prefix", "_in_flight", "_limits", "_numbers", "_open",
        "_outgoing", "_queue", "counters", "deadline_s", "version",
    )  # fmt: skip

    def __init__(
        self,
        version: Version,
        id_prefix: str,
        call_timeout_s: float = 10.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.version = version
        self.counters = SessionCounters()
        self._id_prefix = id_prefix
        self._numbers = count(1)
        self._call_timeout_s = call_timeout_s
        self._limits = limits
        self._queue: deque[Request] = deque()
        self._in_flight: Request | None = None
        self.deadline_s = float("inf")
        self._open: dict[str, str] = {}
        self._outgoing: list[Outgoing] = []
        self._events: list[Event] = []

    @property
    def idle(self) -> bool:
        """No call of ours is outstanding or waits."""
        return self._in_flight is None and not self._queue

    @property
    def has_work(self) -> bool:
        """`take_outgoing` would return something."""
        waiting = self._in_flight is None and self._queue
        return bool(self._outgoing or self._events or waiting)

    def call(
        self,
        action: str,
        payload: Payload,
        *,
        tag: object = None,
        key: Hashable = None,
        urgent: bool = False,
        valid_until_s: float = float("inf"),
        timeout_s: float | None = None,
    ) -> None:
        """Ask the peer; the outcome comes as `Answered` or `Failed` with `tag`.

        Args:
            action: What is asked.
            payload: With which values.
            tag: The caller's own; comes back with the outcome.
            key: Replaces a waiting request with the same key.
            urgent: Goes before all waiting requests that are not.
            valid_until_s: Monotonic time after which it is not sent any more.
            timeout_s: Time to answer; the session's where None.

        Raises:
            CallError: The payload breaks the schema of this version, or the queue is full.
        """
        schemas.check_request(self.version, action, payload)
        self.submit(Request(action, payload, tag, key, urgent, valid_until_s, timeout_s))

    def submit(self, request: Request) -> None:
        """Ask as `call` does, with a payload whose shape has passed its schema before.

        Raises:
            CallError: The queue is full.
        """
        waiting = self._queue
        if waiting:
            self._make_room(request.key)
            if request.urgent:
                waiting.insert(sum(1 for other in waiting if other.urgent), request)
                return
        waiting.append(request)

    def send(self, action: str, payload: Payload) -> None:
        """Tell the peer without an answer (SEND, 2.1).

        Raises:
            CallError: Not a SEND action of this version, or the payload breaks its schema.
        """
        if not schemas.is_unconfirmed(self.version, action):
            raise CallError(ErrorCode.NOT_SUPPORTED, f"{action} is not a SEND message")
        schemas.check_request(self.version, action, payload)
        self._write(Send(self._next_id(), action, payload))

    def answer(self, message_id: str, payload: Payload) -> None:
        """Answer a `CallReceived`; an answer that breaks its schema becomes InternalError."""
        action = self._open.pop(message_id, None)
        if action is None:
            return
        try:
            schemas.check_response(self.version, action, payload)
            self._write(CallResult(message_id, payload))
        except (CallError, DecodeError) as error:
            self._refuse(message_id, CallError(ErrorCode.INTERNAL_ERROR, str(error)))

    def refuse(self, message_id: str, error: CallError) -> None:
        """Answer a `CallReceived` with CALLERROR."""
        if self._open.pop(message_id, None) is not None:
            self._refuse(message_id, error)

    def receive(self, data: bytes, now_s: float) -> list[Event]:
        """Take one text message of the peer and return what it means."""
        try:
            frame = frames.decode(data, self._limits)
        except FrameError as error:
            self._reject_envelope(error)
        else:
            self._dispatch(frame)
        return self._collect(now_s)

    def expire(self, now_s: float) -> list[Event]:
        """Give up what waited too long; call it when `deadline_s` has passed."""
        if self._in_flight is not None and now_s >= self.deadline_s:
            self.counters.timeouts += 1
            self._finish(Failed(self._in_flight, "Timeout", "the peer did not answer in time"))
        return self._collect(now_s)

    def close(self) -> list[Event]:
        """The connection is gone: fail everything that waits."""
        waiting = [self._in_flight] if self._in_flight is not None else []
        waiting += self._queue
        self._queue.clear()
        self._in_flight, self.deadline_s = None, float("inf")
        self._open.clear()
        self._outgoing.clear()
        return [Failed(request, "Closed", "the connection was lost") for request in waiting]

    def take_outgoing(self, now_s: float) -> tuple[list[Outgoing], list[Event]]:
        """Return what must be written now, in order, and requests that became too old to send."""
        self._start_next(now_s)
        outgoing, self._outgoing = self._outgoing, []
        events, self._events = self._events, []
        return outgoing, events

    def _collect(self, now_s: float) -> list[Event]:
        self._start_next(now_s)
        events, self._events = self._events, []
        return events

    def _make_room(self, key: Hashable) -> None:
        """Drop the waiting requests that a newer one with this key replaces."""
        if key is not None:
            for request in [waiting for waiting in self._queue if waiting.key == key]:
                self._queue.remove(request)
                self._events.append(Failed(request, "Superseded", "a newer request replaced it"))
        if len(self._queue) >= MAX_QUEUE:
            raise CallError(ErrorCode.INTERNAL_ERROR, "too many calls wait for this peer")

    def _start_next(self, now_s: float) -> None:
        while self._in_flight is None and self._queue:
            request = self._queue.popleft()
            if now_s > request.valid_until_s:
                self._events.append(Failed(request, "Expired", "it waited longer than it is valid"))
                continue
            request.message_id = self._next_id()
            request.sent_s = now_s
            self._in_flight = request
            timeout_s = request.timeout_s
            self.deadline_s = now_s + (self._call_timeout_s if timeout_s is None else timeout_s)
            data = frames.encode_call(request.message_id, request.action, request.payload)
            request.payload = {}  # nobody needs it any more, and a burst has thousands
            self._outgoing.append(Outgoing(data, request))

    def _finish(self, event: Answered | Failed) -> None:
        self._in_flight, self.deadline_s = None, float("inf")
        self._events.append(event)

    def _dispatch(self, frame: Frame) -> None:
        match frame:
            case Call():
                self._take_call(frame)
            case CallResult():
                self._take_result(frame)
            case CallErrorFrame(of_result=False):
                self._take_error(frame)
            case CallErrorFrame():
                self.counters.invalid += 1  # the peer found our answer wrong; nothing to undo
            case Send():
                self._take_send(frame)
            case UnknownFrame():
                self._take_unknown(frame)

    def _take_call(self, call: Call) -> None:
        if call.message_id in self._open or len(self._open) >= MAX_OPEN:
            self.counters.unexpected += 1
            self._refuse(
                call.message_id, CallError(ErrorCode.RPC_FRAMEWORK_ERROR, "one call at a time")
            )
            return
        try:
            schemas.check_request(self.version, call.action, call.payload)
        except CallError as error:
            self.counters.invalid += 1
            self._refuse(call.message_id, error)
            return
        self._open[call.message_id] = call.action
        self._events.append(CallReceived(call.message_id, call.action, call.payload))

    def _take_result(self, result: CallResult) -> None:
        request = self._in_flight
        if request is None or request.message_id != result.message_id:
            self.counters.unexpected += 1
            return
        try:
            schemas.check_response(self.version, request.action, result.payload)
        except CallError as error:
            self.counters.invalid += 1
            if self.version is Version.V21:
                self._refuse(result.message_id, error, of_result=True)
            self._finish(Failed(request, error.spelled(self.version), error.description))
            return
        self._finish(Answered(request, result.payload))

    def _take_error(self, error: CallErrorFrame) -> None:
        request = self._in_flight
        if request is None or request.message_id != error.message_id:
            self.counters.unexpected += 1
            return
        self._finish(Failed(request, error.code[:64], error.description[:255]))

    def _take_send(self, message: Send) -> None:
        if not schemas.is_unconfirmed(self.version, message.action):
            self.counters.invalid += 1
            return
        try:
            schemas.check_request(self.version, message.action, message.payload)
        except CallError:
            self.counters.invalid += 1
            return
        self._events.append(SendReceived(message.action, message.payload))

    def _take_unknown(self, frame: UnknownFrame) -> None:
        self.counters.unexpected += 1
        # 1.6J: "SHALL ignore the message payload"; 2.x has a code for it.
        if self.version.is_2x:
            self._refuse(
                frame.message_id, CallError(ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "unknown type")
            )

    def _reject_envelope(self, error: FrameError) -> None:
        self.counters.malformed += 1
        is_answer = error.message_type in {frames.CALLRESULT, frames.CALLERROR}
        if self.version.is_2x and not is_answer and error.message_type < frames.CALLRESULTERROR:
            code = ErrorCode.RPC_FRAMEWORK_ERROR
            if error.message_id != frames.NO_ID:
                code = ErrorCode.FORMAT_VIOLATION
            self._refuse(error.message_id, CallError(code, str(error)))

    def _refuse(self, message_id: str, error: CallError, of_result: bool = False) -> None:
        code = error.spelled(self.version)
        self._write(CallErrorFrame(message_id, code, error.description, error.details, of_result))

    def _write(self, frame: Frame) -> None:
        self._outgoing.append(Outgoing(frames.encode(frame)))

    def _next_id(self) -> str:
        return f"{self._id_prefix}{next(self._numbers)}"
