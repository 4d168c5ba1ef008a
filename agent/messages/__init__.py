"""The contracts between the processes, read first.

Every process speaks these frozen structures and nothing else (`agent.link` carries them). Each has
a value, the source's UTC time, a quality, and the monotonic instant that matters for its age;
CLOCK_MONOTONIC is one clock for all processes of a Linux machine, so ages need no translation.

Signs and units: watts, **positive exports to the grid** (discharge). `_s` fields that end in
`utc_s` are UTC seconds since 1970; `mono_s`, `wire_s`, `sent_s` are CLOCK_MONOTONIC seconds.

A newer message with the same `key` replaces an older one that was not delivered yet.
"""

from agent.messages.base import PROTOCOL_VERSION, Heartbeat, Hello, Message
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
    SITE,
    Acknowledge,
    AuditEvent,
    ControlRequest,
    Reload,
    RequestOutcome,
    Shutdown,
    Simulation,
    StatusQuery,
)
from agent.messages.snapshot import Alarm, EvseView, LatencyView, LoopView, Snapshot, WorkerHealth
from agent.messages.wire import AnyMessage, Batch, decode, encode
from agent.messages.words import Authority, RequestKind, RequestStatus, Role, Validity, WorkerState

__all__ = [
    "PROTOCOL_VERSION",
    "SITE",
    "Acknowledge",
    "Alarm",
    "AnyMessage",
    "AuditEvent",
    "Authority",
    "Batch",
    "ControlRequest",
    "DigitalInput",
    "EvseStatus",
    "EvseView",
    "FieldReading",
    "GridSignal",
    "Heartbeat",
    "Hello",
    "LatencyView",
    "LoopView",
    "Measurement",
    "Message",
    "ModeOrder",
    "OrderResult",
    "OrderSent",
    "Reload",
    "RequestKind",
    "RequestOutcome",
    "RequestStatus",
    "Role",
    "Setpoint",
    "Shutdown",
    "Simulation",
    "Snapshot",
    "StationAnswer",
    "StationCall",
    "StatusQuery",
    "SubscriptionHealth",
    "Validity",
    "Verification",
    "WorkerHealth",
    "WorkerState",
    "decode",
    "encode",
]
