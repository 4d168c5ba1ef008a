"""What the stations say becomes the fleet: new EVSEs, adoption, disconnects, delays, energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agent.control.fleet import (
    REPORTED,
    Bools,
    Fleet,
    Floats,
    Ints,
    Own,
    columns_of,
    known,
)
from agent.control.interface import Now
from agent.control.parameters import Parameters
from agent.messages import EvseStatus, OrderResult

FOLLOWED: Final = 0.1
"""A power counts as reached when it is within this share of the ordered change."""
DELAY_MEMORY: Final = 0.8
"""Weight of the past in the delay's average; a longer delay counts at once."""
LONGEST_S: Final = 10.0
"""A longer silence is not accounted: nobody knows what happened in it."""
CURVE_ANSWER_S: Final = 60.0
"""A refusal this soon after the curve was told refuses the curve."""
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What one step heard of the stations; arrays hold rows of the fleet.

    Attributes:
        rows: EVSEs that reported.
        dropped: EVSEs that lost their vehicle or failed while an order was in force.
        adopted: EVSEs found carrying out an order that this process did not give.
        refused: Newest orders that a station refused.
    """

    rows: Ints
    dropped: Ints
    adopted: Ints
    refused: tuple[OrderResult, ...]


def hear(
    fleet: Fleet,
    news: Sequence[EvseStatus],
    results: Sequence[OrderResult],
    now: Now,
    p: Parameters,
) -> tuple[Fleet, Heard]:
    """Return the fleet with everything that its stations said."""
    nothing: Ints = np.zeros(0, dtype=np.int64)
    fleet, refused = _refusals(fleet, results, now.mono_s, p)
    if not news:
        return fleet, Heard(nothing, nothing, nothing, refused)
    before = fleet = _grown(fleet, news)
    latest = {fleet.index[status.evse_id]: status for status in news}
    rows = np.fromiter(latest, dtype=np.int64, count=len(latest))
    reported = fleet.reported.copy()
    reported[:, rows] = columns_of(list(latest.values()))
    statuses = fleet.statuses.copy()
    for row, status in latest.items():
        statuses[row] = status
    fleet = replace(fleet, reported=reported, statuses=statuses)
    fleet = _departures(before, fleet, rows, now)
    fleet, dropped = _disconnects(fleet, rows, now.mono_s, p)
    fleet = _delays(fleet, rows, now.mono_s)
    fleet, adopted = _adopt(fleet, rows, now.mono_s, p)
    return fleet, Heard(rows, dropped, adopted, refused)


def account(fleet: Fleet, dt_s: float, p: Parameters) -> Fleet:
    """Return the fleet with the energy of the last `dt_s`; yesterday's use leaks away."""
    if not len(fleet):
        return fleet
    dt_s = min(dt_s, LONGEST_S)
    return charged(fleet, fleet.delivered_w() * dt_s / 3600.0, dt_s, p)


def charged(fleet: Fleet, export_wh: Floats, dt_s: float, p: Parameters) -> Fleet:
    """Return the fleet with the energy that each exported in the last `dt_s` put to its account.

    Args:
        fleet: The fleet; those that are `active` worked for the grid.
        export_wh: Energy at the connector, positive exports, shape (n,).
        dt_s: The time it took.
        p: Efficiency and the day's budget.
    """
    given_wh = fleet.own.given_wh + stored_wh(export_wh, p)
    worked_wh = np.where(fleet.active, np.maximum(export_wh, 0.0), 0.0)
    leak_wh = day_budget_wh(fleet, p) * dt_s / DAY_S
    used_wh = np.maximum(fleet.own.used_wh + worked_wh - leak_wh, 0.0)
    return replace(fleet, own=replace(fleet.own, given_wh=given_wh, used_wh=used_wh))


def stored_wh(export_wh: Floats, p: Parameters) -> Floats:
    """Return what leaves the batteries for an export at the connector, losses included."""
    return np.where(export_wh > 0.0, export_wh / p.efficiency, export_wh * p.efficiency)


