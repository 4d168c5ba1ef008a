"""The agent's answer to frequency for many systems at once: its droop, its lag, its reserve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.control.curves import Curve
from agent.control.fast import Fast, advance
from agent.control.parameters import Parameters
from agent.control.response import Droop, droop_in_force, lag
from agent.study.grid import Floats

FAR_HZ: Final = 1e3
"""No deviation is larger: the curves of different systems lie this far from each other."""


def droop_of(p: Parameters) -> Droop:
    """Return the droop of these parameters, with nothing narrowed from afar."""
    nothing = {"db_uf_hz": 0.0, "db_of_hz": 0.0, "k_uf": 0.0, "k_of": 0.0, "olrt_s": p.olrt_s}
    return droop_in_force(nothing, p)


class Responses:
    """Share of rated power by frequency, of B systems, step after step.

    Args:
        p: The fleet's parameters.
        droops: The droop of each system, after the stability limit.
        dt_s: Step.
    """

    def __init__(self, p: Parameters, droops: Sequence[Droop], dt_s: float) -> None:
        self._p = p
        self._dt_s = dt_s
        self._olrt_s = droops[0].olrt_s
        self._common = droops[0] if all(droop == droops[0] for droop in droops) else None
        self._offset_hz = 2.0 * FAR_HZ * np.arange(len(droops))
        self._under = _in_a_row([droop.under[0] for droop in droops])
        self._over = _in_a_row([droop.over[0] for droop in droops])
        self._share = np.zeros(len(droops))
        self._fast = [Fast() for _ in droops]

    def advance(self, f_hz: Floats, now_s: float) -> Floats:
        """Return the shares for the frequencies of this step, shape (B,)."""
        wanted = self._wanted(f_hz - self._p.nominal_hz)
        reserve = self._p.preset.fast
        if reserve is not None:
            self._fast = [
                advance(state, reserve, f, now_s)
                for state, f in zip(self._fast, f_hz.tolist(), strict=True)
            ]
            steps = np.array([state.share(reserve, now_s) for state in self._fast])
            wanted = np.where(steps > 0.0, np.maximum(wanted, steps), wanted)
        self._share = lag(self._share, wanted, self._olrt_s, self._dt_s)
        return self._share

    def _wanted(self, deviation_hz: Floats) -> Floats:
        if self._common is not None and len(deviation_hz) == 1:
            return np.array([self._common.share(float(deviation_hz[0]))])
        if self._common is not None:
            return self._common.share(deviation_hz)
        under = np.interp(np.maximum(-deviation_hz, 0.0) + self._offset_hz, *self._under)
        over = np.interp(np.maximum(deviation_hz, 0.0) + self._offset_hz, *self._over)
        wanted: Floats = np.where(deviation_hz < 0.0, under, -over)
        return wanted


def _in_a_row(curves: Sequence[Curve]) -> tuple[Floats, Floats]:
    """Return x and y of one curve that holds those of all systems, each at its own offset."""
    points: list[tuple[float, float]] = []
    for number, curve in enumerate(curves):
        begin = 2.0 * FAR_HZ * number
        inner = [(min(x, 0.9 * FAR_HZ), y) for x, y in curve.points] or [(0.0, 0.0)]
        points.append((begin - FAR_HZ, inner[0][1]))
        points += [(begin + x, y) for x, y in inner]
        points.append((begin + 0.99 * FAR_HZ, inner[-1][1]))
    x, y = np.array(points, dtype=np.float64).T
    return x.copy(), y.copy()
