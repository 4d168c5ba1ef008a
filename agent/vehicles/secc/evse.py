"""The power side of one EVSE: contactor, order with its lease, and what both sides permit.

Pure but for the `PowerStage`, which is the hardware. Power is positive when it is exported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from agent.messages import Setpoint
from agent.vehicles.secc.options import Rating


@dataclass(frozen=True, slots=True)
class Reading:
    """What the power stage measures now."""

    p_w: float
    q_var: float
    voltage_v: float
    current_a: float


class PowerStage(Protocol):
    """The converter and contactor behind an EVSE; one implementation a kind of hardware."""

    @property
    def closed(self) -> bool:
        """The contactor is closed."""

    def close(self) -> None:
        """Close the contactor."""

    def open(self) -> None:
        """Stop the current, then open the contactor."""

    def command(self, p_w: float, q_var: float, voltage_v: float) -> None:
        """Deliver this power, positive exports, at the vehicle's DC voltage (0: AC)."""

    def read(self) -> Reading:
        """Return what is measured."""


class IdealPowerStage:
    """A converter without losses or delay, for `make run`, tests and the study."""

    def __init__(self, rating: Rating) -> None:
        self._rating = rating
        self._closed = False
        self._p_w = 0.0
        self._q_var = 0.0
        self._voltage_v = rating.nominal_v if rating.kind == "ac" else 0.0

    @property
    def closed(self) -> bool:
        """The contactor is closed."""
        return self._closed

    def close(self) -> None:
        """Close the contactor."""
        self._closed = True

    def open(self) -> None:
        """Stop the current, then open the contactor."""
        self._p_w = self._q_var = 0.0
        self._closed = False
        if self._rating.kind == "dc":
            self._voltage_v = 0.0

    def command(self, p_w: float, q_var: float, voltage_v: float) -> None:
        """Deliver this power at once; without a closed contactor only the voltage follows."""
        if voltage_v > 0:
            self._voltage_v = min(voltage_v, self._rating.voltage_max_v)
        if self._closed:
            self._p_w, self._q_var = p_w, q_var

    def read(self) -> Reading:
        """Return the commanded values."""
        voltage = self._voltage_v
        lines = self._rating.phases if self._rating.kind == "ac" else 1
        current = self._p_w / (voltage * lines) if voltage else 0.0
        return Reading(self._p_w, self._q_var, voltage, current)


@dataclass(frozen=True, slots=True)
class EvLimits:
    """What the vehicle permits; magnitudes in watts, infinite where it said nothing."""

    charge_max_w: float = math.inf
    discharge_max_w: float = 0.0
    charge_min_w: float = 0.0
    discharge_min_w: float = 0.0


@dataclass(slots=True)
class Evse:
    """State of one EVSE, over all sessions."""

    rating: Rating
    stage: PowerStage
    default_w: float = 0.0
    ev: EvLimits = EvLimits()
    order: Setpoint | None = None
    blocked_until_s: float = 0.0
    energy_export_wh: float = 0.0
    energy_import_wh: float = 0.0
    _integrated_s: float = field(default=math.nan)

    def accept(self, order: Setpoint) -> bool:
        """Take an order unless it is no number, or a newer one of the same sender is in force."""
        if not (math.isfinite(order.p_w) and math.isfinite(order.q_var)):
            return False
        if (
            self.order is not None
            and order.seq <= self.order.seq
            and order.issued_s < (self.order.issued_s)
        ):
            return False
        self.order = order
        return True

    def order_in_force(self, now_s: float) -> Setpoint | None:
        """The order whose lease has not ended."""
        if self.order is None or now_s >= self.order.issued_s + self.order.lease_s:
            return None
        return self.order

    def limits_w(self, now_s: float) -> tuple[float, float]:
        """What EVSE and vehicle permit now: (charge, discharge), magnitudes."""
        if now_s < self.blocked_until_s:
            return 0.0, 0.0
        return (
            min(self.rating.charge_max_w, self.ev.charge_max_w),
            min(self.rating.discharge_max_w, self.ev.discharge_max_w),
        )

    def target_w(self, now_s: float) -> float:
        """Power to deliver now: the order in force, else the default, within the limits."""
        order = self.order_in_force(now_s)
        wanted = self.default_w if order is None else order.p_w
        charge, discharge = self.limits_w(now_s)
        return min(max(wanted, -charge), discharge)

    def target_var(self, now_s: float) -> float:
        """Reactive power to deliver now, within the apparent power of the rating."""
        order = self.order_in_force(now_s)
        if order is None or self.rating.kind == "dc":
            return 0.0
        apparent = max(self.rating.charge_max_w, self.rating.discharge_max_w)
        room = math.sqrt(max(0.0, apparent**2 - self.target_w(now_s) ** 2))
        return min(max(order.q_var, -room), room)

    def integrate(self, now_s: float) -> None:
        """Count energy since the last call, from what the stage measures."""
        elapsed_h = (now_s - self._integrated_s) / 3600.0
        self._integrated_s = now_s
        if not elapsed_h > 0:  # also the first call
            return
        p_w = self.stage.read().p_w
        if p_w > 0:
            self.energy_export_wh += p_w * elapsed_h
        else:
            self.energy_import_wh -= p_w * elapsed_h
