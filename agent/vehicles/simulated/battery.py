"""A vehicle's battery and power electronics, as much of them as an order meets."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Battery:
    """First-order power response over an energy store; power is positive for export.

    Attributes:
        time_constant_s: Of the inverter's and vehicle's response to a new target.
        efficiency: One way, between the grid and the cells.
    """

    capacity_wh: float = 60_000.0
    soc_pct: float = 60.0
    charge_max_w: float = 11_000.0
    discharge_max_w: float = 11_000.0
    time_constant_s: float = 0.025
    efficiency: float = 0.96
    p_w: float = 0.0
    target_w: float = 0.0
    export_wh: float = 0.0
    import_wh: float = 0.0
    _advanced_s: float = math.nan

    def order(self, p_w: float, now_s: float) -> None:
        """Take a new target, within what the vehicle can do."""
        self.advance(now_s)
        self.target_w = min(max(p_w, -self.charge_max_w), self.discharge_max_w)

    def advance(self, now_s: float) -> None:
        """Move power and energy on to `now_s` (monotonic seconds)."""
        elapsed_s = 0.0 if math.isnan(self._advanced_s) else now_s - self._advanced_s
        self._advanced_s = now_s
        if elapsed_s <= 0.0:
            return
        target_w = self._feasible(self.target_w)
        decay = math.exp(-elapsed_s / self.time_constant_s)
        start_w = self.p_w
        self.p_w = target_w + (start_w - target_w) * decay
        # Exact integral of the exponential between the two instants.
        joules = target_w * elapsed_s + (start_w - target_w) * self.time_constant_s * (1.0 - decay)
        self._store(joules / 3600.0)

    @property
    def settled(self) -> bool:
        """Delivers what was ordered, within 1 % of the vehicle's power."""
        span_w = max(self.charge_max_w, self.discharge_max_w)
        return abs(self.p_w - self._feasible(self.target_w)) <= 0.01 * span_w

    @property
    def settles_in_s(self) -> float:
        """Time until `settled`, at least a millisecond."""
        span_w = 0.01 * max(self.charge_max_w, self.discharge_max_w)
        distance_w = max(abs(self.p_w - self._feasible(self.target_w)), span_w)
        return self.time_constant_s * math.log(distance_w / span_w) + 0.001

    def _feasible(self, p_w: float) -> float:
        if (p_w > 0.0 and self.soc_pct <= 0.0) or (p_w < 0.0 and self.soc_pct >= 100.0):
            return 0.0
        return p_w

    def _store(self, exported_wh: float) -> None:
        if exported_wh >= 0.0:
            self.export_wh += exported_wh
            cells_wh = exported_wh / self.efficiency
        else:
            self.import_wh -= exported_wh
            cells_wh = exported_wh * self.efficiency
        self.soc_pct = min(max(self.soc_pct - 100.0 * cells_wh / self.capacity_wh, 0.0), 100.0)
