"""From frequency to a share of rated power, in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from agent.control.curves import Curve, droop_curve
from agent.control.parameters import Parameters

ShareT = TypeVar("ShareT", float, NDArray[np.float64])
"""One share, or those of many systems or EVSEs at once."""

OLRT_TO_TIME_CONSTANT: Final = 1.0 / math.log(10.0)
"""A first-order lag reaches 90 % after ln(10) time constants (IEEE 1547-2018, 3.1)."""


@dataclass(frozen=True, slots=True)
class Droop:
    """The droop in force: the local envelope's curves and the narrower ones that were asked for.

    Attributes:
        under, over: Curves of |deviation| in Hz → share; the smallest answer counts.
        olrt_s: Open-loop response time.
    """

    under: tuple[Curve, ...]
    over: tuple[Curve, ...]
    olrt_s: float

    @overload
    def share(self, deviation_hz: float) -> float: ...

    @overload
    def share(self, deviation_hz: NDArray[np.float64]) -> NDArray[np.float64]: ...

    def share(self, deviation_hz: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        """Return the share of rated power, -1 (import all) to 1 (export all); 0 for NaN.

        One deviation, or an array of any shape (`agent.study` asks for many systems at once).
        """
        if isinstance(deviation_hz, np.ndarray):
            under, over = (
                _least_each(self.under, -deviation_hz),
                _least_each(self.over, deviation_hz),
            )
            return np.where(deviation_hz < 0.0, under, -over)
        if deviation_hz < 0.0:
            return _least(self.under, -deviation_hz)
        return -_least(self.over, deviation_hz)

    @property
    def slope(self) -> float:
        """Steepest share per Hz on either side."""
        sides = [min((c.slope for c in side), default=0.0) for side in (self.under, self.over)]
        return max(sides)

    def flattened(self, slope: float) -> Droop:
        """Return the droop nowhere steeper than `slope` share per Hz."""
        if slope >= self.slope:
            return self
        return Droop(
            tuple(curve.flattened(slope) for curve in self.under),
            tuple(curve.flattened(slope) for curve in self.over),
            self.olrt_s,
        )


def droop_in_force(settings: dict[str, float], p: Parameters) -> Droop:
    """Return the droop under `settings`, which never exceeds the local envelope's answer."""
    return Droop(
        _side(p.under, settings["db_uf_hz"], settings["k_uf"], p.nominal_hz),
        _side(p.over, settings["db_of_hz"], settings["k_of"], p.nominal_hz),
        max(settings["olrt_s"], p.olrt_s),
    )


def lag(value: ShareT, target: ShareT, olrt_s: float, dt_s: float) -> ShareT:
    """Return `value` after `dt_s` of a first-order lag towards `target`."""
    if olrt_s <= 0.0:
        return target
    decay = math.exp(-dt_s / (olrt_s * OLRT_TO_TIME_CONSTANT))
    return target + (value - target) * decay


def ramp(value: float, target: float, rate_per_s: float, dt_s: float) -> float:
    """Return `value` moved towards `target` by at most rate · time."""
    step = rate_per_s * dt_s
    return value + min(max(target - value, -step), step)


def _least(curves: Sequence[Curve], x: float) -> float:
    return min((curve(x) for curve in curves), default=0.0)


def _least_each(curves: Sequence[Curve], x: NDArray[np.float64]) -> NDArray[np.float64]:
    if not curves:
        return np.zeros_like(x)
    least: NDArray[np.float64] = np.min([curve(x) for curve in curves], axis=0)
    return least


def _side(local: Curve, deadband_hz: float, k: float, nominal_hz: float) -> tuple[Curve, ...]:
    full_hz = (local.full - local.start) / nominal_hz
    if not local.points or (deadband_hz <= local.start and k <= full_hz):
        return (local,)
    return (local, droop_curve(deadband_hz, k, nominal_hz))
