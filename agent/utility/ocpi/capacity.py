"""What an EVSE can charge with now, whoever is the reason."""

from __future__ import annotations

from typing import Final

from agent.messages import SITE, ControlRequest, RequestKind
from agent.utility.fleet import FleetView

WATT_STEP: Final = 100.0
"""Limits that move by less are no news to a partner."""


def capacity_w(fleet: FleetView, evse_id: str, without_origin: str = "") -> float:
    """Return what station, vehicle and all orders but those of one origin permit, W.

    Rounded to `WATT_STEP`; 0 for an EVSE that the control does not know.
    """
    view, snapshot = fleet.get(evse_id), fleet.snapshot
    most_w = view.status.charge_max_w if view else 0.0
    for request in snapshot.requests if snapshot else ():
        if request.origin != without_origin:
            most_w = min(most_w, _permitted_w(request, evse_id, most_w))
    return max(0.0, round(most_w / WATT_STEP) * WATT_STEP)


def _permitted_w(request: ControlRequest, evse_id: str, most_w: float) -> float:
    if request.kind is RequestKind.STOP and request.target in (evse_id, SITE):
        return 0.0
    if request.kind is RequestKind.CHARGE_LIMIT and request.target == evse_id:
        return request.value
    return most_w
