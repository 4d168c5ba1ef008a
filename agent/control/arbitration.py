"""The ledger of requests: ranked by authority, every one of them with a lease, none done twice.

Rank: safety, ride-through, local operator, balancing authority, SCADA, CSMS, market. Of two with
the same rank the newer one rules, of two of the same instant the one whose name sorts first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from agent.control import region
from agent.control.fleet import POSSIBLE
from agent.control.parameters import Parameters
from agent.messages import (
    SITE,
    Authority,
    ControlRequest,
    RequestKind,
    RequestOutcome,
    RequestStatus,
)

REMEMBERED: Final = 10_000
SETTING_MAX: Final = {"db_uf_hz": 5.0, "db_of_hz": 5.0, "k_uf": 1.0, "k_of": 1.0, "olrt_s": 600.0}
MODES: Final = ("on", "blocked", "drain")

# AddCause of IEC 61850-7-2:2010+A1, table "additional cause"
NOT_SUPPORTED: Final = 1
ABORTION_BY_CANCEL: Final = 15
TIME_LIMIT_OVER: Final = 16
NO_ACCESS_AUTHORITY: Final = 20
INCONSISTENT_PARAMETERS: Final = 26

AT_ONCE: Final = (RequestKind.SETTING, RequestKind.MODE)
"""Kinds that are completed when they are in force; the others when the power follows."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request in force.

    Attributes:
        start_s, end_s: Monotonic; at `end_s` its lease, or its duration, is over.
        answered: Its final outcome was given; it rules on until `end_s`.
        followed_s: Since when the delivered power has followed; NaN while it does not.
    """

    request: ControlRequest
    start_s: float
    end_s: float
    answered: bool = False
    followed_s: float = math.nan

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sort key; the lowest rules."""
        return (int(self.request.authority), -self.start_s, self.request.request_id)

    @property
    def remote(self) -> bool:
        """It came from afar: ramps, reversals and the local envelope bound it."""
        return self.request.authority > Authority.LOCAL_OPERATOR


@dataclass(frozen=True, slots=True)
class Ledger:
    """Requests in force, ruling first, and the last outcome of everything ever asked."""

    orders: tuple[Order, ...] = ()
    outcomes: dict[str, RequestOutcome] = field(default_factory=dict)

    def in_force(self, now_s: float) -> tuple[Order, ...]:
        """Return the requests whose lease is not over; those that end now await their outcome."""
        return tuple(order for order in self.orders if now_s < order.end_s)


def admit(
    ledger: Ledger,
    requests: Sequence[ControlRequest],
    known: Mapping[str, int],
    *,
    now_s: float,
    utc_s: float,
    p: Parameters,
) -> tuple[Ledger, list[RequestOutcome]]:
    """Take new requests in their order; answer each, and carry out none twice."""
    news: list[RequestOutcome] = []
    for request in requests:
        before = ledger.outcomes.get(request.request_id)
        if before is not None:
            news.append(before)
            continue
        cause, reason = refusal(request, known, p)
        if reason:
            ledger = _tell(ledger, news, request, RequestStatus.REFUSED, reason, cause, utc_s)
        elif request.test:
            reason = "test: checked, not carried out"
            ledger = _tell(ledger, news, request, RequestStatus.COMPLETED, reason, 0, utc_s)
        elif request.kind is RequestKind.WITHDRAW:
            ledger = _withdraw(ledger, news, request, utc_s)
        else:
            ledger = _enter(ledger, news, request, now_s, utc_s)
    return ledger, news


def refusal(request: ControlRequest, known: Mapping[str, int], p: Parameters) -> tuple[int, str]:
    """Return AddCause and reason why a request cannot be taken; no reason when it can."""
    if not abs(request.value) < POSSIBLE:
        return INCONSISTENT_PARAMETERS, "the value is not a finite, possible number"
    if request.kind is RequestKind.WITHDRAW:
        return 0, ""
    if not (math.isfinite(request.lease_s) and request.lease_s > 0.0):
        return INCONSISTENT_PARAMETERS, "a request needs a lease"
    if not (math.isfinite(request.duration_s) and request.duration_s >= 0.0):
        return INCONSISTENT_PARAMETERS, "the duration is not a time"
    if request.target != SITE and request.target not in known:
        return INCONSISTENT_PARAMETERS, f"unknown target {request.target}"
    if request.kind in (RequestKind.WATT_LIMIT, RequestKind.CHARGE_LIMIT) and request.value < 0.0:
        return INCONSISTENT_PARAMETERS, "a limit is a magnitude, not negative"
    if request.kind is RequestKind.MODE and request.setting not in MODES:
        return INCONSISTENT_PARAMETERS, f"unknown mode; known: {', '.join(MODES)}"
    if request.kind is RequestKind.SETTING:
        return _setting_refusal(request, p)
    return 0, ""


