"""Wishes from outside, and what becomes of them."""

from __future__ import annotations

from typing import ClassVar, Final

from agent.errors import AlarmCode
from agent.messages.base import Message
from agent.messages.words import Authority, RequestKind, RequestStatus

SITE: Final = "site"
"""Target of a `ControlRequest` that means every EVSE of the gateway."""


class ControlRequest(Message, frozen=True):
    """A wish from outside; `control.step` decides what becomes of it.

    Attributes:
        request_id: Unique for ever; a repeated one is answered, not carried out again.
        authority: Rank of the sender. `origin`: who, for the audit (orIdent, CSMS, user).
        target: `SITE`, a group's name or an `evse_id`.
        lease_s: It ends by itself after this time; every order has one.
        duration_s: Bounded test: end and report after this time; 0 for none.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    authority: Authority
    origin: str
    kind: RequestKind
    target: str
    value: float
    lease_s: float
    received_s: float
    t_utc_s: float
    setting: str = ""
    duration_s: float = 0.0
    test: bool = False


class RequestOutcome(Message, frozen=True):
    """What became of a `ControlRequest`.

    Attributes:
        add_cause: AddCause of IEC 61850-7-2 table "additional cause"; 0 is unknown/none.
        delivered_w: Power delivered at the target when the outcome was decided.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id", "status")

    request_id: str
    status: RequestStatus
    reason: str = ""
    add_cause: int = 0
    ordered_w: float = 0.0
    delivered_w: float | None = None
    t_utc_s: float = 0.0


class StatusQuery(Message, frozen=True):
    """An operator's tool asks for one complete `Snapshot`, or for all of them (`watch`)."""

    watch: bool = False


class Acknowledge(Message, frozen=True):
    """An operator has seen active alarms; answered with a `RequestOutcome`.

    Attributes:
        code: Alarms with this code only; None for every code.
        source: Alarms of this source only; empty for every source.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    origin: str
    code: AlarmCode | None = None
    source: str = ""


class Reload(Message, frozen=True):
    """An operator asks to read the configuration again; answered with a `RequestOutcome`.

    Attributes:
        workers: Start every worker anew, also where its settings are the same: for changed SCL,
            mapping or certificate files.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    origin: str
    workers: bool = False


class Shutdown(Message, frozen=True):
    """The daemon ends; workers that it started finish what is on the wire and stop.

    Attributes:
        again: The settings changed: every worker that hears this ends, and is started again.
    """

    reason: str
    again: bool = False


class Simulation(Message, frozen=True):
    """To the process bus: take simulated sampled values and GOOSE, or only real ones (LPHD.Sim)."""

    accept: bool


class AuditEvent(Message, frozen=True):
    """Something a worker saw that the audit log must keep; the control writes it.

    Attributes:
        source: Name of the worker. `number`: rises by one with every event of it.
        kind: `association`, `refusal`, `setting` or `mode` (`agent.audit.Kind`).
        subject: Who: address and identity of the peer.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("source", "number")

    source: str
    number: int
    kind: str
    subject: str
    text: str
    t_utc_s: float
