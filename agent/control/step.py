"""One step of the control: read it from top to bottom as a block diagram.

::

    measurements → select → droop → response time ┐
    requests → admit → leases ────────────────────┼→ target → ranges → share → orders → setpoints
    EVSE statuses → fleet → limits ───────────────┘                        └→ outcomes, alarms
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from agent.control import alarms as alarm_book
from agent.control import arbitration, orders
from agent.control.alarms import Condition
from agent.control.arbitration import Ledger, Order
from agent.control.dispatch import Ranges, share
from agent.control.fleet import Bools, Fleet, Floats, Ints, take_results, take_statuses
from agent.control.follow import Power, judge
from agent.control.interface import Inputs, Now, Outputs, Record
from agent.control.ranges import limits, with_requests
from agent.control.response import droop_share, lag, ramp
from agent.control.sources import Frequency, select
from agent.control.state import State
from agent.errors import AlarmCode
from agent.messages import SITE, EvseView, LoopView, RequestKind

TICK_S = 0.02


@dataclass(frozen=True, slots=True)
class Target:
    """Power that all usable EVSEs together should have, W, and why."""

    droop_w: float
    target_w: float
    ruler: Order | None
    reason: str


def step(state: State, inputs: Inputs, now: Now) -> tuple[State, Outputs]:
    """Return the next state and what to do; the same arguments always give the same answer.

    Never raises, whatever the values of `inputs` and `now` are.
    """
    p = state.parameters
    clock_s = now.mono_s if math.isfinite(now.mono_s) else state.clock_s
    clock_s = max(clock_s, state.clock_s)
    dt_s = min(clock_s - state.clock_s, 1.0) if math.isfinite(state.clock_s) else 0.0
    clock_s = clock_s if math.isfinite(clock_s) else 0.0

    fleet, _ = take_results(state.fleet, inputs.results, clock_s, p.cooldown_s)
    fleet, heard = take_statuses(fleet, inputs.evses)
    frequency = select(state.frequency, inputs.measurements, clock_s, p)
    level = _respond(state, frequency, dt_s)
    ledger, answers = arbitration.admit(
        state.ledger, inputs.requests, fleet.index, clock_s, now.utc_s
    )

    ranges, kept = _with_requests(limits(fleet, p, clock_s), fleet, ledger)
    target = _target(state, ranges, ledger, level)
    expected_w = orders.expected(fleet, ranges)
    free = orders.free(fleet, expected_w, ranges, target.target_w, clock_s, p.min_interval_s)
    wanted_w = share(ranges, expected_w, target.target_w, p.min_change_w, free)
    plan = orders.plan(
        fleet,
        ranges,
        wanted_w,
        kept,
        now_s=clock_s,
        min_change_w=p.min_change_w,
        lease_s=p.lease_s,
    )
    wire_s = frequency.measurement.wire_s if frequency.measurement else 0.0
    fleet, setpoints, told = orders.issue(
        fleet, plan, now_s=clock_s, lease_s=p.lease_s, wire_s=wire_s, reason=target.reason
    )

    ledger, verdicts = judge(
        ledger, _powers(fleet, plan.power_w, ledger), clock_s, now.utc_s, p.follow_timeout_s
    )
    active, ended = alarm_book.update(state.alarms, _conditions(state, frequency), now.utc_s)
    fresh = replace(
        state,
        clock_s=clock_s,
        frequency=frequency,
        share=level,
        fleet=fleet,
        ledger=ledger,
        alarms=active,
        ticks=state.ticks + 1,
        setpoints_sent=state.setpoints_sent + len(setpoints),
    )
    return fresh, Outputs(
        setpoints=setpoints,
        outcomes=(*answers, *verdicts),
        alarms=(*active, *ended),
        loop=_view(fresh, ranges, plan.power_w, target),
        evses=_evse_views(fleet, ranges, heard, told, target.reason),
        records=_records(target, setpoints != ()),
        next_wake_s=clock_s + TICK_S,
        measurement=frequency.measurement,
        requests=tuple(order.request for order in ledger.orders),
        settings=_settings(fresh),
    )


def _respond(state: State, frequency: Frequency, dt_s: float) -> float:
    p = state.parameters
    if frequency.lost:
        return ramp(state.share, 0.0, 1.0 / p.ramp_to_zero_s, dt_s)
    return lag(state.share, droop_share(frequency.f_hz, p), p.olrt_s, dt_s)


def _with_requests(ranges: Ranges, fleet: Fleet, ledger: Ledger) -> tuple[Ranges, Bools]:
    """Apply what requests ask of the site's and of single EVSEs; return also whom they hold."""
    count = len(fleet)
    pinned_w: Floats = np.zeros(count)
    pinned: Bools = np.zeros(count, dtype=np.bool_)
    stopped: Bools = np.zeros(count, dtype=np.bool_)
    for order in reversed(ledger.orders):
        row = fleet.index.get(order.request.target)
        rows: slice | int | None = slice(None) if order.request.target == SITE else row
        if rows is None or (rows != row and order.request.kind is not RequestKind.STOP):
            continue
        stopped[rows] = order.request.kind is RequestKind.STOP
        pinned[rows] = True
        pinned_w[rows] = order.request.value if not stopped[rows].all() else 0.0
    return with_requests(ranges, pinned_w, pinned, stopped), pinned & ranges.usable


