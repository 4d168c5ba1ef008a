"""All messages together, as bytes."""

from __future__ import annotations

import msgspec

from agent.messages.base import Heartbeat, Hello, Message
from agent.messages.evses import (
    EvseStatus,
    GridSignal,
    ModeOrder,
    OrderResult,
    OrderSent,
    Setpoint,
    StationAnswer,
    StationCall,
)
from agent.messages.measurements import (
    DigitalInput,
    FieldReading,
    Measurement,
    SubscriptionHealth,
    Verification,
)
from agent.messages.requests import (
    Acknowledge,
    AuditEvent,
    ControlRequest,
    Reload,
    RequestOutcome,
    Shutdown,
    Simulation,
    StatusQuery,
)
from agent.messages.snapshot import Alarm, Snapshot, WorkerHealth


class Batch(Message, frozen=True):
    """Several messages of one turn in one datagram; `Connection.receive` takes it apart again."""

    messages: tuple[EvseStatus | OrderSent | OrderResult | Setpoint | ModeOrder, ...]


AnyMessage = (
    Hello
    | Measurement
    | DigitalInput
    | SubscriptionHealth
    | EvseStatus
    | Setpoint
    | OrderSent
    | OrderResult
    | ControlRequest
    | RequestOutcome
    | Alarm
    | WorkerHealth
    | Heartbeat
    | FieldReading
    | Verification
    | Snapshot
    | AuditEvent
    | StatusQuery
    | Acknowledge
    | Reload
    | Shutdown
    | Simulation
    | ModeOrder
    | GridSignal
    | StationCall
    | StationAnswer
    | Batch
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: Message) -> bytes:
    """Return the bytes of one message."""
    return _encoder.encode(message)


def decode(data: bytes | memoryview) -> AnyMessage:
    """Return the message in `data`.

    Raises:
        msgspec.DecodeError: The bytes are not one of the messages above.
    """
    try:
        return _decoder.decode(data)
    except UnicodeDecodeError as error:  # of a tag, which msgspec does not wrap
        raise msgspec.DecodeError(str(error)) from error
