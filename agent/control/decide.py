"""How much the fleet should give now, and within which limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from agent.control import power, region, standing
from agent.control.arbitration import narrowed_settings
from agent.control.attack import Offset
from agent.control.fast import Fast
from agent.control.fast import advance as advance_fast
from agent.control.local import Local, localise
from agent.control.oscillation import Oscillation, observe
from agent.control.parameters import Parameters
from agent.control.pid import Pid
from agent.control.power import Level, Target
from agent.control.ranges import Ranges, limits
from agent.control.response import OLRT_TO_TIME_CONSTANT, Droop, droop_in_force
from agent.control.sense import Sensed, mean_voltage_pu
from agent.control.stability import Limit, limit_slope
from agent.control.standing import Standing
from agent.control.state import Clock, State
from agent.control.voltage import Voltage, respond

STILL = 1e-4
"""An answer to frequency below this share counts as none."""
LIMIT_PERIOD_S = 1.0
"""How often the stability limit follows the measured delays."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What should happen; the parts that the next step needs are named as in `State`.

    Attributes:
        ranges: What each EVSE may do, with the setpoints of requests as its base.
        wishes: What the requests mean together. `settings`: the droop settings in force.
        gain_w_per_hz: Slope that the droop would have without the stability limit.
        level, target: Answer to frequency; power of the fleet.
        local: EVSEs that answer frequency by themselves.
        landing: A request has reached its end and nothing else moves: small differences count.
    """

    ranges: Ranges
    wishes: Standing
    settings: dict[str, float]
    gain_w_per_hz: float
    level: Level
    target: Target
    landing: bool
    local: Local
    limit: Limit
    limited_s: float
    swing: Oscillation
    fast: Fast
    voltage: Voltage
    offset: Offset
    pid: Pid
    idle_w: float


def decide(state: State, sensed: Sensed, clock: Clock) -> Decision:
    """Return the decision for this step."""
    p = state.parameters
    fleet, f_hz = sensed.fleet, sensed.f_hz
    orders = sensed.ledger.in_force(clock.now_s)
    wishes = standing.stand(orders, fleet, p, clock.day_s)
    settings = narrowed_settings(orders, p)
    p = region.narrowed(p, settings)
    droop = droop_in_force(settings, p)
    voltage = respond(state.voltage, mean_voltage_pu(sensed, state), clock.dt_s, p)

    ranges = limits(fleet, p, clock.now_s, reachable=sensed.reachable)
    ranges = power.safe(ranges, sensed.ride, voltage.watt_cap, p)
    ranges = standing.apply(ranges, wishes, fleet)
    limit, limited_s = _stability(state, sensed, ranges, droop, clock, p)
    limit = region.within(limit, settings)
    ranges = power.with_cut(ranges, fleet.delays_s(p.default_delay_s), limit.cut_s)

    swing = observe(state.swing, f_hz, clock.now_s, clock.dt_s)
    fast = advance_fast(state.fast, p.preset.fast, f_hz, clock.now_s)
    # Stations that answer by themselves do so with all their power, whatever the reserve.
    whole = state.parameters if p.local_frequency else p
    rated_w = max(power.rated_w(ranges, 1.0, whole), power.rated_w(ranges, -1.0, whole), 1.0)
    slope = min(limit.slope_w_per_hz / rated_w, droop.slope) * swing.gain
    gentle = droop.flattened(slope)
    level = power.answer(state, sensed, fast, gentle, clock)
    local = localise(fleet, ranges, gentle, wishes, sensed.ride, clock.now_s, p)
    ranges = replace(ranges, answers=ranges.answers & ~local.following)

    ranges, asked_w, offset = power.requested(state, ranges, wishes, clock)
    trim, idle_w = power.trimmed(state, fleet, ranges, clock)
    cap = sensed.ride.cap(clock.now_s)
    elsewhere_w = local.answer_w(f_hz) + power.silent_answer_w(ranges)
    level_w = power.contribution_w(ranges, level.share, elsewhere_w, p)
    target = power.aim(sensed, ranges, wishes, asked_w, level_w, trim.trim_w, cap)
    return Decision(
        ranges=ranges,
        wishes=wishes,
        settings=settings,
        gain_w_per_hz=droop.slope * rated_w,
        level=level,
        target=target,
        local=local,
        landing=_landing(wishes, offset, state.offset, level),
        limit=limit,
        limited_s=limited_s,
        swing=swing,
        fast=fast,
        voltage=voltage,
        offset=offset,
        pid=trim,
        idle_w=idle_w,
    )


def _landing(wishes: Standing, offset: Offset, before: Offset, level: Level) -> bool:
    asked = wishes.ruler is not None or not bool(np.isnan(wishes.pinned_w).all())
    return asked and offset.value_w == before.value_w and abs(level.share) < STILL


def _stability(
    state: State, sensed: Sensed, ranges: Ranges, droop: Droop, clock: Clock, p: Parameters
) -> tuple[Limit, float]:
    """Return the stability limit, computed anew once a second from the delays measured."""
    known = math.isfinite(state.limit.delay_s) and state.limit.inertia_s == p.inertia_s
    if known and clock.now_s - state.limited_s < LIMIT_PERIOD_S:
        return state.limit, state.limited_s
    limit = limit_slope(
        state.limit,
        sensed.fleet.delays_s(p.default_delay_s),
        np.where(ranges.usable, ranges.nameplate_w, 0.0),
        wanted_share_per_hz=droop.slope,
        lag_s=droop.olrt_s * OLRT_TO_TIME_CONSTANT,
        p=p,
    )
    own = replace(limit, inertia_s=p.inertia_s, own_w_per_hz=limit.slope_w_per_hz)
    return own, clock.now_s