def _target(state: State, ranges: Ranges, ledger: Ledger, level: float) -> Target:
    p = state.parameters
    rooms_w = (ranges.high_w - ranges.base_w) if level > 0 else (ranges.base_w - ranges.low_w)
    rated_w = np.minimum(rooms_w, np.maximum(-ranges.low_w, ranges.high_w))
    droop_w = level * float(rated_w.sum())
    ruler = arbitration.ruling(ledger, SITE)
    base_w = float(ranges.base_w.sum())
    if ruler is not None and ruler.request.kind is RequestKind.WATT_SETPOINT:
        base_w = ruler.request.value
    low_w = max(-p.site_charge_w, float(ranges.low_w.sum()))
    high_w = min(p.site_discharge_w, float(ranges.high_w.sum()))
    target_w = min(max(base_w + droop_w, low_w), high_w)
    reason = "droop" if ruler is None or level else "request"
    return Target(droop_w, target_w, ruler, reason)


def _powers(fleet: Fleet, power_w: Floats, ledger: Ledger) -> dict[str, Power]:
    delivered_w = fleet.delivered_w()
    powers: dict[str, Power] = {}
    for order in ledger.orders:
        target = order.request.target
        if target == SITE:
            powers[target] = Power(float(power_w.sum()), float(delivered_w.sum()))
        elif target in fleet.index:
            row = fleet.index[target]
            powers[target] = Power(float(power_w[row]), float(delivered_w[row]))
    return powers


def _conditions(state: State, frequency: Frequency) -> list[Condition]:
    p = state.parameters
    found: list[Condition] = []
    if frequency.lost:
        found.append(
            Condition(
                AlarmCode.FREQUENCY_LOST,
                "control",
                f"no usable frequency for more than {p.hold_s:g} s",
                "check the merging unit, its network and the process bus worker",
            )
        )
    elif abs(frequency.f_hz - p.nominal_hz) > p.alarm_band_hz:
        low_hz, high_hz = p.nominal_hz - p.alarm_band_hz, p.nominal_hz + p.alarm_band_hz
        found.append(
            Condition(
                AlarmCode.FREQUENCY_OUT_OF_BOUNDS,
                "control",
                f"frequency outside {low_hz:.1f} to {high_hz:.1f} Hz",
                "check the sense-line isolation and local inductive loads",
            )
        )
    return found


def _view(state: State, ranges: Ranges, power_w: Floats, target: Target) -> LoopView:
    p = state.parameters
    up_w = float((ranges.high_w - power_w)[ranges.usable].sum())
    down_w = float((power_w - ranges.low_w)[ranges.usable].sum())
    rated_w = float(np.maximum(ranges.high_w, -ranges.low_w).sum())
    gain = p.under.slope * rated_w
    ruler = target.ruler
    return LoopView(
        mode="lost" if state.frequency.lost else "droop",
        nominal_hz=p.nominal_hz,
        deadband_hz=p.under.start,
        droop_pu=(p.under.full - p.under.start) / p.nominal_hz,
        droop_w=target.droop_w,
        target_w=target.target_w,
        ordered_w=float(power_w.sum()),
        delivered_w=float(state.fleet.delivered_w().sum()),
        up_w=up_w,
        down_w=down_w,
        gain_w_per_hz=gain,
        gain_limit_w_per_hz=math.inf,
        gain_reason="",
        delay_s=math.nan,
        authority=arbitration.authority(ruler),
        ticks=state.ticks,
        missed_ticks=0,
        setpoints_sent=state.setpoints_sent,
        reason=target.reason,
    )


def _evse_views(
    fleet: Fleet, ranges: Ranges, heard: Ints, told: Ints, reason: str
) -> tuple[EvseView, ...]:
    rows = np.union1d(heard, told).tolist()
    ordered_w = orders.expected(fleet, ranges)
    return tuple(
        EvseView(
            status=fleet.statuses[row],
            ordered_w=float(ordered_w[row]),
            reason=reason if fleet.active[row] else "",
            up_w=float(ranges.high_w[row] - ordered_w[row]),
            down_w=float(ordered_w[row] - ranges.low_w[row]),
        )
        for row in rows
    )


def _records(target: Target, moved: bool) -> tuple[Record, ...]:
    if not moved:
        return ()
    return (Record("dispatch", "control", f"target {target.target_w:.0f} W", target.reason),)


def _settings(state: State) -> dict[str, float]:
    p = state.parameters
    return {
        "db_uf_hz": p.under.start,
        "db_of_hz": p.over.start,
        "k_uf": (p.under.full - p.under.start) / p.nominal_hz,
        "k_of": (p.over.full - p.over.start) / p.nominal_hz,
        "olrt_s": p.olrt_s,
    }
