"""One WebSocket towards a CSMS: calls with answers to wait for, and calls that we answer."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from loguru import logger
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from agent.errors import DecodeError
from agent.ocpp import (
    Answered,
    CallError,
    CallReceived,
    ErrorCode,
    Event,
    Failed,
    Payload,
    SendReceived,
    Session,
    Version,
)
from agent.utility.csms.pacing import RoundTrip

MAX_MESSAGE: Final = 256 * 1024
SILENT_CALLS: Final = 2
"""Calls in a row without an answer, nor anything else, after which the connection is dead."""
CLOSE_S: Final = 1.0
"""Time for what is on its way when we close; a peer that does not read gets no more."""
LOST: Final = frozenset({"Timeout", "Closed", "Expired", "Superseded"})
"""Codes of a call that the CSMS may never have seen, unlike one that it refused."""

Handler = Callable[[str, Payload], Awaitable[Payload]]


class CsmsConnection(WSListener):
    """Joins a picows transport and an OCPP session.

    Args:
        version: That the CSMS chose.
        handler: Answers what the CSMS asks; raises `CallError` to refuse.
        trip: Measured round trips, kept over connections.

    Attributes:
        heard_s: Monotonic arrival of the last frame, whatever it was.
        closed: Set when the WebSocket is gone; `why` says why, where that is known.
    """

    def __init__(self, version: Version, handler: Handler, trip: RoundTrip) -> None:
        self.version = version
        self.heard_s = time.monotonic()
        self.closed = asyncio.Event()
        self.why = ""
        self._handler = handler
        self._trip = trip
        self._session = Session(version, f"{secrets.token_hex(6)}-")
        self._transport: WSTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._silent = 0

    async def call(self, action: str, payload: Payload, timeout_s: float | None = None) -> Payload:
        """Ask the CSMS and return its answer.

        Args:
            action: What is asked.
            payload: With which values.
            timeout_s: Time to answer; what the measured round trips say where None.

        Raises:
            CallError: It refuses, does not answer in time, or the connection is lost
                (`code` is then one of `LOST`); or the payload is not what the version permits.
        """
        if self._transport is None:
            raise CallError("Closed", "the connection was lost")
        future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        wait_s = self._trip.timeout_s if timeout_s is None else timeout_s
        self._session.call(action, payload, tag=future, timeout_s=wait_s)
        self._flush()
        return await future

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The WebSocket is open."""
        self._transport = transport
        self.heard_s = time.monotonic()
        self._flush()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """The socket is gone: whoever waits for an answer hears so."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._happened(self._session.close())
        self.closed.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame; a message in several is joined first."""
        self.heard_s = time.monotonic()
        self._silent = 0
        kind = frame.msg_type
        if kind is WSMsgType.CLOSE:
            code = frame.get_close_code()
            words = (frame.get_close_message() or b"").decode("utf-8", "replace")
            self.why = f"closed by the CSMS: {getattr(code, 'value', code)} {words}".rstrip()
            transport.send_close(code)
            transport.disconnect()
        elif kind is WSMsgType.TEXT or kind is WSMsgType.CONTINUATION:
            text = self._join(kind, frame)
            if text is not None:
                self._happened(self._session.receive(text, self.heard_s))
                self._flush()
        elif kind is WSMsgType.BINARY:
            self.close(WSCloseCode.UNSUPPORTED_DATA, "OCPP-J is text")

    def ping(self) -> None:
        """Ask the other side for a sign of life."""
        if self._transport is not None:
            self._transport.send_ping()

    def close(self, code: WSCloseCode = WSCloseCode.OK, reason: str = "") -> None:
        """Close the WebSocket."""
        if self._transport is not None:
            self.why = self.why or reason
            self._transport.send_close(code, reason.encode())
            self._transport.disconnect()
            asyncio.get_running_loop().call_later(CLOSE_S, self.abort, reason)

    def abort(self, why: str) -> None:
        """Drop the socket without waiting for the other side."""
        if self._transport is not None:
            self.why = self.why or why
            self._transport.disconnect(graceful=False)

    def _flush(self) -> None:
        transport = self._transport
        if transport is not None and self._session.has_work:
            outgoing, events = self._session.take_outgoing(time.monotonic())
            for item in outgoing:
                transport.send(WSMsgType.TEXT, item.data)
            self._happened(events)
        self._watch()

    def _watch(self) -> None:
        """Wake up when an answer is overdue."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = self._session.deadline_s - time.monotonic()
        if self._transport is not None and wait_s < float("inf"):
            self._timer = asyncio.get_running_loop().call_later(max(wait_s, 0.0), self._expire)

    def _expire(self) -> None:
        self._happened(self._session.expire(time.monotonic()))
        self._flush()

    def _happened(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case CallReceived():
                    self._start(self._answer(event))
                case SendReceived():
                    logger.debug("the CSMS sends {}, which needs no answer", event.action)
                case Answered():
                    self._trip.measured(time.monotonic() - event.request.sent_s)
                    _resolve(event)
                case Failed():
                    self._failed(event)

    def _failed(self, event: Failed) -> None:
        if event.code == "Timeout":
            self._trip.missed()
            self._silent += 1
            if self._silent >= SILENT_CALLS:
                self.abort("the CSMS does not answer")
            else:
                self.ping()
        future = event.request.tag
        if isinstance(future, asyncio.Future) and not future.done():
            future.set_exception(CallError(event.code, event.description))

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, call: CallReceived) -> None:
        try:
            answer = await self._handler(call.action, call.payload)
            self._session.answer(call.message_id, answer)
        except (CallError, DecodeError) as error:
            refusal = error if isinstance(error, CallError) else _internal(error)
            self._session.refuse(call.message_id, refusal)
        except Exception as error:
            logger.exception("{} of the CSMS cannot be answered", call.action)
            self._session.refuse(call.message_id, _internal(error))
        self._flush()

    def _join(self, kind: WSMsgType, frame: WSFrame) -> bytes | None:
        if kind is WSMsgType.TEXT and frame.fin and not self._parts:
            return frame.get_payload_as_bytes()
        if (kind is WSMsgType.TEXT) == bool(self._parts):
            self.close(WSCloseCode.PROTOCOL_ERROR, "frames out of order")
            return None
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > MAX_MESSAGE:
            self.close(WSCloseCode.MESSAGE_TOO_BIG, f"at most {MAX_MESSAGE} bytes")
            return None
        if not frame.fin:
            return None
        message, self._parts = b"".join(self._parts), []
        return message


def _resolve(event: Answered) -> None:
    future = event.request.tag
    if isinstance(future, asyncio.Future) and not future.done():
        future.set_result(event.payload)


def _internal(error: Exception) -> CallError:
    return CallError(ErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}")


async def run_until_closed(connection: CsmsConnection, work: Sequence[Awaitable[None]]) -> None:
    """Run the parts of a connection; end with it, or with the first part that fails."""
    closed = asyncio.create_task(connection.closed.wait())
    parts = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait([closed, *parts], return_when=asyncio.FIRST_COMPLETED)
        for part in done - {closed}:
            part.result()
    finally:
        for part in (closed, *parts):
            part.cancel()
        await asyncio.gather(closed, *parts, return_exceptions=True)