def settings_of(p: Parameters) -> dict[str, float]:
    """Return the settings of the local envelope, by the names that requests use."""
    return {
        "db_uf_hz": p.under.start,
        "db_of_hz": p.over.start,
        "k_uf": (p.under.full - p.under.start) / p.nominal_hz,
        "k_of": (p.over.full - p.over.start) / p.nominal_hz,
        "olrt_s": p.olrt_s,
        **region.local_values(p),
    }


def narrowed_settings(orders: Sequence[Order], p: Parameters) -> dict[str, float]:
    """Return the settings in force: the narrowest of the envelope's and of all requests'."""
    values = settings_of(p)
    for order in orders:
        if order.request.kind is RequestKind.SETTING:
            name = order.request.setting
            narrower = min if name in region.NAMES else max
            values[name] = narrower(values[name], order.request.value)
    return values


def remember(ledger: Ledger, outcome: RequestOutcome) -> Ledger:
    """Keep the last outcome of a request, forgetting the oldest beyond a bound."""
    outcomes = ledger.outcomes | {outcome.request_id: outcome}
    if len(outcomes) > REMEMBERED:
        del outcomes[next(iter(outcomes))]
    return replace(ledger, outcomes=outcomes)


def _setting_refusal(request: ControlRequest, p: Parameters) -> tuple[int, str]:
    local = settings_of(p)
    if request.setting not in local:
        return NOT_SUPPORTED, f"unknown setting; known: {', '.join(local)}"
    if request.target != SITE:
        return INCONSISTENT_PARAMETERS, "the droop is a setting of the site"
    if request.setting in region.NAMES:
        return _region_refusal(request, local[request.setting])
    if request.value > SETTING_MAX[request.setting]:
        return INCONSISTENT_PARAMETERS, f"at most {SETTING_MAX[request.setting]:g}"
    if request.value < local[request.setting]:
        return NO_ACCESS_AUTHORITY, (
            f"{request.setting} may be narrowed from {local[request.setting]:g}, never widened"
        )
    return 0, ""


def _region_refusal(request: ControlRequest, local: float) -> tuple[int, str]:
    """The region's settings are limits: lower is narrower."""
    if request.value < region.LEAST[request.setting]:
        return INCONSISTENT_PARAMETERS, f"at least {region.LEAST[request.setting]:g}"
    if request.value > local:
        reason = f"{request.setting} may be narrowed from {local:g}, never widened"
        return NO_ACCESS_AUTHORITY, reason
    return 0, ""


def _enter(
    ledger: Ledger,
    news: list[RequestOutcome],
    request: ControlRequest,
    now_s: float,
    utc_s: float,
) -> Ledger:
    lasts_s = min(request.lease_s, request.duration_s or request.lease_s)
    at_once = request.kind in AT_ONCE
    order = Order(request, now_s, now_s + lasts_s, answered=at_once)
    older = (each for each in ledger.orders if not _ends_mode(request, each.request))
    orders = tuple(sorted((*older, order), key=lambda item: item.rank))
    ledger = replace(ledger, orders=orders)
    ledger = _tell(ledger, news, request, RequestStatus.ACCEPTED, "", 0, utc_s)
    if at_once:
        ledger = _tell(ledger, news, request, RequestStatus.COMPLETED, "", 0, utc_s)
    return ledger


def _ends_mode(new: ControlRequest, old: ControlRequest) -> bool:
    """A mode is a state: a new one ends the one before it, unless that has a higher rank."""
    both = new.kind is RequestKind.MODE and old.kind is RequestKind.MODE
    return both and new.target == old.target and new.authority <= old.authority


def _withdraw(
    ledger: Ledger, news: list[RequestOutcome], request: ControlRequest, utc_s: float
) -> Ledger:
    """End the request named by `setting`, or all of this origin; never one of a higher rank."""
    ended = [order for order in ledger.orders if _is_meant(order, request)]
    if request.setting and not ended:
        reason = "no such request in force, or not yours to withdraw"
        return _tell(
            ledger, news, request, RequestStatus.REFUSED, reason, NO_ACCESS_AUTHORITY, utc_s
        )
    ledger = replace(ledger, orders=tuple(o for o in ledger.orders if o not in ended))
    for order in ended:
        if not order.answered:
            ledger = _tell(
                ledger,
                news,
                order.request,
                RequestStatus.FAILED,
                "withdrawn",
                ABORTION_BY_CANCEL,
                utc_s,
            )
    return _tell(ledger, news, request, RequestStatus.COMPLETED, "", 0, utc_s)


def _is_meant(order: Order, request: ControlRequest) -> bool:
    if request.authority > order.request.authority:
        return False
    if request.setting:
        return order.request.request_id == request.setting
    return order.request.origin == request.origin


def _tell(
    ledger: Ledger,
    news: list[RequestOutcome],
    request: ControlRequest,
    status: RequestStatus,
    reason: str,
    cause: int,
    utc_s: float,
) -> Ledger:
    outcome = RequestOutcome(request.request_id, status, reason, cause, t_utc_s=utc_s)
    news.append(outcome)
    return remember(ledger, outcome)
