"""What each EVSE may do now: station, vehicle, profile and battery together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from agent.control import battery
from agent.control.fleet import Bools, Fleet, Floats, known
from agent.control.parameters import Parameters

CLASS_LIMITS_S: Final = (0.3, 1.0, 3.0)
"""Upper delays of the latency classes; the fastest class answers first."""
WEAR_STEP: Final = 0.05
"""Vehicles whose use today differs by less than this share of a cycle are worn alike."""
DEFAULT_CAPACITY_WH: Final = 50_000.0


@dataclass(frozen=True, eq=False)
class Ranges:
    """Limits of each EVSE; arrays of shape (n,), W, positive exports.

    Attributes:
        usable: It can carry out an order.
        own_w: What it does without any order: its own charging.
        base_w: What it should do without the droop: its own charging within the limits, or what
            a request asks of it.
        low_w, high_w: Most import and most export; both zero where unusable.
        step_w: Smallest change the device makes.
        min_charge_w, min_discharge_w: Smallest powers other than zero (magnitudes).
        answers: It takes part in the central answer to frequency.
        silent: It cannot be told anything, and does what it was told last.
    """

    usable: Bools
    own_w: Floats
    base_w: Floats
    low_w: Floats
    high_w: Floats
    step_w: Floats
    min_charge_w: Floats
    min_discharge_w: Floats
    answers: Bools
    silent: Bools

    @cached_property
    def rated_w(self) -> float:
        """Power of the fleet: the larger of import and export of each EVSE, summed."""
        return float(self.nameplate_w.sum())

    @cached_property
    def nameplate_w(self) -> Floats:
        """The larger of import and export of each EVSE, shape (n,)."""
        result: Floats = np.maximum(self.high_w, -self.low_w)
        return result

    def room_w(self, *, up: bool) -> Floats:
        """Return how far each EVSE moves for a share of one, shape (n,): never past nameplate."""
        room_w = self.high_w - self.base_w if up else self.base_w - self.low_w
        result: Floats = np.minimum(room_w, self.nameplate_w)
        return result


def limits(fleet: Fleet, p: Parameters, now_s: float, *, reachable: bool = True) -> Ranges:
    """Return the ranges of all EVSEs by themselves; unusable ones are fixed at zero.

    The SoC window bounds what the grid asks, not what the driver's own charging does; the driver's
    departure bounds both.
    """
    usable = fleet.usable(now_s) & reachable
    charge_w = np.where(usable, np.minimum(fleet.column("charge_max_w"), p.max_charge_w), 0.0)
    discharge_w = np.minimum(fleet.column("discharge_max_w"), p.max_discharge_w)
    discharge_w = np.where(usable, discharge_w, 0.0)
    own_w = np.where(usable, known(fleet.column("base_w")), 0.0)
    base_w = np.clip(own_w, -charge_w, discharge_w)
    high_w = np.maximum(discharge_w * battery.discharge_share(fleet, p), base_w)
    driver_w = battery.departure_high_w(fleet, charge_w, now_s, p)
    high_w = np.minimum(high_w, driver_w)
    low_w = np.minimum(np.minimum(-charge_w * battery.charge_share(fleet, p), base_w), high_w)
    silent = fleet.silent(now_s, p.lease_s)
    told_w = known(fleet.own.ordered_w)
    return Ranges(
        usable=usable | silent,
        own_w=np.where(silent, np.clip(known(fleet.column("base_w")), -p.max_charge_w, 0.0), own_w),
        base_w=np.where(silent, told_w, np.clip(base_w, low_w, high_w)),
        low_w=np.where(silent, told_w, low_w),
        high_w=np.where(silent, told_w, high_w),
        step_w=known(fleet.column("step_w")),
        min_charge_w=fleet.column("charge_min_w"),
        min_discharge_w=fleet.column("discharge_min_w"),
        answers=usable & ~silent,
        silent=silent,
    )


def narrowed(ranges: Ranges, low_w: Floats | float, high_w: Floats | float) -> Ranges:
    """Return the ranges within further bounds; what is already narrower stays."""
    low = np.clip(ranges.low_w, low_w, high_w)
    high = np.clip(ranges.high_w, low_w, high_w)
    low = np.where(ranges.usable, low, 0.0)
    high = np.where(ranges.usable, high, 0.0)
    return replace(ranges, low_w=low, high_w=high, base_w=np.clip(ranges.base_w, low, high))


def snapped(power_w: Floats, ranges: Ranges) -> Floats:
    """Return powers that the devices can make: multiples of a step, none in the gap around zero.

    What an EVSE does by itself and the ends of its range stay as they are.
    """
    gaps = ranges.step_w.any() or ranges.min_charge_w.any() or ranges.min_discharge_w.any()
    if not gaps:
        return power_w
    kept = (power_w == ranges.base_w) | (power_w == ranges.low_w) | (power_w == ranges.high_w)
    step_w = np.maximum(ranges.step_w, 1e-9)
    coarse = np.where(ranges.step_w > 0.0, np.trunc(power_w / step_w) * step_w, power_w)
    coarse = np.where((coarse > 0) & (coarse < ranges.min_discharge_w), 0.0, coarse)
    coarse = np.where((coarse < 0) & (coarse > -ranges.min_charge_w), 0.0, coarse)
    result: Floats = np.where(kept, power_w, np.clip(coarse, ranges.low_w, ranges.high_w))
    return result


def rank(fleet: Fleet, p: Parameters) -> Floats:
    """Return latency class · 8 + wear today · 4, shape (n,): a lower number is asked first."""
    delay_s = fleet.delays_s(p.default_delay_s)
    speed = sum((delay_s > limit_s).astype(np.float64) for limit_s in CLASS_LIMITS_S)
    capacity_wh = fleet.column("capacity_wh")
    capacity_wh = np.where(capacity_wh > 0.0, capacity_wh, DEFAULT_CAPACITY_WH)
    wear = np.floor(np.minimum(fleet.own.used_wh / capacity_wh, 1.0) / WEAR_STEP) * WEAR_STEP
    return speed * 8.0 + wear * 4.0
