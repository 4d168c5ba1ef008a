"""What was required and what came: activation delay, scale, R², envelope.

Required power is the agent's own droop (`agent.control.response.Droop.share`, `lag`) on the
measured frequency, times the power at full activation. Delivered power is compared with it as

    p(t) ≈ base + a · required(t − τ)

τ is the shift with the smallest error, refined between samples by a parabola through the errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agent.control.parameters import Parameters
from agent.control.response import lag
from agent.study.grid import Floats
from agent.study.response import droop_of

LONGEST_DELAY_S: Final = 30.0
STEP_S: Final = 0.02
LEAST_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a power follows another.

    Attributes:
        delay_s: Activation delay; NaN where nothing was required.
        scale: Delivered by required. `base_w`: power without the service.
        r2: Coefficient of determination at that delay; `r2_prompt`: at no delay.
    """

    delay_s: float
    scale: float
    base_w: float
    r2: float
    r2_prompt: float


def required_share(t_s: Floats, f_hz: Floats, p: Parameters) -> Floats:
    """Return the share of full power that the service requires at each sample, shape (n,)."""
    droop = droop_of(p)
    wanted = droop.share(f_hz - p.nominal_hz)
    if droop.olrt_s <= 0.0:
        return wanted
    share, result = float(wanted[0]), np.empty_like(wanted)
    steps = np.diff(t_s, prepend=t_s[0]).tolist()
    for at, (target, dt_s) in enumerate(zip(wanted.tolist(), steps, strict=True)):
        result[at] = share = lag(share, target, droop.olrt_s, dt_s)
    return result


def fit(t_s: Floats, required_w: Floats, t_p_s: Floats, p_w: Floats) -> Fit:
    """Return how `p_w` at `t_p_s` follows `required_w` at `t_s`."""
    span = float(np.ptp(required_w))
    level = float(np.median(p_w[: max(len(p_w) // 20, 3)]))
    if span <= 1e-9 or len(p_w) < 4:
        return Fit(np.nan, np.nan, level, np.nan, np.nan)
    longest = min(LONGEST_DELAY_S, 0.5 * float(t_s[-1] - t_s[0]))
    coarse = np.arange(0.0, longest, max(STEP_S, longest / 400.0))
    errors = _errors(t_s, required_w, t_p_s, p_w, coarse)
    middle = coarse[int(errors.argmin())]
    width = coarse[1] - coarse[0] if len(coarse) > 1 else STEP_S
    fine = np.arange(max(middle - 2 * width, 0.0), middle + 2 * width, STEP_S / 4.0)
    errors = _errors(t_s, required_w, t_p_s, p_w, fine)
    delay_s = _vertex(fine, errors)
    scale, base_w, left = _line(np.interp(t_p_s - delay_s, t_s, required_w), p_w)
    _, _, prompt = _line(np.interp(t_p_s, t_s, required_w), p_w)
    whole = float(((p_w - p_w.mean()) ** 2).sum())
    if whole <= 0.0:
        return Fit(np.nan, 0.0, level, np.nan, np.nan)
    return Fit(delay_s, scale, base_w, 1.0 - left / whole, 1.0 - prompt / whole)


def _errors(t_s: Floats, x: Floats, t_p_s: Floats, p_w: Floats, delays_s: Floats) -> Floats:
    return np.array([_line(np.interp(t_p_s - d, t_s, x), p_w)[2] for d in delays_s.tolist()])


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Return slope, intercept and squared error of y over x."""
    dx, dy = x - x.mean(), y - y.mean()
    power = float(dx @ dx)
    slope = float(dx @ dy) / power if power > 0.0 else 0.0
    rest = dy - slope * dx
    return slope, float(y.mean() - slope * x.mean()), float(rest @ rest)


def _vertex(x: Floats, errors: Floats) -> float:
    at = int(errors.argmin())
    if not 0 < at < len(x) - 1:
        return float(x[at])
    before, here, after = errors[at - 1 : at + 2]
    bend = before - 2.0 * here + after
    offset = 0.5 * (before - after) / bend if bend > 0.0 else 0.0
    return float(x[at] + offset * (x[1] - x[0]))
