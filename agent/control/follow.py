"""Does the delivered power follow what was asked? Only then is a request completed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from agent.control.arbitration import TIME_LIMIT_OVER, Ledger, Order, remember
from agent.control.fleet import Fleet, Floats, known
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges
from agent.control.standing import Standing
from agent.messages import SITE, RequestKind, RequestOutcome, RequestStatus

SETTLE_S: Final = 0.5
"""The power must have followed for this long."""
TOLERANCE: Final = 0.05
TOLERANCE_W: Final = 150.0


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """What the fleet does after this step; arrays of shape (n,).

    Attributes:
        ordered_w: Power by the orders. `answer_w`: the part of it that answers frequency.
        delivered_w, delivered_var: What the stations measure.
        index: Row of each EVSE.
        standing: The requests' sum.
    """

    ordered_w: Floats
    answer_w: Floats
    delivered_w: Floats
    delivered_var: Floats
    index: dict[str, int]
    standing: Standing

    def at(self, values: Floats, target: str) -> float:
        """Return the sum of `values` at a request's target."""
        if target == SITE:
            return float(values.sum())
        row = self.index.get(target)
        return 0.0 if row is None else float(values[row])


def deliver(fleet: Fleet, ranges: Ranges, power_w: Floats, standing: Standing) -> Delivery:
    """Return the delivery of this step."""
    return Delivery(
        ordered_w=power_w,
        answer_w=power_w - ranges.base_w,
        delivered_w=fleet.delivered_w(),
        delivered_var=known(fleet.column("q_var")),
        index=fleet.index,
        standing=standing,
    )


def judge(
    ledger: Ledger, delivery: Delivery, droop_w: float, now_s: float, utc_s: float, p: Parameters
) -> tuple[Ledger, list[RequestOutcome]]:
    """Give final outcomes and end what is over.

    A request without duration is completed once its power has followed; a bounded one at its
    end, if the power followed then. `droop_w` is the fleet's answer to frequency.
    """
    if not ledger.orders:
        return ledger, []
    news: list[RequestOutcome] = []
    kept: list[Order] = []
    for before in ledger.orders:
        order = before
        if now_s < before.end_s:
            order = _watched(before, follows(before, delivery, droop_w), now_s)
        outcome = None if order.answered else _outcome(order, delivery, now_s, utc_s, p)
        if outcome is not None:
            news.append(outcome)
            order = replace(order, answered=True)
        if now_s < order.end_s:
            kept.append(order)
    if not news and kept == list(ledger.orders):
        return ledger, []
    ledger = replace(ledger, orders=tuple(kept))
    for outcome in news:
        ledger = remember(ledger, outcome)
    return ledger, news


def follows(order: Order, delivery: Delivery, droop_w: float) -> bool:
    """The delivered power is what was asked, within 5 % or 150 W."""
    request = order.request
    value, target = request.value, request.target
    power_w = delivery.at(delivery.delivered_w, target)
    tolerance = max(TOLERANCE_W, TOLERANCE * abs(value))
    if request.kind is RequestKind.WATT_LIMIT:
        return power_w <= value + tolerance
    if request.kind is RequestKind.CHARGE_LIMIT:
        return -power_w <= value + tolerance
    if request.kind is RequestKind.VAR_SETPOINT:
        return abs(delivery.at(delivery.delivered_var, target) - value) <= tolerance
    if request.kind is RequestKind.STOP:
        return abs(power_w) <= tolerance
    answer_w = droop_w if target == SITE else delivery.at(delivery.answer_w, target)
    return _rules(order, delivery.standing) and abs(power_w - value - answer_w) <= tolerance


def _rules(order: Order, standing: Standing) -> bool:
    return (
        order.request.target != SITE
        or standing.ruler is None
        or (standing.ruler.request is order.request)
    )


def _watched(order: Order, follows_now: bool, now_s: float) -> Order:
    if follows_now == (not math.isnan(order.followed_s)):
        return order
    return replace(order, followed_s=now_s if follows_now else math.nan)


def _outcome(
    order: Order, delivery: Delivery, now_s: float, utc_s: float, p: Parameters
) -> RequestOutcome | None:
    request = order.request
    settled = now_s - order.followed_s >= SETTLE_S
    over = now_s >= order.end_s
    bounded = request.duration_s > 0.0 and request.duration_s <= request.lease_s
    patience_s = p.follow_timeout_s + (1.0 / p.ramp_share_per_s if order.remote else 0.0)
    if settled and (over or not bounded):
        status, reason, cause = RequestStatus.COMPLETED, "", 0
    elif over and not bounded:
        status, reason, cause = RequestStatus.EXPIRED, _why(order, delivery), TIME_LIMIT_OVER
    elif over or (not bounded and now_s - order.start_s >= patience_s):
        status, reason, cause = RequestStatus.FAILED, _why(order, delivery), TIME_LIMIT_OVER
    else:
        return None
    return RequestOutcome(
        request.request_id,
        status,
        reason,
        cause,
        delivery.at(delivery.ordered_w, request.target),
        delivery.at(delivery.delivered_w, request.target),
        utc_s,
    )


def _why(order: Order, delivery: Delivery) -> str:
    ruler = delivery.standing.ruler
    outranked = ruler is not None and ruler.rank < order.rank
    if ruler is not None and outranked and not _rules(order, delivery.standing):
        return f"overruled by {ruler.request.authority.name.lower()} {ruler.request.request_id}"
    return "the delivered power did not follow"
