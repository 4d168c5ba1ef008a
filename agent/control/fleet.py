"""The EVSEs as columns of numbers: 100,000 of them are decided in a few numpy passes.

Arrays are never written in place once they are part of a `Fleet`; a step makes new ones, so that
the same state gives the same answer however often it is stepped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.messages import EvseStatus, Validity

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

REPORTED: Final = (
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
    "q_var",
    "local",
    "modes",
    "unheard",
)
"""Columns that a station reports; NaN where it does not know."""
_AT: Final = {name: row for row, name in enumerate(REPORTED)}
_LIMITS: Final = [
    row for row, name in enumerate(REPORTED) if name.endswith(("_max_w", "_min_w", "step_w"))
]
_numbers: Final = attrgetter(*REPORTED[:-3], "local_frequency", "online", "online")
NO_VARS: Final = "reactive power"
"""Entry of `EvseStatus.cannot`: its reactive power may be measured, but not ordered."""
MODES_PROTOCOL: Final = "ocpp2.1"
"""The protocol whose stations know operation modes (block Q)."""
POSSIBLE: Final = 1e12
"""No power, energy or time that a station can mean is larger."""

OWN_START: Final[dict[str, float]] = {
    "ordered_w": math.nan,
    "ordered_var": 0.0,
    "seq": 0.0,
    "issued_s": -math.inf,
    "active": 0.0,
    "heard": 0.0,
    "rest_until_s": -math.inf,
    "faults": 0.0,
    "departs_s": math.inf,
    "given_wh": 0.0,
    "used_wh": 0.0,
    "delay_s": math.nan,
    "moved_s": math.nan,
    "moved_from_w": 0.0,
    "local_s": -math.inf,
    "local_w": 0.0,
    "local_curve": 0.0,
}
"""Columns of the control itself, and their values for an EVSE that was never heard of."""


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """What the control knows of each EVSE by itself; float arrays of shape (n,), times monotonic.

    Attributes:
        ordered_w, ordered_var: Last order, positive exports; NaN while none is in force.
        seq, issued_s: Number and instant of the last order.
        active: 1 where an order is in force and must be renewed.
        heard: 1 where its station has spoken since this process started.
        rest_until_s: Not used before (it refused an order, or lost its vehicle).
        faults: Disconnects under power of this vehicle.
        departs_s: Monotonic instant of the departure, as the clocks stood when it was named.
        given_wh: Energy taken from the battery since the station last told the energy need.
        used_wh: Energy exported for the grid today; leaks away over 24 h.
        delay_s: Measured time from order to power; NaN before the first measurement.
        local_s: When it was told the droop's curve; NaN where it refused it.
        local_w, local_curve: Power behind that curve, and which curve it was.
        moved_s, moved_from_w: The order whose effect is being measured, and the power before it.
    """

    ordered_w: Floats
    ordered_var: Floats
    seq: Floats
    issued_s: Floats
    active: Floats
    heard: Floats
    rest_until_s: Floats
    faults: Floats
    departs_s: Floats
    given_wh: Floats
    used_wh: Floats
    delay_s: Floats
    moved_s: Floats
    moved_from_w: Floats
    local_s: Floats
    local_w: Floats
    local_curve: Floats

    def grown(self, count: int) -> Own:
        """Return the columns with `count` new EVSEs at the end."""
        return Own(
            **{
                name: np.append(getattr(self, name), np.full(count, start))
                for name, start in OWN_START.items()
            }
        )


NOBODY: Final = Own(**{item.name: np.zeros(0) for item in fields(Own)})


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """All EVSEs ever heard of, in order of appearance.

    Attributes:
        ids, index: Names, and the row of each.
        statuses: Last status of each, for the views.
        reported: One row for each name of `REPORTED`, shape (columns, n).
        own: The control's own columns.
    """

    ids: tuple[str, ...] = ()
    index: dict[str, int] = field(default_factory=dict)
    statuses: list[EvseStatus] = field(default_factory=list)
    reported: Floats = field(default_factory=lambda: np.zeros((len(REPORTED), 0)))
    own: Own = NOBODY

    def __len__(self) -> int:
        return len(self.ids)

    def column(self, name: str) -> Floats:
        """Return one reported column, shape (n,)."""
        row: Floats = self.reported[_AT[name]]
        return row

    @property
    def active(self) -> Bools:
        """Which EVSEs have an order in force."""
        result: Bools = self.own.active > 0
        return result

    def usable(self, now_s: float) -> Bools:
        """Return which EVSEs can carry out an order now."""
        ready: Bools = (
            (self.column("online") > 0)
            & (self.column("plugged") > 0)
            & (self.own.rest_until_s <= now_s)
        )
        return ready

    def silent(self, now_s: float, lease_s: float) -> Bools:
        """Return which EVSEs cannot be told anything and still carry out their last order.

        The process that reaches them is gone, not they: until the order's lease ends, or they are
        heard again, they count with what they were told.
        """
        result: Bools = (
            (self.column("unheard") > 0)
            & (self.column("plugged") > 0)
            & self.active
            & (now_s - self.own.issued_s <= lease_s)
        )
        return result

    def delivered_w(self) -> Floats:
        """Return the power of each EVSE, 0 where unknown."""
        return known(self.column("p_w"))

    def delays_s(self, default_s: float) -> Floats:
        """Return the time from order to power: the station's figure, ours, or `default_s`."""
        reported_s = self.column("latency_s")
        delay_s = np.where(np.isnan(reported_s), self.own.delay_s, reported_s)
        return np.where(np.isnan(delay_s), default_s, np.maximum(delay_s, 0.0))


def known(values: Floats) -> Floats:
    """Return the values with 0 for NaN."""
    result: Floats = np.where(np.isnan(values), 0.0, values)
    return result


def columns_of(news: Sequence[EvseStatus]) -> Floats:
    """Return statuses as columns in the order of `REPORTED`, shape (columns, len(news)).

    What is unknown, not finite or impossible becomes NaN; in limits it becomes 0.
    """
    flat = np.fromiter(chain.from_iterable(map(_numbers, news)), dtype=np.float64)
    raw = flat.reshape(len(news), len(REPORTED)).T
    possible = np.abs(raw) < POSSIBLE
    columns: Floats = np.where(possible, raw, np.nan)
    columns[_LIMITS] = np.maximum(known(columns[_LIMITS]), 0.0)
    columns[_AT["base_w"]] = known(columns[_AT["base_w"]])
    columns[_AT["online"]] = [s.online and s.quality is not Validity.INVALID for s in news]
    columns[_AT["unheard"]] = [not s.online and s.quality is Validity.QUESTIONABLE for s in news]
    columns[_AT["modes"]] = [s.protocol == MODES_PROTOCOL for s in news]
    fixed = [at for at, status in enumerate(news) if NO_VARS in status.cannot]
    columns[_AT["q_var"], fixed] = np.nan
    columns[_AT["plugged"]] = [s.plugged and not s.fault for s in news]
    return columns
