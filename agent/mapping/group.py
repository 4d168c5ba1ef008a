"""What a group of EVSEs looks like from outside: sums, limits and counts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agent.messages import EvseView


class GroupView(msgspec.Struct, frozen=True):
    """Sums over the EVSEs of a group whose stations are connected; watts, export positive.

    Attributes:
        members: EVSEs of the group. `online`: with a live connection. `plugged`: with a vehicle.
        delivered_w: Power now; `ordered_w`: what was ordered.
        up_w, down_w: Headroom for more export and more import (magnitudes).
        charge_max_w, discharge_max_w: Sum of what stations and vehicles permit (magnitudes).
        soc_pct: Mean state of charge weighted by capacity; None where nobody knows it.
    """

    members: int = 0
    online: int = 0
    plugged: int = 0
    delivered_w: float = 0.0
    ordered_w: float = 0.0
    up_w: float = 0.0
    down_w: float = 0.0
    charge_max_w: float = 0.0
    discharge_max_w: float = 0.0
    soc_pct: float | None = None


def summarise(views: Iterable[EvseView]) -> GroupView:
    """The sums over some EVSEs."""
    every = tuple(views)
    alive = tuple(view for view in every if view.status.online)
    known = [
        (view.status.soc_pct, view.status.capacity_wh or 1.0)
        for view in alive
        if view.status.soc_pct is not None
    ]
    weight = sum(capacity for _, capacity in known)
    return GroupView(
        members=len(every),
        online=len(alive),
        plugged=sum(view.status.plugged for view in alive),
        delivered_w=sum(view.status.p_w or 0.0 for view in alive),
        ordered_w=sum(view.ordered_w for view in alive),
        up_w=sum(view.up_w for view in alive),
        down_w=sum(view.down_w for view in alive),
        charge_max_w=sum(view.status.charge_max_w for view in alive),
        discharge_max_w=sum(view.status.discharge_max_w for view in alive),
        soc_pct=sum(soc * capacity for soc, capacity in known) / weight if known else None,
    )
