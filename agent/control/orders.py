"""From the power that each EVSE should have to the few orders that must be sent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from agent.control.fleet import Bools, Fleet, Floats, Ints
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges
from agent.messages import Setpoint

RENEW_FROM: Final = 0.30
RENEW_TO: Final = 0.45
"""A lasting order is renewed in this part of its lease, each EVSE at its own moment."""
RENEW_LATEST: Final = 0.6
"""From this part of its lease on, a renewal no longer waits for the message budget."""
EVENT: Final = 0.05
"""A deviation of this share of the fleet's power is an event: everybody may be told at once."""
GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What each EVSE should do and which orders follow; arrays of shape (n,).

    Attributes:
        power_w, q_var: What each does once the orders are obeyed.
        changed, renewed: Orders to send now, because they change something or must be repeated.
        active: EVSEs that are under an order afterwards.
        tokens: What is left of the message budget.
    """

    power_w: Floats
    q_var: Floats
    changed: Bools
    renewed: Bools
    active: Bools
    tokens: float


def expected(fleet: Fleet, ranges: Ranges) -> Floats:
    """Return what each EVSE does by its last order, or by itself where it has none."""
    result: Floats = np.where(fleet.active, fleet.own.ordered_w, ranges.own_w)
    return np.where(ranges.usable, result, 0.0)


def free(
    fleet: Fleet, expected_w: Floats, ranges: Ranges, target_w: float, now_s: float, p: Parameters
) -> Bools:
    """Return which EVSEs may be told something new: not too soon after the last order."""
    missing_w = abs(target_w - float(expected_w.sum()))
    event = missing_w > EVENT * ranges.rated_w
    result: Bools = (now_s - fleet.own.issued_s >= p.min_interval_s) | event
    return result


def plan(
    fleet: Fleet,
    ranges: Ranges,
    wanted_w: Floats,
    wanted_var: Floats,
    *,
    dropped: Ints,
    leave: Bools,
    least_w: float,
    now_s: float,
    tokens: float,
    p: Parameters,
) -> Plan:
    """Return what must be sent.

    An order is sent when it changes something worth a message, when the old one lies outside the
    range of now (this one at once, whatever the budget), or when its lease must be renewed. An
    EVSE that is to do what it does by itself is told once and then released; one that was
    `dropped` (its vehicle is gone) is told zero, and one that must `leave` the local answer to
    frequency is told what to do instead.
    """
    own = fleet.own
    expected_w = expected(fleet, ranges)
    steps_w = np.maximum(least_w, ranges.step_w)
    wanted_w = np.where(np.abs(wanted_w - ranges.own_w) < steps_w, ranges.own_w, wanted_w)
    wanted_w = np.clip(wanted_w, ranges.low_w, ranges.high_w)
    by_itself = (wanted_w == ranges.own_w) & (wanted_var == 0.0)
    outside = _outside(expected_w, ranges, steps_w)
    moved = np.abs(wanted_w - expected_w) >= steps_w
    turned = np.abs(wanted_var - own.ordered_var) >= p.min_change_w
    under_order = fleet.active
    last = under_order & by_itself & (wanted_w != expected_w)
    wish = ranges.usable & ~ranges.silent & (moved | turned | outside | last | leave)
    changed, tokens = _within_budget(wish, outside | leave, np.abs(wanted_w - expected_w), tokens)
    if dropped.size:
        changed = changed.copy()
        changed[dropped] = fleet.column("online")[dropped] > 0
    power_w = np.where(changed, wanted_w, expected_w)
    q_var = np.where(changed, wanted_var, own.ordered_var)
    kept = under_order & (now_s - own.issued_s <= p.lease_s)
    settled = by_itself & (power_w == ranges.own_w) & ~ranges.silent
    active = np.where(ranges.usable, np.where(changed, ~by_itself, kept & ~settled), kept)
    renewable = ranges.usable & ~ranges.silent & active & ~changed
    renewed, tokens = _renewals(fleet, renewable, now_s, tokens, p)
    return Plan(power_w, q_var, changed, renewed, active, tokens)


def issue(
    fleet: Fleet, plan: Plan, *, now_s: float, wire_s: float, reason: str, p: Parameters
) -> tuple[Fleet, tuple[Setpoint, ...], Ints]:
    """Return the fleet with the orders noted, the orders, and the rows they concern."""
    own = fleet.own
    rows = np.flatnonzero(plan.changed | plan.renewed)
    active = plan.active.astype(np.float64)
    if rows.size == 0:
        if np.array_equal(active, own.active):
            return fleet, (), rows
        return replace(fleet, own=replace(own, active=active)), (), rows
    changed = plan.changed
    ordered_w = np.where(changed, plan.power_w, own.ordered_w)
    before_w = np.where(np.isnan(own.ordered_w), fleet.delivered_w(), own.ordered_w)
    timed = changed & (np.abs(ordered_w - before_w) >= 10.0 * p.min_change_w)
    seq, issued_s = own.seq.copy(), own.issued_s.copy()
    seq[rows] += 1
    issued_s[rows] = now_s
    own = replace(
        own,
        seq=seq,
        issued_s=issued_s,
        ordered_w=ordered_w,
        ordered_var=np.where(changed, plan.q_var, own.ordered_var),
        active=active,
        moved_s=np.where(changed, np.where(timed, now_s, np.nan), own.moved_s),
        moved_from_w=np.where(timed, before_w, own.moved_from_w),
    )
    columns = (rows, seq[rows], ordered_w[rows], own.ordered_var[rows], changed[rows])
    setpoints = tuple(
        Setpoint(
            evse_id=fleet.ids[row],
            seq=int(number),
            p_w=power_w,
            lease_s=p.lease_s,
            issued_s=now_s,
            wire_s=wire_s if fresh else 0.0,
            q_var=q_var,
            reason=reason if fresh else "renewal",
        )
        for row, number, power_w, q_var, fresh in zip(
            *(column.tolist() for column in columns), strict=True
        )
    )
    return replace(fleet, own=own), setpoints, rows


def _renewals(
    fleet: Fleet, candidates: Bools, now_s: float, tokens: float, p: Parameters
) -> tuple[Bools, float]:
    """Return whose lease is due, the oldest first within the budget."""
    if not candidates.any():
        return candidates, tokens
    age = (now_s - fleet.own.issued_s) / p.lease_s
    due = candidates & (age >= _renewal_age(len(fleet)))
    return _within_budget(due, age >= RENEW_LATEST, age, tokens)


def _outside(expected_w: Floats, ranges: Ranges, least_w: Floats) -> Bools:
    """Return whose order no longer fits its range: by a useful step, or in its direction."""
    low_w, high_w = ranges.low_w, ranges.high_w
    beyond = (expected_w < low_w - least_w) | (expected_w > high_w + least_w)
    wrong = ((expected_w < 0.0) & (low_w >= 0.0)) | ((expected_w > 0.0) & (high_w <= 0.0))
    result: Bools = ranges.usable & (beyond | wrong)
    return result


def _within_budget(
    wish: Bools, urgent: Bools, weight: Floats, tokens: float
) -> tuple[Bools, float]:
    """Return which messages may go now, the weightiest first; urgent ones always do."""
    count = int(np.count_nonzero(wish))
    if count <= tokens:
        return wish, tokens - count
    allowed: Bools = wish & urgent
    room = int(tokens) - int(np.count_nonzero(allowed))
    if room > 0:
        waiting = np.flatnonzero(wish & ~urgent)
        allowed[waiting[np.argsort(-weight[waiting], kind="stable")[:room]]] = True
    return allowed, max(0.0, tokens - int(np.count_nonzero(allowed)))


@lru_cache(maxsize=4)
def _renewal_age(count: int) -> Floats:
    """Return the share of the lease after which each EVSE is renewed, spread evenly."""
    spread = np.modf(np.arange(count) * GOLDEN)[0]
    result: Floats = RENEW_FROM + (RENEW_TO - RENEW_FROM) * spread
    return result
