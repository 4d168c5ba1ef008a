"""Does the delivered power follow what was asked? Only then is a request completed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from agent.control.arbitration import ADD_CAUSE_TIME_LIMIT_OVER, Ledger, Order, remember
from agent.messages import RequestOutcome, RequestStatus

SETTLE_S = 0.5
"""The power must have followed for this long."""
TOLERANCE = 0.05
TOLERANCE_W = 150.0


@dataclass(frozen=True, slots=True)
class Power:
    """Ordered and delivered power at a request's target, W."""

    ordered_w: float
    delivered_w: float


def judge(
    ledger: Ledger, powers: dict[str, Power], now_s: float, utc_s: float, timeout_s: float
) -> tuple[Ledger, list[RequestOutcome]]:
    """Give final outcomes and end what is over.

    A request without duration is completed once its power has followed; a bounded one at its
    end, if the power followed then. `powers` is by target.
    """
    news: list[RequestOutcome] = []
    kept: list[Order] = []
    for order in ledger.orders:
        power = powers.get(order.request.target, Power(0.0, 0.0))
        order = _watched(order, power, now_s)
        outcome = None if order.answered else _outcome(order, power, now_s, utc_s, timeout_s)
        if outcome is not None:
            news.append(outcome)
            order = replace(order, answered=True)
        if now_s < order.end_s:
            kept.append(order)
    ledger = replace(ledger, orders=tuple(kept))
    for outcome in news:
        ledger = remember(ledger, outcome)
    return ledger, news


def follows(order: Order, power: Power) -> bool:
    """The delivered power is what the request asked for, within 5 % or 150 W."""
    wanted_w = order.request.value if order.request.kind.value == "watt-setpoint" else 0.0
    return abs(power.delivered_w - wanted_w) <= max(TOLERANCE_W, TOLERANCE * abs(wanted_w))


def _watched(order: Order, power: Power, now_s: float) -> Order:
    if not follows(order, power):
        return order if math.isnan(order.followed_s) else replace(order, followed_s=math.nan)
    return replace(order, followed_s=now_s) if math.isnan(order.followed_s) else order


def _outcome(
    order: Order, power: Power, now_s: float, utc_s: float, timeout_s: float
) -> RequestOutcome | None:
    request = order.request
    settled = now_s - order.followed_s >= SETTLE_S
    over = now_s >= order.end_s
    bounded = request.duration_s > 0.0
    if settled and (over or not bounded):
        status, reason, cause = RequestStatus.COMPLETED, "", 0
    elif over:
        status, reason, cause = (
            RequestStatus.FAILED if bounded else RequestStatus.EXPIRED,
            "the delivered power did not follow",
            ADD_CAUSE_TIME_LIMIT_OVER,
        )
    elif not bounded and now_s - order.start_s >= timeout_s:
        status, reason, cause = (
            RequestStatus.FAILED,
            "the delivered power did not follow",
            ADD_CAUSE_TIME_LIMIT_OVER,
        )
    else:
        return None
    return RequestOutcome(
        request.request_id, status, reason, cause, power.ordered_w, power.delivered_w, utc_s
    )
