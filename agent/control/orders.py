"""From the power that each EVSE should have to the few orders that must be sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agent.control.dispatch import Ranges
from agent.control.fleet import Bools, Fleet, Floats, Ints
from agent.messages import Setpoint

RENEW_AT = 0.45
"""Share of a lease after which it is renewed: before half of it, as the only repetition."""
EVENT = 0.1
"""Share of the fleet's power that makes a deviation an event."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The power each EVSE should have, and which orders follow; arrays of shape (n,)."""

    power_w: Floats
    changed: Bools
    renewed: Bools
    active: Bools


def plan(
    fleet: Fleet,
    ranges: Ranges,
    wanted_w: Floats,
    keep: Bools,
    *,
    now_s: float,
    min_change_w: float,
    lease_s: float,
) -> Plan:
    """Return what must be sent.

    An order is sent when it changes the power by at least the smallest useful step, when the old
    one lies outside the range of now, or when its lease must be renewed. An EVSE that is back at
    its base is told once and then released.

    `wanted_w` is the power each should have; `keep` are EVSEs that a request holds.
    """
    expected_w = expected(fleet, ranges)
    step_w = np.maximum(min_change_w, ranges.step_w)
    outside = (expected_w < ranges.low_w) | (expected_w > ranges.high_w)
    moved = np.abs(wanted_w - expected_w) >= step_w
    at_base = np.abs(wanted_w - ranges.base_w) < step_w
    wanted_w = np.where(at_base, ranges.base_w, wanted_w)
    held = keep & ~fleet.active
    differs = wanted_w != expected_w
    finish = fleet.active & at_base & differs & ~keep
    changed = ranges.usable & ((moved & differs) | outside | held | finish)
    power_w = np.where(changed, wanted_w, expected_w)
    active = np.where(changed, ~at_base | keep, fleet.active) & ranges.usable
    due = now_s - fleet.issued_s >= RENEW_AT * lease_s
    renewed = active & ~changed & due
    return Plan(power_w, changed, renewed, active)


def free(
    fleet: Fleet,
    expected_w: Floats,
    ranges: Ranges,
    target_w: float,
    now_s: float,
    interval_s: float,
) -> Bools:
    """Return which EVSEs may be told something new: not too soon after the last order.

    A deviation of a tenth of the fleet is an event, in which everybody may be told at once.
    """
    missing_w = abs(target_w - float(expected_w.sum()))
    event = missing_w > EVENT * float(np.maximum(ranges.high_w, -ranges.low_w).sum())
    result: Bools = (now_s - fleet.issued_s >= interval_s) | event
    return result


def expected(fleet: Fleet, ranges: Ranges) -> Floats:
    """Return what each EVSE does by its last order, or by itself where it has none."""
    result: Floats = np.where(fleet.active, fleet.ordered_w, ranges.base_w)
    return np.where(ranges.usable, result, 0.0)


def issue(
    fleet: Fleet, plan: Plan, *, now_s: float, lease_s: float, wire_s: float, reason: str
) -> tuple[Fleet, tuple[Setpoint, ...], Ints]:
    """Return the fleet with the orders noted, the orders, and the rows they concern."""
    send = plan.changed | plan.renewed
    rows = np.flatnonzero(send)
    ordered_w = np.where(plan.active | plan.changed, plan.power_w, np.nan)
    if rows.size == 0:
        if np.array_equal(plan.active, fleet.active):
            return fleet, (), rows
        return replace(fleet, active=plan.active, ordered_w=ordered_w), (), rows
    seq, issued_s = fleet.seq.copy(), fleet.issued_s.copy()
    seq[rows] += 1
    issued_s[rows] = now_s
    fleet = replace(fleet, seq=seq, issued_s=issued_s, ordered_w=ordered_w, active=plan.active)
    setpoints = tuple(
        Setpoint(
            evse_id=fleet.ids[row],
            seq=int(number),
            p_w=float(power_w),
            lease_s=lease_s,
            issued_s=now_s,
            wire_s=wire_s if changed else 0.0,
            reason=reason if changed else "renewal",
        )
        for row, number, power_w, changed in zip(
            rows.tolist(), seq[rows], plan.power_w[rows], plan.changed[rows], strict=True
        )
    )
    return fleet, setpoints, rows
