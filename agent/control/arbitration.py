"""Who rules: requests ranked by authority, every one of them with a lease."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.messages import (
    SITE,
    Authority,
    ControlRequest,
    RequestKind,
    RequestOutcome,
    RequestStatus,
)

REMEMBERED = 10_000
ADD_CAUSE_INCONSISTENT_PARAMETERS = 26
ADD_CAUSE_TIME_LIMIT_OVER = 16
ADD_CAUSE_ABORTED_BY_CANCEL = 12
FINAL = (
    RequestStatus.COMPLETED,
    RequestStatus.FAILED,
    RequestStatus.REFUSED,
    RequestStatus.EXPIRED,
)
POWER_KINDS = (RequestKind.WATT_SETPOINT, RequestKind.STOP)


@dataclass(frozen=True, slots=True)
class Order:
    """A request in force.

    Attributes:
        start_s, end_s: Monotonic; at `end_s` its lease (or its duration) is over.
        answered: Its final outcome was given; it rules on until its lease ends.
        followed_s: Since when the delivered power has followed; NaN while it does not.
    """

    request: ControlRequest
    start_s: float
    end_s: float
    answered: bool = False
    followed_s: float = math.nan

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sort key: authority, then the newest, then the name, so that ties are settled."""
        return (int(self.request.authority), -self.start_s, self.request.request_id)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Requests in force, ruling first, and the last outcome of everything ever asked."""

    orders: tuple[Order, ...] = ()
    outcomes: dict[str, RequestOutcome] = field(default_factory=dict)


def admit(
    ledger: Ledger,
    requests: Sequence[ControlRequest],
    known: dict[str, int],
    now_s: float,
    utc_s: float,
) -> tuple[Ledger, list[RequestOutcome]]:
    """Take new requests; answer each, and carry out no request twice."""
    news: list[RequestOutcome] = []
    for request in requests:
        if request.request_id in ledger.outcomes:
            news.append(ledger.outcomes[request.request_id])
            continue
        reason = refusal(request, known)
        if reason:
            outcome = RequestOutcome(
                request.request_id,
                RequestStatus.REFUSED,
                reason,
                ADD_CAUSE_INCONSISTENT_PARAMETERS,
                t_utc_s=utc_s,
            )
            ledger = remember(ledger, outcome)
            news.append(outcome)
        elif request.kind is RequestKind.WITHDRAW or request.test:
            ledger, answers = _carry_out_at_once(ledger, request, utc_s)
            news += answers
        else:
            end_s = now_s + (request.duration_s or request.lease_s)
            end_s = min(end_s, now_s + request.lease_s)
            orders = sorted((*ledger.orders, Order(request, now_s, end_s)), key=lambda o: o.rank)
            outcome = RequestOutcome(request.request_id, RequestStatus.ACCEPTED, t_utc_s=utc_s)
            ledger = remember(replace(ledger, orders=tuple(orders)), outcome)
            news.append(outcome)
    return ledger, news


def refusal(request: ControlRequest, known: dict[str, int]) -> str:
    """Return why a request cannot be taken; empty when it can."""
    if not math.isfinite(request.value):
        return "the value is not a finite number"
    if request.kind is RequestKind.WITHDRAW:
        return ""
    if not (math.isfinite(request.lease_s) and request.lease_s > 0.0):
        return "a request needs a lease"
    if not (math.isfinite(request.duration_s) and request.duration_s >= 0.0):
        return "the duration is not a time"
    if request.target != SITE and request.target not in known:
        return f"unknown target {request.target}"
    if request.kind not in POWER_KINDS:
        return f"{request.kind} is not supported"
    return ""


def withdraw(
    ledger: Ledger, request: ControlRequest, utc_s: float
) -> tuple[Ledger, list[RequestOutcome]]:
    """End the request named by `setting`, or all of this origin; nobody ends a higher rank's."""

    def meant(order: Order) -> bool:
        if request.setting:
            return (
                order.request.request_id == request.setting
                and request.authority <= order.request.authority
            )
        return order.request.origin == request.origin

    ended = [order for order in ledger.orders if meant(order)]
    kept = tuple(order for order in ledger.orders if not meant(order))
    news = [
        RequestOutcome(
            order.request.request_id,
            RequestStatus.FAILED,
            "withdrawn",
            ADD_CAUSE_ABORTED_BY_CANCEL,
            t_utc_s=utc_s,
        )
        for order in ended
        if not order.answered
    ]
    ledger = replace(ledger, orders=kept)
    for outcome in news:
        ledger = remember(ledger, outcome)
    return ledger, news


def _carry_out_at_once(
    ledger: Ledger, request: ControlRequest, utc_s: float
) -> tuple[Ledger, list[RequestOutcome]]:
    news: list[RequestOutcome] = []
    reason = "test: checked, not carried out"
    if not request.test:
        ledger, news = withdraw(ledger, request, utc_s)
        reason = ""
    done = RequestOutcome(request.request_id, RequestStatus.COMPLETED, reason, t_utc_s=utc_s)
    return remember(ledger, done), [*news, done]


def remember(ledger: Ledger, outcome: RequestOutcome) -> Ledger:
    """Keep the last outcome of a request, forgetting the oldest beyond a bound."""
    outcomes = ledger.outcomes | {outcome.request_id: outcome}
    if len(outcomes) > REMEMBERED:
        del outcomes[next(iter(outcomes))]
    return replace(ledger, outcomes=outcomes)


def ruling(ledger: Ledger, target: str) -> Order | None:
    """Return the power request that rules a target; None where nobody asked."""
    return next(
        (
            order
            for order in ledger.orders
            if order.request.target == target and order.request.kind in POWER_KINDS
        ),
        None,
    )


def authority(order: Order | None) -> Authority | None:
    """Return the rank of whoever rules."""
    return None if order is None else order.request.authority