def day_budget_wh(fleet: Fleet, p: Parameters) -> Floats:
    """Return the energy a day that each vehicle may give: its cycles, or the site's limit."""
    capacity_wh = fleet.column("capacity_wh")
    cycles_wh = np.where(np.isnan(capacity_wh), np.inf, p.max_cycles_per_day * capacity_wh)
    result: Floats = np.minimum(np.minimum(cycles_wh, p.max_energy_per_day_wh), 1e12)
    return result


def _refusals(
    fleet: Fleet, results: Sequence[OrderResult], now_s: float, p: Parameters
) -> tuple[Fleet, tuple[OrderResult, ...]]:
    """A station that refused its newest order rests; its EVSE does what it did by itself.

    One that refused the droop's curve is not asked again for this vehicle, and works on.
    """
    refused = tuple(
        result
        for result in results
        if not result.accepted
        and (row := fleet.index.get(result.evse_id)) is not None
        and fleet.own.seq[row] == result.seq
    )
    if not refused:
        return fleet, ()
    rows = np.array([fleet.index[result.evse_id] for result in refused])
    told_a_curve = now_s - fleet.own.local_s[rows] < CURVE_ANSWER_S
    local_s = fleet.own.local_s.copy()
    local_s[rows[told_a_curve]] = np.nan
    fleet = replace(fleet, own=replace(fleet.own, local_s=local_s))
    return _resting(fleet, rows[~told_a_curve], now_s + p.cooldown_s), refused


def _resting(fleet: Fleet, rows: Ints, until_s: float | Floats) -> Fleet:
    rest_until_s, ordered_w, active = (
        fleet.own.rest_until_s.copy(),
        fleet.own.ordered_w.copy(),
        fleet.own.active.copy(),
    )
    rest_until_s[rows] = until_s
    ordered_w[rows] = np.nan
    active[rows] = 0.0
    own = replace(fleet.own, rest_until_s=rest_until_s, ordered_w=ordered_w, active=active)
    return replace(fleet, own=own)


def _departures(before: Fleet, fleet: Fleet, rows: Ints, now: Now) -> Fleet:
    """Turn a departure time into a monotonic instant when it is first named.

    So a clock that is stepped later changes nothing. A new energy need, or a new vehicle, starts
    the account of given energy anew.
    """
    named = fleet.column("departure_utc_s")[rows]
    fresh = (named != before.column("departure_utc_s")[rows]) | (fleet.own.heard[rows] == 0)
    departs_s = fleet.own.departs_s.copy()
    instant = np.where(np.isnan(named), np.inf, now.mono_s + (named - now.utc_s))
    departs_s[rows] = np.where(fresh, instant, departs_s[rows])
    need, needed = fleet.column("energy_needed_wh")[rows], before.column("energy_needed_wh")[rows]
    given_wh = fleet.own.given_wh.copy()
    given_wh[rows] = np.where(fresh | (need != needed), 0.0, given_wh[rows])
    own = replace(fleet.own, departs_s=departs_s, given_wh=given_wh)
    other = [
        row for row in rows.tolist() if fleet.statuses[row].ev_id != before.statuses[row].ev_id
    ]
    return replace(fleet, own=_new_vehicles(own, other) if other else own)


def _new_vehicles(own: Own, rows: list[int]) -> Own:
    used_wh, faults, local_s = own.used_wh.copy(), own.faults.copy(), own.local_s.copy()
    used_wh[rows] = faults[rows] = 0.0
    local_s[rows] = -np.inf
    return replace(own, used_wh=used_wh, faults=faults, local_s=local_s)


