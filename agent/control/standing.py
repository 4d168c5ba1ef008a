"""What the requests in force mean together for the site and for each EVSE.

Setpoints and stops: the highest rank rules. Limits, modes and settings only narrow, so all of
them hold, whoever gave them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.control.arbitration import Order
from agent.control.dispatch import fixed
from agent.control.fleet import Bools, Fleet, Floats
from agent.control.orders import expected
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges, narrowed
from agent.messages import SITE, RequestKind

POWER = (RequestKind.WATT_SETPOINT, RequestKind.STOP)


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """The requests' sum; arrays of shape (n,).

    Attributes:
        ruler: Who rules the site's power; None where nobody asked.
        site_w: Setpoint of the site; NaN where there is none.
        pinned_w: Setpoint of each EVSE; NaN where there is none.
        remote: EVSEs whose setpoint came from afar.
        stopped, blocked, drained: EVSEs that are stopped, do not answer, or take on nothing new.
        low_w, high_w: Bounds of each EVSE. `site_low_w`, `site_high_w`: of the site.
        var: Reactive setpoints in force: target → var.
        remote_waits: An order from afar for the site's power is in force behind the ruler's.
        empty: Nobody asks for anything.
    """

    ruler: Order | None
    site_w: float
    pinned_w: Floats
    remote: Bools
    stopped: Bools
    blocked: Bools
    drained: Bools
    low_w: Floats
    high_w: Floats
    site_low_w: float
    site_high_w: float
    var: dict[str, float]
    remote_waits: bool
    empty: bool


def stand(orders: Sequence[Order], fleet: Fleet, p: Parameters, day_s: float) -> Standing:
    """Return what the requests in force, highest rank first, ask for.

    `day_s` is the UTC time of day, NaN while it is unknown.
    """
    count = len(fleet)
    stopped, blocked, drained, remote = (np.zeros(count, dtype=np.bool_) for _ in range(4))
    pinned_w, low_w = np.full(count, np.nan), np.full(count, -np.inf)
    high_w = np.full(count, np.inf)
    site_low_w, site_high_w = -p.site_charge_w, p.site_discharge_w
    var: dict[str, float] = {}
    for order in reversed(orders):  # the highest rank comes last and overwrites
        request = order.request
        site = request.target == SITE
        rows = slice(None) if site else slice(*_one(fleet.index.get(request.target, count)))
        if request.kind is RequestKind.STOP:
            stopped[rows] = True
        elif request.kind is RequestKind.WATT_SETPOINT:
            stopped[rows] = False
            if not site:
                pinned_w[rows], remote[rows] = request.value, order.remote
        elif request.kind is RequestKind.WATT_LIMIT and site:
            site_high_w = min(site_high_w, request.value)
        elif request.kind is RequestKind.CHARGE_LIMIT and site:
            site_low_w = max(site_low_w, -request.value)
        elif request.kind is RequestKind.WATT_LIMIT:
            high_w[rows] = np.minimum(high_w[rows], request.value)
        elif request.kind is RequestKind.CHARGE_LIMIT:
            low_w[rows] = np.maximum(low_w[rows], -request.value)
        elif request.kind is RequestKind.MODE:
            blocked[rows] |= request.setting == "blocked"
            drained[rows] |= request.setting == "drain"
        elif request.kind is RequestKind.VAR_SETPOINT:
            var[request.target] = request.value
    ruler = next(iter(_for_site(orders)), None)
    return Standing(
        ruler=ruler,
        site_w=_site_w(ruler, p, day_s),
        pinned_w=pinned_w,
        remote=remote,
        stopped=stopped,
        blocked=blocked,
        drained=drained,
        low_w=low_w,
        high_w=high_w,
        site_low_w=site_low_w,
        site_high_w=site_high_w,
        var=var,
        remote_waits=any(order.remote for order in _for_site(orders)[1:]),
        empty=not orders,
    )


def apply(ranges: Ranges, standing: Standing, fleet: Fleet) -> Ranges:
    """Return the ranges as the requests narrow them; setpoints of EVSEs come with `pinned`."""
    if standing.empty:
        return ranges
    ranges = narrowed(ranges, standing.low_w, standing.high_w)
    zero = np.zeros(len(fleet))
    low_w = np.where(standing.stopped, zero, -np.inf)
    high_w = np.where(standing.stopped, zero, np.inf)
    ranges = narrowed(ranges, low_w, high_w)
    answers = ranges.answers & ~standing.blocked & ~standing.stopped
    ranges = fixed(replace(ranges, answers=answers), standing.blocked)
    if not standing.drained.any():
        return ranges
    now_w = expected(fleet, ranges)
    shrunk = narrowed(ranges, np.minimum(now_w, ranges.base_w), np.maximum(now_w, ranges.base_w))
    low_w = np.where(standing.drained, shrunk.low_w, ranges.low_w)
    high_w = np.where(standing.drained, shrunk.high_w, ranges.high_w)
    return replace(ranges, low_w=low_w, high_w=high_w)


def pinned(ranges: Ranges, standing: Standing, share: float) -> Ranges:
    """Return the ranges with the EVSEs' setpoints as their base.

    `share` of the way for setpoints from afar (the rest is still being ramped), all of it else.
    """
    if standing.empty:
        return ranges
    asked = ~np.isnan(standing.pinned_w) & ranges.usable & ~standing.stopped
    part = np.where(standing.remote, share, 1.0)
    wanted_w = ranges.base_w + part * (standing.pinned_w - ranges.base_w)
    base_w = np.where(asked, np.clip(wanted_w, ranges.low_w, ranges.high_w), ranges.base_w)
    return replace(ranges, base_w=base_w)


def remote_offset_w(ranges: Ranges, standing: Standing) -> float:
    """Return by how much the setpoints of EVSEs from afar want to move the fleet, W."""
    if standing.empty:
        return 0.0
    asked = standing.remote & ranges.usable & ~standing.stopped
    wanted_w = np.clip(standing.pinned_w, ranges.low_w, ranges.high_w)
    return float(np.where(asked, wanted_w - ranges.base_w, 0.0).sum())


def _for_site(orders: Sequence[Order]) -> list[Order]:
    """Return the orders for the site's power, the ruling one first."""
    return [o for o in orders if o.request.target == SITE and o.request.kind in POWER]


def _site_w(ruler: Order | None, p: Parameters, day_s: float) -> float:
    """Return the site's setpoint: the ruler's, or else that of the schedule."""
    if ruler is not None:
        return ruler.request.value if ruler.request.kind is RequestKind.WATT_SETPOINT else math.nan
    planned = (entry.value_w for entry in p.schedule if entry.start_s <= day_s < entry.end_s)
    return next(planned, math.nan)


def _one(row: int) -> tuple[int, int]:
    return row, row + 1
