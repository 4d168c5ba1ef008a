"""How much the fleet should give: requests, droop and trim, within what the site may."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from agent.control import attack, pid, standing
from agent.control.attack import Offset
from agent.control.fast import Fast
from agent.control.fleet import Fleet, Floats
from agent.control.parameters import Parameters
from agent.control.pid import Pid
from agent.control.ranges import Ranges, narrowed
from agent.control.response import Droop, lag, ramp
from agent.control.ride_through import Mode, RideThrough
from agent.control.sense import Sensed
from agent.control.standing import Standing
from agent.control.state import Clock, State


@dataclass(frozen=True, slots=True)
class Level:
    """Answer to frequency as share of rated power; `recovering` after a loss."""

    share: float
    recovering: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Power that all usable EVSEs together should have, W, positive exports.

    Attributes:
        droop_w: Answer to frequency. `asked_w`: everything asked for, before the limits.
        target_w: What is aimed at, before the trim. `trimmed_w`: with it.
        reason: Which of the blocks decided.
    """

    droop_w: float
    asked_w: float
    target_w: float
    trimmed_w: float
    reason: str


def answer(state: State, sensed: Sensed, fast: Fast, droop: Droop, clock: Clock) -> Level:
    """Return the answer to frequency after response time, loss ramp and recovery ramp."""
    p = state.parameters
    rate = 1.0 / p.ramp_to_zero_s
    if sensed.frequency.lost:
        return Level(ramp(state.share, 0.0, rate, clock.dt_s), True)
    wanted = droop.share(sensed.f_hz - p.nominal_hz)
    reserve = fast.share(p.preset.fast, clock.now_s)
    if reserve > 0.0:
        wanted = max(wanted, reserve)
    if sensed.adopting:
        return Level(wanted, False)
    share = lag(state.share, wanted, droop.olrt_s, clock.dt_s)
    if not state.recovering:
        return Level(share, False)
    eased = ramp(state.share, share, rate, clock.dt_s)
    return Level(eased, eased != share)


def safe(ranges: Ranges, ride: RideThrough, watt_cap: float, p: Parameters) -> Ranges:
    """Return the ranges as ride-through and volt-watt permit them."""
    if ride.permitted:
        if watt_cap >= 1.0:
            return ranges
        return narrowed(ranges, -np.inf, np.maximum(ranges.high_w, 0.0) * watt_cap)
    if p.safe_state == "stop" or ride.mode is Mode.INTERLOCKED:
        return narrowed(ranges, 0.0, 0.0)
    own_w = np.minimum(ranges.base_w, 0.0)
    return narrowed(ranges, own_w, own_w)


def rated_w(ranges: Ranges, share: float, p: Parameters) -> float:
    """Return the power that a share of one means: the contract, or what the fleet can move."""
    contract_w = p.contract_up_w if share > 0.0 else p.contract_down_w
    reserve_w = p.reserve_up_w if share > 0.0 else p.reserve_down_w
    if contract_w is not None and ranges.answers.any():
        return min(contract_w, reserve_w)
    power_w = np.where(ranges.answers, ranges.room_w(up=share > 0.0), 0.0)
    return min(float(power_w.sum()), reserve_w)


def silent_answer_w(ranges: Ranges) -> float:
    """Return what silent EVSEs give beside their own charging, W."""
    return float(np.where(ranges.silent, ranges.base_w - ranges.own_w, 0.0).sum())


def contribution_w(ranges: Ranges, share: float, given_w: float, p: Parameters) -> float:
    """Return the answer that is left for the central orders, W.

    Of a contract the EVSEs that answer by themselves, and those that do what they were told last,
    already give `given_w`; without a contract each EVSE gives its own share, and `rated_w` counts
    only those that are ordered.
    """
    if share == 0.0:
        return 0.0
    full_w = share * rated_w(ranges, share, p)
    contract_w = p.contract_up_w if share > 0.0 else p.contract_down_w
    reserve_w = p.reserve_up_w if share > 0.0 else p.reserve_down_w
    if contract_w is None and math.isinf(reserve_w):
        return full_w
    return max(full_w - given_w, 0.0) if share > 0.0 else min(full_w - given_w, 0.0)


