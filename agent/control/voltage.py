"""Reactive power and voltage functions (IEEE 1547-2018, 5.3 and 5.4.2).

Volt-var, fixed power factor and constant reactive power; volt-watt as a cap on export.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agent.control.fleet import Fleet, Floats
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges
from agent.control.response import lag
from agent.messages import SITE

LEAST_POWER_FACTOR = 0.90


@dataclass(frozen=True, slots=True)
class Voltage:
    """Filtered answers: reactive power as a share of rated power, export cap as a share."""

    var_share: float = 0.0
    watt_cap: float = 1.0


def respond(state: Voltage, v_pu: float, dt_s: float, p: Parameters) -> Voltage:
    """Return the answers to the mean phase voltage `v_pu`; NaN leaves them as they are."""
    if math.isnan(v_pu):
        return state
    var_share = p.volt_var_curve(v_pu) if p.reactive == "volt-var" else 0.0
    watt_cap = p.volt_watt_curve(v_pu) if p.volt_watt else 1.0
    return Voltage(
        lag(state.var_share, var_share, p.volt_var_olrt_s, dt_s),
        lag(state.watt_cap, watt_cap, p.volt_watt_olrt_s, dt_s),
    )


def reactive_power(
    power_w: Floats,
    ranges: Ranges,
    fleet: Fleet,
    answer: Voltage,
    requested: dict[str, float],
    p: Parameters,
) -> Floats:
    """Return the reactive power of each EVSE, var, positive injects, shape (n,).

    Active power comes first: an EVSE gives no more than its apparent power leaves, and never
    goes below a power factor of 0.90 on its rating. EVSEs that do not report reactive power are
    left alone. Requests (target → var) rule over the configured function.
    """
    able = ranges.usable & ~np.isnan(fleet.column("q_var"))
    if not able.any() or (p.reactive == "off" and not requested):
        return np.zeros(len(fleet))
    rated_va = np.where(able, np.maximum(ranges.high_w, -ranges.low_w), 0.0)
    left_var = np.sqrt(np.maximum(rated_va**2 - power_w**2, 0.0))
    bound_var = np.minimum(left_var, rated_va * math.sqrt(1.0 - LEAST_POWER_FACTOR**2))
    wanted_var = _configured(power_w, rated_va, answer, p)
    if SITE in requested:
        wanted_var = requested[SITE] * bound_var / max(float(bound_var.sum()), 1e-9)
    for target, value_var in requested.items():
        if target in fleet.index:
            wanted_var[fleet.index[target]] = value_var
    result: Floats = np.clip(wanted_var, -bound_var, bound_var)
    return np.where(able, result, 0.0)


def _configured(power_w: Floats, rated_va: Floats, answer: Voltage, p: Parameters) -> Floats:
    if p.reactive == "volt-var":
        return rated_va * answer.var_share
    if p.reactive == "var":
        return rated_va * p.var_share
    if p.reactive == "power-factor":
        tangent = math.tan(math.acos(min(abs(p.power_factor), 1.0)))
        return np.abs(power_w) * math.copysign(tangent, p.power_factor)
    return np.zeros_like(power_w)
