"""From frequency to a share of rated power, in time."""

from __future__ import annotations

import math

from agent.control.parameters import Parameters

OLRT_TO_TIME_CONSTANT = 1.0 / math.log(10.0)
"""A first-order lag reaches 90 % after ln(10) time constants (IEEE 1547-2018, 3.1)."""


def droop_share(f_hz: float, parameters: Parameters) -> float:
    """Return the share of rated power, -1 (absorb all) to 1 (export all); 0 for NaN."""
    deviation_hz = f_hz - parameters.nominal_hz
    if math.isnan(deviation_hz):
        return 0.0
    if deviation_hz < 0.0:
        return parameters.under(-deviation_hz)
    return -parameters.over(deviation_hz)


def lag(value: float, target: float, olrt_s: float, dt_s: float) -> float:
    """Return `value` after `dt_s` of a first-order lag towards `target`."""
    if olrt_s <= 0.0:
        return target
    decay = math.exp(-dt_s / (olrt_s * OLRT_TO_TIME_CONSTANT))
    return target + (value - target) * decay


def ramp(value: float, target: float, rate_per_s: float, dt_s: float) -> float:
    """Return `value` moved towards `target` by at most rate · time."""
    step = rate_per_s * dt_s
    return value + min(max(target - value, -step), step)
