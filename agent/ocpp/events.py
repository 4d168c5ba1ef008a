"""What a `Session` reports, and what it is asked to put on the wire."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import msgspec

from agent.ocpp.frames import Payload


class Request(msgspec.Struct, gc=False):
    """A call of ours, from the queue until its answer.

    Attributes:
        payload: Empty once it was sent.
        tag: The caller's own; comes back with every event of this call.
        key: A newer request with the same key replaces this one while it waits.
        urgent: Goes before all that are not (an order before a variable report).
        valid_until_s: Monotonic; a request that waited longer is dropped, not sent late.
        timeout_s: Time that the peer has to answer; the session's where None.
        sent_s: When its frame was written; NaN before.
    """

    action: str
    payload: Payload
    tag: object = None
    key: Hashable = None
    urgent: bool = False
    valid_until_s: float = float("inf")
    timeout_s: float | None = None
    message_id: str = ""
    sent_s: float = float("nan")


class CallReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer asks; answer with `Session.answer` or `Session.refuse`."""

    message_id: str
    action: str
    payload: Payload


class SendReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer tells; there is no answer."""

    action: str
    payload: Payload


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The peer carried out our request."""

    request: Request
    payload: Payload


class Failed(msgspec.Struct, frozen=True, gc=False):
    """Our request has no result: refused by the peer, timed out, superseded or dropped.

    Attributes:
        code: Error code of the peer, or `Timeout`, `Superseded`, `Expired`, `Closed`.
    """

    request: Request
    code: str
    description: str = ""


Event = CallReceived | SendReceived | Answered | Failed


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """Bytes for one WebSocket text message; `request` is set when they carry our call."""

    data: bytes
    request: Request | None = None


@dataclass(slots=True)
class SessionCounters:
    """What went wrong on one connection."""

    malformed: int = 0
    invalid: int = 0
    unexpected: int = 0
    timeouts: int = 0
