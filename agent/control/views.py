"""What HMI, MMS, audit and tools see of a step."""

from __future__ import annotations

import numpy as np

from agent.control.decide import Decision
from agent.control.fleet import Fleet, Floats, Ints
from agent.control.hearing import Heard
from agent.control.interface import Record
from agent.control.ranges import Ranges
from agent.control.ride_through import Mode
from agent.control.state import State
from agent.messages import EvseView, LoopView

NOTABLE = 0.01
"""The audit notes a new target when it differs by this share of the fleet's power."""


def loop_view(state: State, decision: Decision, power_w: Floats) -> LoopView:
    """Return the loop's inside; `state` is the one after the step."""
    ranges, target, limit = decision.ranges, decision.target, decision.limit
    ruler = decision.wishes.ruler
    ordered_w = float(power_w.sum())
    return LoopView(
        mode=_mode(state),
        nominal_hz=state.parameters.nominal_hz,
        deadband_hz=decision.settings["db_uf_hz"],
        droop_pu=decision.settings["k_uf"],
        droop_w=target.droop_w,
        target_w=target.target_w,
        ordered_w=ordered_w,
        delivered_w=float(state.fleet.delivered_w().sum()),
        up_w=max(0.0, float(ranges.high_w.sum()) - ordered_w),
        down_w=max(0.0, ordered_w - float(ranges.low_w.sum())),
        gain_w_per_hz=min(decision.gain_w_per_hz, limit.slope_w_per_hz) * state.swing.gain,
        gain_limit_w_per_hz=limit.slope_w_per_hz,
        gain_reason=limit.reason,
        delay_s=limit.delay_s,
        authority=None if ruler is None else ruler.request.authority,
        ticks=state.ticks,
        missed_ticks=0,
        setpoints_sent=state.setpoints_sent,
        reason=target.reason,
        own_limit_w_per_hz=limit.own_w_per_hz,
    )


def evse_views(
    fleet: Fleet, ranges: Ranges, power_w: Floats, rows: Ints, reason: str
) -> tuple[EvseView, ...]:
    """Return the views of the EVSEs in `rows`."""
    active = fleet.active
    up_w = np.maximum(ranges.high_w[rows] - power_w[rows], 0.0)
    down_w = np.maximum(power_w[rows] - ranges.low_w[rows], 0.0)
    columns = (rows, power_w[rows], active[rows], up_w, down_w)
    return tuple(
        EvseView(
            status=fleet.statuses[row],
            ordered_w=ordered_w,
            reason=reason if held else "",
            up_w=up,
            down_w=down,
        )
        for row, ordered_w, held, up, down in zip(
            *(column.tolist() for column in columns), strict=True
        )
    )


def records(
    before: State, after: State, decision: Decision, heard: Heard, vetoed: int
) -> tuple[tuple[Record, ...], float]:
    """Return what the audit must know, and the target that it now knows of."""
    found: list[Record] = []
    target, noted_w = decision.target, before.noted_w
    rated_w = decision.ranges.rated_w
    if abs(target.target_w - noted_w) > NOTABLE * rated_w:
        noted_w = target.target_w
        found.append(Record("dispatch", "control", f"target {noted_w:.0f} W", target.reason))
    if before.ride.mode is not after.ride.mode:
        found.append(Record("ride-through", "control", str(after.ride.mode), after.ride.reason))
    if bool(before.limit.reason) != bool(after.limit.reason):
        what = f"gain limit {after.limit.slope_w_per_hz:.4g} W/Hz"
        found.append(Record("gain", "control", what, after.limit.reason or "delays allow it"))
    if before.swing.gain != after.swing.gain:
        what = f"gain {after.swing.gain:.0%}"
        found.append(Record("oscillation", "control", what, "steady swings of the frequency"))
    found += [
        Record("disconnect", after.fleet.ids[row], "vehicle lost under an order")
        for row in heard.dropped.tolist()
    ]
    found += [
        Record("refusal", result.evse_id, f"order {result.seq} refused", result.reason)
        for result in heard.refused
    ]
    if heard.adopted.size:
        what = f"{heard.adopted.size} vehicles found at work and adopted"
        found.append(Record("adoption", "control", what, "restart"))
    if vetoed:
        found.append(Record("guard", "control", f"{vetoed} orders changed", "outside the envelope"))
    return tuple(found), noted_w


def _mode(state: State) -> str:
    if state.frequency.lost:
        return "lost"
    if state.ride.mode is not Mode.RUN:
        return str(state.ride.mode)
    if state.fast.share(state.parameters.preset.fast, state.clock_s) > 0.0:
        return "fast"
    return "droop"


def rows_of(heard: Ints, told: Ints) -> Ints:
    """Return the rows that someone must hear of, each once."""
    return told if not heard.size else np.union1d(heard, told)
