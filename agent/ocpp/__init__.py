"""OCPP-J for 1.6, 2.0.1 and 2.1 without I/O: frames, schemas, sessions, payloads.

Read `session.Session` first. Nothing here knows a socket or a clock.
"""

from agent.ocpp.codes import CallError, ErrorCode
from agent.ocpp.events import (
    Answered,
    CallReceived,
    Event,
    Failed,
    Outgoing,
    Request,
    SendReceived,
)
from agent.ocpp.frames import Payload
from agent.ocpp.limits import Limits
from agent.ocpp.session import Session
from agent.ocpp.version import PREFERRED, Version, choose

__all__ = [
    "PREFERRED",
    "Answered",
    "CallError",
    "CallReceived",
    "ErrorCode",
    "Event",
    "Failed",
    "Limits",
    "Outgoing",
    "Payload",
    "Request",
    "SendReceived",
    "Session",
    "Version",
    "choose",
]
