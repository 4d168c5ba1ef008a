"""The five frames of OCPP-J, as typed values and as bytes.

CALL, CALLRESULT and CALLERROR are in all versions; CALLRESULTERROR and SEND came with 2.1
(part 4, clause 4.2). Payload names are never converted: what the schema calls `setpoint_L2` is
`setpoint_L2` here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from agent.errors import DecodeError
from agent.ocpp.limits import DEFAULT_LIMITS, Limits, parse

Payload = dict[str, Any]

CALL: Final = 2
CALLRESULT: Final = 3
CALLERROR: Final = 4
CALLRESULTERROR: Final = 5
SEND: Final = 6
NO_ID: Final = "-1"
"""Message id of an answer to a message whose own id could not be read (2.0.1 part 4, 4.2.3)."""
MAX_ID_LENGTH: Final = 36


class Call(msgspec.Struct, frozen=True, gc=False):
    """Request that must be answered."""

    message_id: str
    action: str
    payload: Payload


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """Answer to a `Call`."""

    message_id: str
    payload: Payload


class CallErrorFrame(msgspec.Struct, frozen=True, gc=False):
    """Refusal of a `Call`, or of a `CallResult` where `of_result` (CALLRESULTERROR, 2.1)."""

    message_id: str
    code: str
    description: str = ""
    details: Payload = msgspec.field(default_factory=dict)
    of_result: bool = False


class Send(msgspec.Struct, frozen=True, gc=False):
    """Message without an answer (2.1)."""

    message_id: str
    action: str
    payload: Payload


class UnknownFrame(msgspec.Struct, frozen=True, gc=False):
    """An envelope that is well formed, with a message type that nobody defined."""

    message_id: str
    message_type: int


Frame = Call | CallResult | CallErrorFrame | Send | UnknownFrame


class FrameError(DecodeError):
    """Bytes that are not an OCPP-J frame; `message_id` is `NO_ID` where it could not be read."""

    def __init__(self, message: str, message_id: str = NO_ID, message_type: int = 0) -> None:
        super().__init__(message)
        self.message_id = message_id
        self.message_type = message_type


def encode(frame: Frame) -> bytes:
    """Return the UTF-8 JSON text of a frame.

    Raises:
        DecodeError: The payload holds something that JSON cannot say.
    """
    match frame:
        case Call(message_id, action, payload):
            return encode_call(message_id, action, payload)
        case CallResult(message_id, payload):
            body: list[Any] = [CALLRESULT, message_id, payload]
        case CallErrorFrame(message_id, code, description, details, of_result):
            kind = CALLRESULTERROR if of_result else CALLERROR
            body = [kind, message_id, code, description, details]
        case Send(message_id, action, payload):
            body = [SEND, message_id, action, payload]
        case UnknownFrame(message_id, message_type):
            body = [message_type, message_id]
    return _dumps(body)


def encode_call(message_id: str, action: str, payload: Payload) -> bytes:
    """Return the text of a CALL. Raises as `encode`."""
    return _dumps([CALL, message_id, action, payload])


def _dumps(body: list[Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise DecodeError(f"cannot be written as JSON: {error}") from error


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Frame:
    """Return the frame in `data`.

    Raises:
        FrameError: With the message id, where it could be read.
    """
    try:
        message = parse(data, limits)
    except FrameError:
        raise
    except DecodeError as error:
        raise FrameError(str(error)) from error
    if type(message) is not list or len(message) < 2:
        raise FrameError("a message is an array of a type, an id and its content")
    kind, message_id = message[0], message[1]
    if type(kind) is not int:
        raise FrameError("the message type is not a number")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_ID_LENGTH:
        raise FrameError(f"the message id is not 1 to {MAX_ID_LENGTH} characters", NO_ID, kind)
    return _decode_body(kind, message_id, message[2:])


def _decode_body(kind: int, message_id: str, body: list[Any]) -> Frame:
    match kind, body:
        case 3, [dict() as payload]:
            return CallResult(message_id, payload)
        case 2, [str() as action, dict() as payload]:
            return Call(message_id, action, payload)
        case ((4 | 5), [str() as code, *rest]):
            description, details = _error_tail(rest)
            return CallErrorFrame(message_id, code, description, details, kind == CALLRESULTERROR)
        case 6, [str() as action, dict() as payload]:
            return Send(message_id, action, payload)
        case ((2 | 3 | 4 | 5 | 6), _):
            raise FrameError("the message's parts do not fit its type", message_id, kind)
    return UnknownFrame(message_id, kind)


def _error_tail(rest: list[Any]) -> tuple[str, Payload]:
    """Description and details; both are often missing or null in the field."""
    description = rest[0] if rest and isinstance(rest[0], str) else ""
    details = rest[1] if len(rest) > 1 and isinstance(rest[1], dict) else {}
    return description, details
