"""What each EVSE may do now: station, vehicle, profile and battery limits together."""

from __future__ import annotations

import numpy as np

from agent.control.dispatch import Ranges
from agent.control.fleet import Bools, Fleet, Floats
from agent.control.parameters import Parameters


def limits(fleet: Fleet, parameters: Parameters, now_s: float) -> Ranges:
    """Return the ranges of all EVSEs; unusable ones are fixed at zero."""
    usable = fleet.usable(now_s)
    soc = fleet.column("soc_pct")
    floor = np.fmax(fleet.column("soc_min_pct"), parameters.min_soc_pct)
    ceiling = np.fmin(fleet.column("soc_max_pct"), parameters.max_soc_pct)
    tired = fleet.column("soh_pct") < parameters.min_soh_pct
    discharge_w = np.minimum(fleet.column("discharge_max_w"), parameters.max_discharge_w)
    charge_w = np.minimum(fleet.column("charge_max_w"), parameters.max_charge_w)
    high_w = np.where(usable & ~(soc <= floor) & ~tired, discharge_w, 0.0)
    low_w = np.where(usable & ~(soc >= ceiling), -charge_w, 0.0)
    base_w = np.clip(np.where(usable, fleet.column("base_w"), 0.0), low_w, high_w)
    return Ranges(usable, base_w, low_w, high_w, fleet.column("step_w"))


def with_requests(ranges: Ranges, pinned_w: Floats, pinned: Bools, stopped: Bools) -> Ranges:
    """Return the ranges with what requests ask of single EVSEs; a stopped one is fixed at zero."""
    low_w = np.where(stopped, 0.0, ranges.low_w)
    high_w = np.where(stopped, 0.0, ranges.high_w)
    base_w = np.clip(np.where(pinned, pinned_w, ranges.base_w), low_w, high_w)
    return Ranges(ranges.usable, base_w, low_w, high_w, ranges.step_w)
