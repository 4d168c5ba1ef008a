"""The order of one inverter and its lease; pure, with time as an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.messages import Setpoint


@dataclass(slots=True)
class OrderBook:
    """Which order is in force, which one waits to be carried out.

    Attributes:
        pending: Accepted and not carried out yet.
        in_force: Carried out, or found in the inverter after a restart.
        ended: The inverter must be told zero: a lease is over.
    """

    pending: Setpoint | None = None
    in_force: Setpoint | None = None
    ended: bool = False

    def take(self, order: Setpoint, now_s: float) -> str:
        """Take an order; return why it is refused, or an empty text.

        An order that is in force already is accepted and renews its lease; nothing is written.
        """
        if not (math.isfinite(order.p_w) and math.isfinite(order.q_var)):
            return "a power must be a number"
        if not (math.isfinite(order.lease_s) and math.isfinite(order.issued_s)):
            return "a lease must be a number"
        if now_s >= order.issued_s + order.lease_s:
            return "its lease is over"
        newest = self.pending or self.in_force
        if newest is not None and order.seq <= newest.seq and order.issued_s < newest.issued_s:
            return "an older order than the one in force"
        if self.pending is None and self.in_force is not None and same(order, self.in_force):
            self.in_force = order
            return ""
        self.pending = order
        return ""

    def done(self, order: Setpoint, *, carried_out: bool) -> None:
        """The device answered to `order`; one that it refused leaves nothing in force."""
        if self.pending is order:
            self.pending = None
        self.in_force = order if carried_out else None
        self.ended = self.ended or not carried_out

    def expire(self, now_s: float) -> None:
        """End the order whose lease is over."""
        for order in (self.pending, self.in_force):
            if order is not None and now_s >= order.issued_s + order.lease_s:
                self.ended = self.ended or order is self.in_force
                self.pending = None if order is self.pending else self.pending
                self.in_force = None if order is self.in_force else self.in_force

    def next_end_s(self) -> float:
        """Monotonic instant of the next end of a lease; infinity for none."""
        orders = (order for order in (self.pending, self.in_force) if order is not None)
        return min((order.issued_s + order.lease_s for order in orders), default=math.inf)

    def forget(self) -> None:
        """Nothing is in force any more: the inverter has gone to zero by itself."""
        self.pending = self.in_force = None
        self.ended = False


def same(one: Setpoint, other: Setpoint) -> bool:
    """Whether two orders want the same of the inverter."""
    return one.p_w == other.p_w and one.q_var == other.q_var
