"""The last word: no order leaves the envelope, whatever the rest of the control computed.

It shares no code with the rest, only the raw reports and the site's fixed limits, and it is small
enough to be read in a minute. It never makes an order larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.control.fleet import Bools, Fleet, Floats
from agent.control.parameters import Parameters

ROUNDING: Final = 1.0
"""Difference in W or var that is arithmetic, not a veto."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """Orders after the guard; `vetoed` marks those that it had to change."""

    power_w: Floats
    q_var: Floats
    vetoed: Bools


def veto(power_w: Floats, q_var: Floats, fleet: Fleet, permitted: bool, p: Parameters) -> Verdict:
    """Return what may be ordered of every EVSE, shape (n,).

    1. A number, or zero. 2. Within station, vehicle and cable. 3. No discharge of an empty
    battery. 4. No discharge while the grid does not permit it. 5. Together within the site's
    limits. 6. Reactive power only within the apparent power of the device.
    """
    number = np.isfinite(power_w) & np.isfinite(q_var)
    most_w = np.minimum(fleet.column("discharge_max_w"), p.max_discharge_w)
    empty = fleet.column("soc_pct") < p.min_soc_pct
    most_w = np.where(empty | (not permitted), 0.0, most_w)
    least_w = -np.minimum(fleet.column("charge_max_w"), p.max_charge_w)
    safe_w = np.clip(np.where(number, power_w, 0.0), least_w, most_w)
    export_w = safe_w[safe_w > 0.0].sum()
    import_w = -safe_w[safe_w < 0.0].sum()
    safe_w = np.where(safe_w > 0.0, safe_w * _fit(export_w, import_w + p.site_discharge_w), safe_w)
    safe_w = np.where(safe_w < 0.0, safe_w * _fit(import_w, export_w + p.site_charge_w), safe_w)
    apparent_va = np.maximum(most_w, -least_w)
    most_var = np.sqrt(np.maximum(apparent_va**2 - safe_w**2, 0.0))
    safe_var = np.clip(np.where(number, q_var, 0.0), -most_var, most_var)
    same = (np.abs(safe_w - power_w) <= ROUNDING) & (np.abs(safe_var - q_var) <= ROUNDING)
    return Verdict(safe_w, safe_var, ~same)


def _fit(total_w: float, limit_w: float) -> float:
    """Return the factor that brings one direction's total within its limit, at most 1."""
    return limit_w / total_w if total_w > limit_w else 1.0
