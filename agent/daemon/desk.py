"""What the audit must know, and answers that wait until the audit knows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from agent.audit import AuditLog, Head, Kind, Ticket
from agent.control import Inputs, Now, Outputs
from agent.daemon.inbox import Inbox
from agent.link import Hub
from agent.messages import Alarm, Authority, ControlRequest, RequestOutcome, RequestStatus

REFUSED_BY_AUDIT = "the audit log cannot be written"


class AuditDesk:
    """Records orders, outcomes and alarms; releases an outcome once its record is on disk."""

    def __init__(self, audit: AuditLog, inbox: Inbox, hub: Hub) -> None:
        self._audit = audit
        self._inbox = inbox
        self._hub = hub
        self._waiting: deque[tuple[Ticket, RequestOutcome]] = deque()

    @property
    def writable(self) -> bool:
        """The last write succeeded."""
        return self._audit.writable

    @property
    def error(self) -> str:
        """What the disk said; empty while `writable`."""
        return self._audit.error

    @property
    def head(self) -> Head:
        """The last record that is on the disk."""
        return self._audit.head

    def record(self, inputs: Inputs, outputs: Outputs) -> None:
        """Write one tick's orders, outcomes and decisions."""
        origins = {request.request_id: request for request in inputs.requests}
        for request in inputs.requests:
            self.note(Kind.COMMAND, request.origin, _describe(request), request.authority.name)
        for outcome in outputs.outcomes:
            self._answer(outcome, origins.get(outcome.request_id))
        for event in self._inbox.take_seen():
            self.note(event.kind, f"{event.source}: {event.subject}", event.text, "")
        for entry in outputs.records:
            self.note(entry.kind, entry.who, entry.what, entry.why)

    def refuse_remote(
        self, requests: Iterable[ControlRequest], now: Now
    ) -> tuple[ControlRequest, ...]:
        """Refuse what comes from afar; return the local operator's requests."""
        kept: list[ControlRequest] = []
        for request in requests:
            if request.authority <= Authority.LOCAL_OPERATOR:
                kept.append(request)
                continue
            outcome = RequestOutcome(
                request.request_id, RequestStatus.REFUSED, REFUSED_BY_AUDIT, t_utc_s=now.utc_s
            )
            self._tell(outcome)
        return tuple(kept)

    def alarm(self, alarm: Alarm) -> None:
        """Write an alarm that was raised or cleared."""
        state = "raised" if alarm.active else "cleared"
        self.note(Kind.ALARM, alarm.source, f"{alarm.code} {state}: {alarm.text}", alarm.advice)

    def clock_step(self, step_s: float) -> None:
        """Write that the wall clock jumped, so that logs can be correlated across it."""
        self.note(Kind.SERVICE, "clock", f"wall clock stepped by {step_s:+.3f} s", "")

    def release(self) -> None:
        """Tell the senders those outcomes whose record is on disk, in order."""
        while self._waiting and self._waiting[0][0].done:
            ticket, outcome = self._waiting.popleft()
            self._tell(outcome if ticket.ok else _unrecorded(outcome))

    def note(self, kind: str, who: str, what: str, why: str) -> None:
        """Write what nobody waits for."""
        self._audit.append(kind, who, what, why, durable=False)

    def answer(self, outcome: RequestOutcome, who: str, what: str) -> None:
        """Write the outcome of something that the control did not decide; it is told then."""
        ticket = self._audit.append_async(
            Kind.OUTCOME, who, f"{what} {outcome.status}", outcome.reason
        )
        self._waiting.append((ticket, outcome))

    def _answer(self, outcome: RequestOutcome, request: ControlRequest | None) -> None:
        who = request.origin if request else outcome.request_id
        ticket = self._audit.append_async(
            Kind.OUTCOME, who, f"{outcome.request_id} {outcome.status}", outcome.reason
        )
        self._waiting.append((ticket, outcome))

    def _tell(self, outcome: RequestOutcome) -> None:
        sender = self._inbox.sender(outcome.request_id)
        if sender is not None:
            self._hub.send(sender, outcome)


def _unrecorded(outcome: RequestOutcome) -> RequestOutcome:
    """An outcome that the audit lost is told as a failure: nobody may rely on it."""
    return msgspec.structs.replace(outcome, status=RequestStatus.FAILED, reason=REFUSED_BY_AUDIT)


def _describe(request: ControlRequest) -> str:
    setting = f" {request.setting}" if request.setting else ""
    return (
        f"{request.request_id}: {request.kind}{setting} {request.value:g} at {request.target}"
        f" for {request.lease_s:g} s"
    )
