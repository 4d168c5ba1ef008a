"""Stations that answer frequency by themselves: the droop's curve, told once (OCPP 2.1, Q08).

An EVSE in the mode `LocalFrequency` follows its own frequency measurement, without our delay. It
gets the droop in force as points of its own power, and again only when the curve or its power has
changed, or half of the lease is over. As soon as something else than the droop concerns it (a
request, ride-through, an empty battery, a departure) it is told a setpoint, which ends the mode.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agent.control.curves import Curve
from agent.control.fleet import Bools, Fleet, Floats
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges
from agent.control.response import Droop
from agent.control.ride_through import Mode, RideThrough
from agent.control.standing import Standing
from agent.messages import ModeOrder

MODE: Final = "LocalFrequency"
RENEW_AT: Final = 0.45
ANSWER_S: Final = 10.0
"""A station that was told the curve counts as following it this long before it says so."""
RETRY_S: Final = 60.0
"""A changed curve is told, and one that is not followed is told again, this long after the last."""
RESIZE: Final = 0.1
"""The curve is told again when the power behind it has changed by this share."""


@dataclass(frozen=True, slots=True, eq=False)
class Local:
    """Who answers by itself; arrays of shape (n,).

    Attributes:
        following: EVSEs that follow their curve now, or are about to.
        tell: Those to be told the curve. `leave`: those to be told a setpoint instead.
        up_w, down_w: Power of a full answer to either side.
        points: The curve: (Hz, share of `up_w` or, negative, of `down_w`), rising in Hz.
    """

    following: Bools
    tell: Bools
    leave: Bools
    up_w: Floats
    down_w: Floats
    points: tuple[tuple[float, float], ...]

    def share(self, f_hz: float) -> float:
        """Return the share that the curve asks for at `f_hz`; 0 for NaN."""
        return Curve(self.points)(f_hz)

    def answer_w(self, f_hz: float) -> float:
        """Return what the following EVSEs give together at `f_hz`, W."""
        share = self.share(f_hz)
        power_w = self.up_w if share > 0.0 else self.down_w
        return share * float(power_w[self.following].sum())


def localise(
    fleet: Fleet,
    ranges: Ranges,
    droop: Droop,
    wishes: Standing,
    ride: RideThrough,
    now_s: float,
    p: Parameters,
) -> Local:
    """Return who follows the curve, who must hear it, and who must stop following it.

    Args:
        fleet: As it was heard.
        ranges: Limits of each EVSE, with requests and ride-through in them.
        droop: The droop in force.
        wishes: What requests mean together.
        ride: What the grid permits.
        now_s: Monotonic instant.
        p: `local_frequency` and `local_lease_s`.
    """
    own = fleet.own
    age_s = now_s - own.local_s
    says_so = fleet.column("local") > 0.0
    if not p.local_frequency and not says_so.any():
        nobody, nothing = np.zeros(len(fleet), dtype=np.bool_), np.zeros(len(fleet))
        return Local(nobody, nobody, nobody, nothing, nothing, ())
    following = ranges.usable & (says_so | (age_s < ANSWER_S))
    up_w, down_w = ranges.room_w(up=True), ranges.room_w(up=False)
    points = hertz_points(droop, p.nominal_hz)
    version = _version(points)
    free = _free(fleet, ranges, wishes, ride)
    suits = free & (fleet.column("modes") > 0.0) & ~np.isnan(own.local_s) & p.local_frequency
    resized = np.abs(up_w - own.local_w) > RESIZE * np.maximum(own.local_w, 1.0)
    changed = (own.local_curve != version) | resized | ~says_so
    due = (age_s >= RENEW_AT * p.local_lease_s) | (changed & (age_s >= RETRY_S))
    not_told_yet = (own.local_s > -np.inf) | (now_s - own.issued_s >= ANSWER_S)
    leave = following & ~free & not_told_yet
    return Local(following & free, suits & due, leave, up_w, down_w, points)


def hertz_points(droop: Droop, nominal_hz: float) -> tuple[tuple[float, float], ...]:
    """Return the droop as points (Hz, share), rising in Hz; where two curves meet the least."""
    under = {nominal_hz - x: droop.share(-x) for curve in droop.under for x, _ in curve.points}
    over = {nominal_hz + x: droop.share(x) for curve in droop.over for x, _ in curve.points}
    return tuple(sorted((under | over).items()))


def tell(
    fleet: Fleet, local: Local, ranges: Ranges, now_s: float, tokens: float, p: Parameters
) -> tuple[Fleet, tuple[ModeOrder, ...]]:
    """Return the fleet with the curves noted, and the orders, within the message budget."""
    rows = np.flatnonzero(local.tell)[: int(tokens)]
    own = fleet.own
    if rows.size == 0 and not local.leave.any():
        return fleet, ()
    columns = {
        name: getattr(own, name).copy()
        for name in ("seq", "local_s", "local_w", "local_curve", "active", "ordered_w")
    }
    columns["local_s"][local.leave] = -np.inf
    columns["seq"][rows] += 1
    columns["local_s"][rows] = now_s
    columns["local_w"][rows] = local.up_w[rows]
    columns["local_curve"][rows] = _version(local.points)
    columns["active"][rows] = 0.0
    columns["ordered_w"][rows] = np.nan
    orders = tuple(
        ModeOrder(
            evse_id=fleet.ids[row],
            seq=int(columns["seq"][row]),
            mode=MODE,
            lease_s=p.local_lease_s,
            issued_s=now_s,
            baseline_w=float(ranges.base_w[row]),
            freq_watt=tuple(
                (hertz, share * float((local.up_w if share > 0.0 else local.down_w)[row]))
                for hertz, share in local.points
            ),
        )
        for row in rows.tolist()
    )
    return replace(fleet, own=replace(own, **columns)), orders


def _free(fleet: Fleet, ranges: Ranges, wishes: Standing, ride: RideThrough) -> Bools:
    """Return which EVSEs nothing but the droop concerns."""
    if ride.mode is not Mode.RUN or wishes.ruler is not None:
        return np.zeros(len(fleet), dtype=np.bool_)
    full = (ranges.high_w > 0.0) & (ranges.low_w < 0.0) & (ranges.base_w == ranges.own_w)
    asked = ~np.isnan(wishes.pinned_w) | wishes.stopped | wishes.blocked | wishes.drained
    result: Bools = ranges.usable & full & ~asked
    return result


def _version(points: tuple[tuple[float, float], ...]) -> float:
    """Return a number that differs when the curve differs by 1 mHz or 0.1 % of power."""
    rounded = [(round(hertz * 1e3), round(share * 1e3)) for hertz, share in points]
    return float(zlib.crc32(repr(rounded).encode()))