def requested(
    state: State, ranges: Ranges, wishes: Standing, clock: Clock
) -> tuple[Ranges, float, Offset]:
    """Return ranges with the EVSEs' setpoints, the power asked of the site, and the offset.

    What comes from afar, and the schedule, moves the fleet through the ramp of `attack`.
    """
    p = state.parameters
    ranges = standing.pinned(ranges, wishes, 0.0)
    base_w = float(ranges.base_w.sum())
    local = wishes.ruler is not None and not wishes.ruler.remote
    if local:
        ranges = standing.pinned(ranges, wishes, 1.0)
        base_w = float(ranges.base_w.sum())
        site_w = base_w if math.isnan(wishes.site_w) else wishes.site_w
        # An order from afar that waits behind the operator's goes on from where that one ends.
        value_w = site_w - base_w if wishes.remote_waits else 0.0
        return ranges, site_w, Offset(value_w, turns_s=state.offset.turns_s)
    if math.isnan(wishes.site_w):
        wanted_w = standing.remote_offset_w(ranges, wishes)
    else:
        low_w = max(wishes.site_low_w, float(ranges.low_w.sum()))
        high_w = min(wishes.site_high_w, float(ranges.high_w.sum()))
        wanted_w = min(max(wishes.site_w, low_w), high_w) - base_w
    offset = attack.follow(state.offset, wanted_w, ranges.rated_w, clock.now_s, clock.dt_s, p)
    share = 1.0 if wanted_w == 0.0 else min(max(offset.value_w / wanted_w, 0.0), 1.0)
    return standing.pinned(ranges, wishes, share), base_w + offset.value_w, offset


def aim(
    sensed: Sensed,
    ranges: Ranges,
    wishes: Standing,
    base_w: float,
    droop_w: float,
    trim_w: float,
    cap: float,
) -> Target:
    """Return the fleet's target: what is asked, plus droop and trim, within the site's limits."""
    low_w = max(wishes.site_low_w, cap * float(ranges.low_w.sum()))
    high_w = min(wishes.site_high_w, cap * float(ranges.high_w.sum()))
    asked_w = base_w + droop_w
    target_w = min(max(asked_w, low_w), high_w)
    trimmed_w = min(max(asked_w + trim_w, low_w), high_w)
    reason = "request" if wishes.ruler is not None else "droop"
    if cap < 1.0:
        reason = "return"
    elif droop_w:
        reason = "loss" if sensed.frequency.lost else "droop"
    return Target(droop_w, asked_w, target_w, trimmed_w, reason)


def trimmed(state: State, fleet: Fleet, ranges: Ranges, clock: Clock) -> tuple[Pid, float]:
    """Return the PID after this step, and the power at the connection while the fleet idles."""
    p = state.parameters
    report = state.frequency.measurement
    pcc_w = report.p_w if report is not None and report.p_w is not None else math.nan
    if not fleet.active.any():
        return Pid(), pcc_w
    if p.pid_kp == p.pid_ki == p.pid_kd == 0.0:
        return Pid(), state.idle_w
    last_s = float(np.where(fleet.active, fleet.own.issued_s, -np.inf).max())
    if clock.now_s - last_s < 1.0 + 2.0 * _wait_s(state):
        return state.pid, state.idle_w
    delivered_w = float(fleet.delivered_w()[ranges.usable].sum())
    if not math.isnan(pcc_w - state.idle_w):
        delivered_w = float(ranges.own_w.sum()) + pcc_w - state.idle_w
    bound_w = p.pid_share * ranges.rated_w
    error_w = state.target_w - delivered_w
    return pid.trim(state.pid, error_w, bound_w, clock.dt_s, p), state.idle_w


def _wait_s(state: State) -> float:
    delay_s = state.limit.delay_s
    return state.parameters.default_delay_s if math.isnan(delay_s) else delay_s


def with_cut(ranges: Ranges, delays_s: Floats, cut_s: float) -> Ranges:
    """Return the ranges with EVSEs slower than the cut not answering frequency."""
    if math.isinf(cut_s):
        return ranges
    return replace(ranges, answers=ranges.answers & (delays_s <= cut_s))
