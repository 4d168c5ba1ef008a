"""The EVSEs as columns of numbers: 100,000 of them are decided in a few numpy passes.

Arrays are never written in place once they are part of a `Fleet`; a step makes new ones, so that
the same state gives the same answer however often it is stepped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from agent.messages import EvseStatus, OrderResult, Validity

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

REPORTED = (
    "online",
    "plugged",
    "p_w",
    "charge_max_w",
    "discharge_max_w",
    "charge_min_w",
    "discharge_min_w",
    "base_w",
    "setpoint_w",
    "step_w",
    "soc_pct",
    "soc_min_pct",
    "soc_max_pct",
    "capacity_wh",
    "soh_pct",
    "departure_utc_s",
    "energy_needed_wh",
    "latency_s",
)
"""Columns that a station reports; NaN where it does not know."""


def _floats() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """All EVSEs ever heard of, in order of appearance.

    Attributes:
        ids, index: Names, and the row of each.
        statuses: Last status of each, for the views.
        reported: One row for each name of `REPORTED`, shape (columns, n).
        ordered_w: Last order, positive exports; NaN while none is in force.
        active: An order is in force and must be renewed.
        seq: Number of the last order.
        issued_s: Monotonic instant of the last order.
        rest_until_s: Not used before this instant (refused an order, or lost its vehicle).
    """

    ids: tuple[str, ...] = ()
    index: dict[str, int] = field(default_factory=dict)
    statuses: list[EvseStatus] = field(default_factory=list)
    reported: Floats = field(default_factory=lambda: np.zeros((len(REPORTED), 0)))
    ordered_w: Floats = field(default_factory=_floats)
    active: Bools = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    seq: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    issued_s: Floats = field(default_factory=_floats)
    rest_until_s: Floats = field(default_factory=_floats)

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> Floats:
        """Return one reported column, shape (n,)."""
        row: Floats = self.reported[REPORTED.index(name)]
        return row

    def usable(self, now_s: float) -> Bools:
        """Return which EVSEs can carry out an order now."""
        ready: Bools = (
            (self.column("online") > 0)
            & (self.column("plugged") > 0)
            & (self.rest_until_s <= now_s)
        )
        return ready

    def delivered_w(self) -> Floats:
        """Return the power of each EVSE, 0 where unknown."""
        return np.nan_to_num(self.column("p_w"), nan=0.0, posinf=0.0, neginf=0.0)


def take_statuses(fleet: Fleet, news: Sequence[EvseStatus]) -> tuple[Fleet, Ints]:
    """Return the fleet with `news` in it, and the rows that changed."""
    if not news:
        return fleet, np.zeros(0, dtype=np.int64)
    fleet = _grown(fleet, news)
    latest = {fleet.index[status.evse_id]: status for status in news}
    rows = np.fromiter(latest, dtype=np.int64, count=len(latest))
    reported = fleet.reported.copy()
    reported[:, rows] = np.array([_row(status) for status in latest.values()]).T
    statuses = fleet.statuses.copy()
    for row, status in latest.items():
        statuses[row] = status
    return replace(fleet, reported=reported, statuses=statuses), rows


def take_results(
    fleet: Fleet, results: Sequence[OrderResult], now_s: float, cooldown_s: float
) -> tuple[Fleet, list[OrderResult]]:
    """Rest every EVSE that refused its newest order; return the fleet and those refusals."""
    refused = [
        result
        for result in results
        if not result.accepted
        and result.evse_id in fleet.index
        and fleet.seq[fleet.index[result.evse_id]] == result.seq
    ]
    if not refused:
        return fleet, []
    rows = [fleet.index[result.evse_id] for result in refused]
    rest_until_s, ordered_w, active = (
        fleet.rest_until_s.copy(),
        fleet.ordered_w.copy(),
        fleet.active.copy(),
    )
    rest_until_s[rows] = now_s + cooldown_s
    ordered_w[rows] = np.nan
    active[rows] = False
    fleet = replace(fleet, rest_until_s=rest_until_s, ordered_w=ordered_w, active=active)
    return fleet, refused


def _grown(fleet: Fleet, news: Sequence[EvseStatus]) -> Fleet:
    fresh = list(dict.fromkeys(s.evse_id for s in news if s.evse_id not in fleet.index))
    if not fresh:
        return fleet
    count = len(fresh)
    first = {status.evse_id: status for status in reversed(news)}
    start = len(fleet)
    return Fleet(
        ids=(*fleet.ids, *fresh),
        index=fleet.index | {name: start + i for i, name in enumerate(fresh)},
        statuses=[*fleet.statuses, *(first[name] for name in fresh)],
        reported=np.hstack([fleet.reported, np.zeros((len(REPORTED), count))]),
        ordered_w=np.append(fleet.ordered_w, np.full(count, np.nan)),
        active=np.append(fleet.active, np.zeros(count, dtype=np.bool_)),
        seq=np.append(fleet.seq, np.zeros(count, dtype=np.int64)),
        issued_s=np.append(fleet.issued_s, np.full(count, -math.inf)),
        rest_until_s=np.append(fleet.rest_until_s, np.full(count, -math.inf)),
    )


def _row(status: EvseStatus) -> tuple[float, ...]:
    return (
        float(status.online and status.quality is not Validity.INVALID),
        float(status.plugged and not status.fault),
        _number(status.p_w),
        _magnitude(status.charge_max_w),
        _magnitude(status.discharge_max_w),
        _magnitude(status.charge_min_w),
        _magnitude(status.discharge_min_w),
        status.base_w if math.isfinite(status.base_w) else 0.0,
        _number(status.setpoint_w),
        _magnitude(status.step_w),
        _number(status.soc_pct),
        _number(status.soc_min_pct),
        _number(status.soc_max_pct),
        _number(status.capacity_wh),
        _number(status.soh_pct),
        _number(status.departure_utc_s),
        _number(status.energy_needed_wh),
        _number(status.latency_s),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)


def _magnitude(value: float) -> float:
    return float(value) if math.isfinite(value) and value > 0.0 else 0.0
