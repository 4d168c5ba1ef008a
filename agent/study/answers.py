"""What comes out of a simulated contingency: one number each, for every system of a batch."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.study.grid import Floats
from agent.study.simulate import Batch, Traces

ROCOF_WINDOW_S: Final = 0.5
"""ENTSO-E, Rate of change of frequency withstand capability (2018): sliding 500 ms."""
TAIL: Final = 0.1
"""Last part of the run that counts as settled."""
BAND: Final = 0.05
"""Settled within this share of the settled deviation (at least 2 mHz)."""
LEAST_BAND_HZ: Final = 0.002
LEAST_SWING_HZ: Final = 1e-4
SWING_HZ: Final = 0.005
STILL_SWINGS: Final = 0.9
"""A swing that keeps this share of its height from one third of the run to the next stays."""
RUNAWAY_SHARE: Final = 0.2
"""A frequency this far from nominal, as a share of it, is no operating point any more."""

Answers = dict[str, Floats]


def answers_of(batch: Batch, traces: Traces) -> Answers:
    """Return the answers, arrays of shape (B,).

    nadir_hz, nadir_s (after the contingency), zenith_hz, rocof_hz_s (largest over 500 ms),
    settled_hz, settling_s (after the contingency, NaN while it never settles), damping (ratio of
    the strongest swing, 1 where nothing swings), residual_hz (peak to peak at the end, without
    its trend), beta_mw_per_hz, export_mwh, import_mwh, peak_pu, stable (1 or 0).
    """
    first = round(batch.at_s / batch.dt_s)
    f_hz, t_s = traces.f_hz[:, first:], traces.t_s[first:] - traces.t_s[first]
    nominal_hz = batch.systems[0].nominal_hz
    base_mw = np.array([system.base_mw for system in batch.systems])
    nadir_hz, nadir_s = _lowest(f_hz, t_s)
    settled_hz = f_hz[:, -max(int(TAIL * f_hz.shape[1]), 2) :].mean(axis=1)
    fleet_mw = traces.fleet_pu * base_mw[:, None]
    hours = batch.dt_s / 3600.0
    residual_hz = _residual(f_hz)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = batch.loss_pu * base_mw / (nominal_hz - settled_hz)
    return {
        "nadir_hz": nadir_hz,
        "nadir_s": nadir_s,
        "zenith_hz": f_hz.max(axis=1),
        "rocof_hz_s": _rocof(f_hz, batch.dt_s),
        "settled_hz": settled_hz,
        "settling_s": _settling(f_hz, settled_hz, t_s, nominal_hz),
        "damping": _damping(f_hz, settled_hz),
        "residual_hz": residual_hz,
        "beta_mw_per_hz": beta,
        "export_mwh": np.maximum(fleet_mw, 0.0).sum(axis=1) * hours,
        "import_mwh": -np.minimum(fleet_mw, 0.0).sum(axis=1) * hours,
        "peak_pu": np.abs(traces.fleet_pu).max(axis=1),
        "stable": _stable(f_hz, nominal_hz).astype(np.float64),
    }


def _lowest(f_hz: Floats, t_s: Floats) -> tuple[Floats, Floats]:
    """Return value and instant of the minimum, between samples by a parabola."""
    rows = np.arange(len(f_hz))
    at = f_hz.argmin(axis=1)
    inner = np.clip(at, 1, f_hz.shape[1] - 2)
    before, here, after = f_hz[rows, inner - 1], f_hz[rows, inner], f_hz[rows, inner + 1]
    bend = before - 2.0 * here + after
    fits = (at == inner) & (bend > 0.0)
    offset = np.where(fits, 0.5 * (before - after) / np.where(bend > 0.0, bend, 1.0), 0.0)
    value = np.where(fits, here - 0.25 * (before - after) * offset, f_hz[rows, at])
    return value, t_s[at] + offset * (t_s[1] - t_s[0])


def _rocof(f_hz: Floats, dt_s: float) -> Floats:
    width = min(max(round(ROCOF_WINDOW_S / dt_s), 1), f_hz.shape[1] - 1)
    change = f_hz[:, width:] - f_hz[:, :-width]
    at = np.abs(change).argmax(axis=1)
    result: Floats = change[np.arange(len(change)), at] / (width * dt_s)
    return result


def _settling(f_hz: Floats, settled_hz: Floats, t_s: Floats, nominal_hz: float) -> Floats:
    band = np.maximum(BAND * np.abs(settled_hz - nominal_hz), LEAST_BAND_HZ)
    outside = np.abs(f_hz - settled_hz[:, None]) > band[:, None]
    last = f_hz.shape[1] - 1 - outside[:, ::-1].argmax(axis=1)
    result = np.where(outside.any(axis=1), t_s[last], 0.0)
    return np.where(last >= f_hz.shape[1] - 2, np.nan, result)


def _damping(f_hz: Floats, settled_hz: Floats) -> Floats:
    """Return the damping ratio by the logarithmic decrement of the swing around its middle."""
    result = np.ones(len(f_hz))
    for row, (values, settled) in enumerate(zip(f_hz, settled_hz.tolist(), strict=True)):
        swing = values - settled
        turns = np.flatnonzero(np.diff(np.sign(np.diff(swing)))) + 1
        heights = np.abs(np.diff(swing[turns]))
        heights = heights[heights > LEAST_SWING_HZ]
        if len(heights) >= 2:
            decrement = np.log(heights[0] / heights[-1]) / (len(heights) - 1)
            result[row] = decrement / np.hypot(np.pi, decrement)
    return result


def _residual(f_hz: Floats) -> Floats:
    tail = f_hz[:, -max(f_hz.shape[1] // 5, 3) :]
    x = np.linspace(-1.0, 1.0, tail.shape[1])
    trend = (tail @ x / (x @ x))[:, None] * x
    left = tail - trend - tail.mean(axis=1, keepdims=True)
    result: Floats = np.ptp(left, axis=1)
    return result


def _stable(f_hz: Floats, nominal_hz: float) -> NDArray[np.bool_]:
    """Return whether a swing dies out: in the last third it is smaller than in the one before.

    A course without turning points there, still on its way, does not swing.
    """
    third = max(f_hz.shape[1] // 3, 4)
    last, before = f_hz[:, -third:], f_hz[:, -2 * third : -third]
    swing, earlier = np.ptp(last, axis=1), np.ptp(before, axis=1)
    turns = np.count_nonzero(np.diff(np.sign(np.diff(last, axis=1)), axis=1), axis=1)
    swings = (swing > SWING_HZ) & (swing >= STILL_SWINGS * earlier) & (turns >= 2)
    away = np.abs(f_hz - nominal_hz).max(axis=1) > RUNAWAY_SHARE * nominal_hz
    result: NDArray[np.bool_] = ~swings & ~away & np.isfinite(f_hz).all(axis=1)
    return result
