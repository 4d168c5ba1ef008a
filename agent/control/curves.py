"""Piecewise-linear curves: droop, HzWCrv, volt-var and the services' own shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y) with rising x; outside them the end values hold.

    IEC 61850-7-420 calls this a curve-shape description (CSG); DHFW/DLFW hold one as HzWCrv.
    """

    points: tuple[tuple[float, float], ...] = ()

    @overload
    def __call__(self, x: float) -> float: ...

    @overload
    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...

    def __call__(self, x: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
        """Return y at `x`, one number or an array of any shape; 0 for what is not a number."""
        if not self.points:
            return np.zeros_like(x) if isinstance(x, np.ndarray) else 0.0
        y = np.interp(x, *_axes(self.points))
        if isinstance(y, np.ndarray):
            y[np.isnan(y)] = 0.0
            return y
        return 0.0 if math.isnan(y) else float(y)

    @property
    def start(self) -> float:
        """Largest x at which the curve is still zero: the deadband."""
        return max((x for x, y in self.points if y == 0.0), default=0.0)

    @property
    def full(self) -> float:
        """Smallest x at which the curve reaches its end value."""
        top = self.points[-1][1] if self.points else 0.0
        return min((x for x, y in self.points if y == top), default=math.inf)

    @property
    def slope(self) -> float:
        """Steepest dy/dx, as a magnitude."""
        return _steepest(self.points)

    def flattened(self, slope: float) -> Curve:
        """Return the curve with no part steeper than `slope`; it ends later, not lower.

        For curves that rise from zero, as droops do.
        """
        if slope >= self.slope or not self.points:
            return self
        if slope <= 0.0:
            return Curve((self.points[0],))
        points = [self.points[0]]
        for (x0, y0), (x1, y1) in pairwise(self.points):
            rise = min((y1 - y0) / (x1 - x0), slope) * (x1 - x0)
            points.append((x1, points[-1][1] + rise))
        (x, y), top = points[-1], self.points[-1][1]
        if y < top:
            points.append((x + (top - y) / slope, top))
        return Curve(tuple(points))


@lru_cache(maxsize=256)
def _axes(
    points: tuple[tuple[float, float], ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.array(points, dtype=np.float64).T
    return x.copy(), y.copy()


@lru_cache(maxsize=256)
def _steepest(points: tuple[tuple[float, float], ...]) -> float:
    rises = (abs((y1 - y0) / (x1 - x0)) for (x0, y0), (x1, y1) in pairwise(points))
    return max(rises, default=0.0)


def droop_curve(deadband_hz: float, k: float, nominal_hz: float) -> Curve:
    """Return the droop of IEEE 1547-2018, 6.5.2.7: full power at deadband + k·nominal.

    Args:
        deadband_hz: `db_uf` or `db_of`, Hz from nominal.
        k: `k_uf` or `k_of`: per unit of frequency for one per unit of power.
        nominal_hz: 50 or 60.
    """
    return Curve(((deadband_hz, 0.0), (deadband_hz + k * nominal_hz, 1.0)))
