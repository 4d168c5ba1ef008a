"""What may be ordered of an inverter; every order passes here before it reaches a register."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from agent.errors import RefusedError

ROUNDING: Final = 0.5
"""By so many W or var an order may exceed a limit: registers are rounded."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be ordered of an inverter; magnitudes, in W and var."""

    charge_max_w: float
    discharge_max_w: float
    inject_max_var: float = 0.0
    absorb_max_var: float = 0.0


def check_order(p_w: float, q_var: float, limits: Limits, cannot: tuple[str, ...]) -> None:
    """Refuse what must not be ordered.

    Raises:
        RefusedError: With the reason that the sender is told.
    """
    if "orders" in cannot:
        raise RefusedError("the device takes no orders, or has no watchdog for them")
    if not (math.isfinite(p_w) and math.isfinite(q_var)):
        raise RefusedError("a power must be a number")
    low_w, high_w = -limits.charge_max_w, limits.discharge_max_w
    if not low_w - ROUNDING <= p_w <= high_w + ROUNDING:
        raise RefusedError(f"{p_w:g} W is outside {low_w:g} to {high_w:g} W")
    if q_var and "reactive power" in cannot:
        raise RefusedError("the device takes no reactive power")
    if not -limits.absorb_max_var - ROUNDING <= q_var <= limits.inject_max_var + ROUNDING:
        low, high = -limits.absorb_max_var, limits.inject_max_var
        raise RefusedError(f"{q_var:g} var is outside {low:g} to {high:g} var")
