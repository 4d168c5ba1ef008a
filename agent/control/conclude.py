"""What became of it: outcomes, alarms, records, views, and the next state."""

from __future__ import annotations

import math
from dataclasses import replace

from agent.control import conditions, views
from agent.control.act import Action
from agent.control.arbitration import Ledger
from agent.control.decide import Decision
from agent.control.follow import deliver, judge
from agent.control.interface import Outputs
from agent.control.sense import Sensed
from agent.control.state import Clock, State
from agent.messages import RequestOutcome

TICK_S = 0.02
SHORT_SHARE = 0.02
"""A gap of more than this share of the fleet's power is a shortfall."""


def conclude(
    state: State, sensed: Sensed, decision: Decision, action: Action, clock: Clock
) -> tuple[State, Outputs]:
    """Return the next state and everything that others must know."""
    ranges, target = decision.ranges, decision.target
    ledger, verdicts = _judged(state, sensed, decision, action, clock)
    short_s = _short_since(state, sensed, decision, action, clock)
    found = [
        *conditions.of_frequency(sensed.frequency, clock.now_s, state.parameters),
        *conditions.of_loop(sensed.ride, decision.limit, decision.swing),
        *conditions.of_delivery(short_s, action.vetoed, action.fleet, clock.now_s),
    ]
    alarms, ended = conditions.update(state.alarms, found, clock.utc_s)
    after = replace(
        state,
        clock_s=clock.now_s,
        utc_s=clock.utc_s,
        frequency=sensed.frequency,
        ride=sensed.ride,
        fleet=action.fleet,
        ledger=ledger,
        fast=decision.fast,
        share=decision.level.share,
        recovering=decision.level.recovering,
        offset=decision.offset,
        limit=decision.limit,
        limited_s=decision.limited_s,
        swing=decision.swing,
        voltage=decision.voltage,
        pid=decision.pid,
        target_w=target.target_w,
        idle_w=decision.idle_w,
        tokens=action.tokens,
        short_s=short_s,
        recall=sensed.recall,
        accounted_s=sensed.accounted_s,
        alarms=alarms,
        ticks=state.ticks + 1,
        setpoints_sent=state.setpoints_sent + len(action.setpoints) + len(action.modes),
    )
    records, noted_w = views.records(state, after, decision, sensed.heard, action.vetoed)
    rows = views.rows_of(sensed.heard.rows, action.told)
    return replace(after, noted_w=noted_w), Outputs(
        setpoints=action.setpoints,
        modes=action.modes,
        outcomes=(*sensed.answers, *verdicts),
        alarms=(*alarms, *ended),
        loop=views.loop_view(after, decision, action.power_w),
        evses=views.evse_views(action.fleet, ranges, action.power_w, rows, target.reason),
        records=records,
        next_wake_s=clock.now_s + TICK_S,
        measurement=sensed.frequency.measurement,
        requests=tuple(order.request for order in ledger.orders),
        settings=decision.settings,
    )


def _judged(
    state: State, sensed: Sensed, decision: Decision, action: Action, clock: Clock
) -> tuple[Ledger, list[RequestOutcome]]:
    if not sensed.ledger.orders:
        return sensed.ledger, []
    delivery = deliver(action.fleet, decision.ranges, action.power_w, decision.wishes)
    droop_w = decision.target.droop_w
    return judge(sensed.ledger, delivery, droop_w, clock.now_s, clock.utc_s, state.parameters)


def _short_since(
    state: State, sensed: Sensed, decision: Decision, action: Action, clock: Clock
) -> float:
    """Return since when the orders miss what is asked; NaN while they do not."""
    missing_w = abs(decision.target.asked_w - float(action.power_w.sum()))
    least_w = max(SHORT_SHARE * decision.ranges.rated_w, 2.0 * state.parameters.min_change_w)
    if sensed.adopting or missing_w <= least_w or not decision.level.share:
        return math.nan
    return clock.now_s if math.isnan(state.short_s) else state.short_s
