"""Who does it: share, plan, guard, issue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from agent.control.decide import Decision
from agent.control.dispatch import fixed, settle
from agent.control.fleet import Fleet, Floats, Ints
from agent.control.guard import veto
from agent.control.local import tell
from agent.control.orders import Plan, expected, free, issue, plan
from agent.control.ranges import rank
from agent.control.sense import Sensed
from agent.control.state import Clock, State
from agent.control.voltage import reactive_power
from agent.messages import ModeOrder, RequestKind, Setpoint


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """What was ordered.

    Attributes:
        fleet: With the orders noted. `setpoints`: the orders.
        modes: Curves for EVSEs that answer frequency by themselves.
        told: Rows that were told something. `vetoed`: how many the guard had to change.
        power_w: What each EVSE does once it obeys, shape (n,).
        tokens: What is left of the message budget.
    """

    fleet: Fleet
    setpoints: tuple[Setpoint, ...]
    modes: tuple[ModeOrder, ...]
    told: Ints
    vetoed: int
    power_w: Floats
    tokens: float


def act(state: State, sensed: Sensed, decision: Decision, clock: Clock) -> Action:
    """Return the orders of this step."""
    p = state.parameters
    fleet, ranges = sensed.fleet, decision.ranges
    wanted_w = _shared(state, sensed, decision, clock)
    wanted_var = reactive_power(wanted_w, ranges, fleet, decision.voltage, decision.wishes.var, p)
    budget = p.message_budget_per_s
    planned = plan(
        fleet,
        ranges,
        wanted_w,
        wanted_var,
        dropped=sensed.heard.dropped,
        leave=decision.local.leave,
        least_w=p.landing_w if decision.landing else p.min_change_w,
        now_s=clock.now_s,
        tokens=min(state.tokens + budget * clock.dt_s, budget),
        p=p,
    )
    planned, vetoed = _guarded(planned, sensed, state)
    report = sensed.frequency.measurement
    fleet, setpoints, told = issue(
        fleet,
        planned,
        now_s=clock.now_s,
        wire_s=report.wire_s if report is not None else 0.0,
        reason=_reason(sensed, decision),
        p=p,
    )
    fleet, modes = tell(fleet, decision.local, ranges, clock.now_s, planned.tokens, p)
    tokens = planned.tokens - len(modes)
    return Action(fleet, setpoints, modes, told, vetoed, planned.power_w, tokens)


def _shared(state: State, sensed: Sensed, decision: Decision, clock: Clock) -> Floats:
    """Return the power that each EVSE should have; while vehicles are adopted, what it has."""
    p = state.parameters
    ranges, target_w = decision.ranges, decision.target.trimmed_w
    now_w = expected(sensed.fleet, ranges)
    if sensed.adopting:
        return np.clip(now_w, ranges.low_w, ranges.high_w)
    able = free(sensed.fleet, now_w, ranges, target_w, clock.now_s, p)
    movable = ranges
    if decision.wishes.ruler is None:
        movable = fixed(ranges, ~ranges.answers)
    tolerance_w = max(p.min_change_w, p.tolerance_share * ranges.rated_w)
    if decision.landing:
        tolerance_w = p.landing_w
    order = partial(rank, sensed.fleet, p)
    return settle(movable, now_w, target_w, tolerance_w, able, order)


def _guarded(planned: Plan, sensed: Sensed, state: State) -> tuple[Plan, int]:
    """Return the plan after the guard's veto, and how many orders it changed."""
    orders = planned.changed | planned.renewed
    if not orders.any():
        return planned, 0
    verdict = veto(
        planned.power_w, planned.q_var, sensed.fleet, sensed.ride.permitted, state.parameters
    )
    touched = verdict.vetoed & orders
    count = int(np.count_nonzero(touched))
    if not count:
        return planned, 0
    guarded = replace(
        planned,
        power_w=np.where(touched, verdict.power_w, planned.power_w),
        q_var=np.where(touched, verdict.q_var, planned.q_var),
        changed=planned.changed | touched,
        renewed=planned.renewed & ~touched,
    )
    return guarded, count


def _reason(sensed: Sensed, decision: Decision) -> str:
    """Return the reason that the orders of this step carry."""
    ruler = decision.wishes.ruler
    if not sensed.ride.permitted:
        return "ride-through"
    if ruler is not None and ruler.request.kind is RequestKind.STOP:
        return "stop"
    return decision.target.reason