def _disconnects(fleet: Fleet, rows: Ints, now_s: float, p: Parameters) -> tuple[Fleet, Ints]:
    """A vehicle that left or failed under an order rests, longer each time."""
    ordered_w = known(fleet.own.ordered_w[rows])
    gone = fleet.column("plugged")[rows] == 0
    dropped: Ints = rows[gone & (fleet.own.active[rows] > 0) & (np.abs(ordered_w) > 0)]
    if dropped.size == 0:
        return fleet, dropped
    faults = fleet.own.faults.copy()
    faults[dropped] += 1
    rest_s = p.cooldown_s * 2.0 ** np.minimum(faults[dropped] - 1, 6)
    fleet = _resting(fleet, dropped, now_s + rest_s)
    return replace(fleet, own=replace(fleet.own, faults=faults)), dropped


def _delays(fleet: Fleet, rows: Ints, now_s: float) -> Fleet:
    """Measure the time from an order to the power that follows it."""
    own = fleet.own
    change_w = np.abs(own.ordered_w[rows] - own.moved_from_w[rows])
    missing_w = np.abs(fleet.column("p_w")[rows] - own.ordered_w[rows])
    reached: Bools = ~np.isnan(own.moved_s[rows]) & (missing_w <= FOLLOWED * change_w)
    if not reached.any():
        return fleet
    done = rows[reached]
    sample_s = now_s - own.moved_s[done]
    old_s = own.delay_s[done]
    mean_s = DELAY_MEMORY * old_s + (1.0 - DELAY_MEMORY) * sample_s
    delay_s, moved_s = own.delay_s.copy(), own.moved_s.copy()
    delay_s[done] = np.where(np.isnan(old_s), sample_s, np.maximum(mean_s, sample_s * 0.8))
    moved_s[done] = np.nan
    return replace(fleet, own=replace(own, delay_s=delay_s, moved_s=moved_s))


def _adopt(fleet: Fleet, rows: Ints, now_s: float, p: Parameters) -> tuple[Fleet, Ints]:
    """Take over the order that a station carries out when it is first heard.

    After a restart the vehicles still do what the last process told them; that is where this one
    starts, without a bump. The order is renewed soon, because its remaining lease is unknown.
    """
    fresh = rows[fleet.own.heard[rows] == 0]
    if fresh.size == 0:
        return fleet, fresh
    heard = fleet.own.heard.copy()
    heard[fresh] = 1.0
    told_w, power_w = fleet.column("setpoint_w")[fresh], fleet.column("p_w")[fresh]
    base_w = fleet.column("base_w")[fresh]
    obeys = np.abs(power_w - told_w) <= np.maximum(0.2 * np.abs(told_w), 500.0)
    held: Bools = obeys & (np.abs(told_w - base_w) > p.min_change_w)
    adopted: Ints = fresh[held & (fleet.column("plugged")[fresh] > 0)]
    ordered_w, active, issued_s = (
        fleet.own.ordered_w.copy(),
        fleet.own.active.copy(),
        fleet.own.issued_s.copy(),
    )
    ordered_w[adopted] = fleet.column("setpoint_w")[adopted]
    issued_s[adopted] = np.where(active[adopted] > 0, issued_s[adopted], now_s - 0.25 * p.lease_s)
    active[adopted] = 1.0
    own = replace(fleet.own, heard=heard, ordered_w=ordered_w, active=active, issued_s=issued_s)
    return replace(fleet, own=own), adopted


def _grown(fleet: Fleet, news: Sequence[EvseStatus]) -> Fleet:
    first: dict[str, EvseStatus] = {}
    for status in news:
        if status.evse_id not in fleet.index:
            first.setdefault(status.evse_id, status)
    if not first:
        return fleet
    start = len(fleet)
    return Fleet(
        ids=(*fleet.ids, *first),
        index=fleet.index | {name: start + i for i, name in enumerate(first)},
        statuses=[*fleet.statuses, *first.values()],
        reported=np.hstack([fleet.reported, np.full((len(REPORTED), len(first)), np.nan)]),
        own=fleet.own.grown(len(first)),
    )
