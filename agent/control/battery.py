"""What a vehicle's battery and driver allow; every function is one rule, arrays of shape (n,).

Limits fade out over a narrow band instead of switching, so that no order chatters at their edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from agent.control.fleet import Fleet, Floats
from agent.control.hearing import day_budget_wh
from agent.control.parameters import Parameters

FADE_PCT: Final = 1.0
"""SoC band above the floor and below the ceiling in which power fades to zero."""
BUDGET_FADE: Final = 0.05
"""Share of the day's energy budget over which discharge fades to zero."""


def soc_floor_pct(fleet: Fleet, p: Parameters) -> Floats:
    """Return the lowest SoC: the profile's, the vehicle's, and the depth of discharge allowed."""
    floor_pct = max(p.min_soc_pct, 100.0 - p.max_depth_of_discharge_pct)
    return np.fmax(fleet.column("soc_min_pct"), floor_pct)


def soc_ceiling_pct(fleet: Fleet, p: Parameters) -> Floats:
    """Return the highest SoC to which the grid may charge."""
    return np.fmin(fleet.column("soc_max_pct"), p.max_soc_pct)


def discharge_share(fleet: Fleet, p: Parameters) -> Floats:
    """Return the share of discharge power that SoC window, SoH and day's budget leave.

    A vehicle that does not tell its SoC is limited by what its station and BMS permit.
    """
    above_pct = fleet.column("soc_pct") - soc_floor_pct(fleet, p)
    window = np.where(np.isnan(above_pct), 1.0, np.clip(above_pct / FADE_PCT, 0.0, 1.0))
    budget_wh = day_budget_wh(fleet, p)
    left = 1.0 - fleet.own.used_wh / np.maximum(budget_wh, 1.0)
    budget = np.where(budget_wh > 0.0, np.clip(left / BUDGET_FADE, 0.0, 1.0), 0.0)
    healthy = ~(fleet.column("soh_pct") < p.min_soh_pct)
    result: Floats = np.where(healthy, np.minimum(window, budget), 0.0)
    return _with_curve(result, fleet, p.discharge_curve)


def charge_share(fleet: Fleet, p: Parameters) -> Floats:
    """Return the share of charge power that the SoC ceiling and the charge curve leave."""
    below_pct = soc_ceiling_pct(fleet, p) - fleet.column("soc_pct")
    window = np.where(np.isnan(below_pct), 1.0, np.clip(below_pct / FADE_PCT, 0.0, 1.0))
    return _with_curve(window, fleet, p.charge_curve)


def departure_high_w(fleet: Fleet, charge_w: Floats, now_s: float, p: Parameters) -> Floats:
    """Return the most export that still leaves the driver's car full enough at departure.

    The energy that is still missing must fit into the time that remains (less a margin) at full
    charging power. What is left over may be given away within one lease; with nothing left over
    the result is full charging, whatever the grid asks.
    """
    missing_wh = fleet.column("energy_needed_wh") + fleet.own.given_wh
    departs = np.isfinite(fleet.own.departs_s)
    left_s = np.where(departs, fleet.own.departs_s, 0.0) - now_s - p.departure_margin_s
    left_s = np.maximum(left_s, 0.0)
    possible_wh = charge_w * p.efficiency * left_s / 3600.0
    spare_wh = possible_wh - missing_wh
    high_w = spare_wh * 3600.0 / p.lease_s - charge_w
    bound = departs & (missing_wh > 0.0)
    return np.where(bound, np.maximum(high_w, -charge_w), np.inf)


def _with_curve(share: Floats, fleet: Fleet, points: tuple[tuple[float, float], ...]) -> Floats:
    """Limit `share` by a curve of SoC (%) → share, where the SoC is known."""
    if not points:
        return share
    known = np.interp(fleet.column("soc_pct"), *np.array(points).T)
    result: Floats = np.fmin(share, known)
    return result
