"""What a device measured at one instant, whatever kind of device it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Final

Phases = tuple[float | None, float | None, float | None]
NO_PHASES: Final[Phases] = (None, None, None)


@dataclass(frozen=True, slots=True)
class Readings:
    """Values of one poll; None where the device has none. Power: positive exports to the grid.

    Attributes:
        p_phase_w: Active power of L1, L2, L3. `v_phase_v`: phase to neutral. `i_phase_a`: RMS.
        dc_injection_a: Direct current into the grid.
        ground_fault, dc_injection: Two-state inputs; None where there are none.
        setpoint_w: Order in force, as read back. `remaining_s`: of its reversion timer.
        connected, running: To the grid, and able to transfer power.
        local: Somebody at the device has taken remote control away.
        faults: Names of the faults that stand.
    """

    f_hz: float | None = None
    p_w: float | None = None
    q_var: float | None = None
    p_phase_w: Phases = NO_PHASES
    v_phase_v: Phases = NO_PHASES
    i_phase_a: Phases = NO_PHASES
    energy_export_wh: float | None = None
    energy_import_wh: float | None = None
    thd_v_pct: float | None = None
    dc_injection_a: float | None = None
    ground_fault: bool | None = None
    dc_injection: bool | None = None
    soc_pct: float | None = None
    soh_pct: float | None = None
    capacity_wh: float | None = None
    setpoint_w: float | None = None
    remaining_s: float | None = None
    connected: bool = True
    running: bool = True
    local: bool = False
    faults: tuple[str, ...] = ()

    def signed(self, sign: int) -> Readings:
        """Return the readings of a device whose current is counted the other way (-1)."""
        if sign > 0:
            return self
        one, two, three = map(_turned, self.p_phase_w)
        return replace(
            self,
            p_w=_turned(self.p_w),
            q_var=_turned(self.q_var),
            p_phase_w=(one, two, three),
            energy_export_wh=self.energy_import_wh,
            energy_import_wh=self.energy_export_wh,
        )

    def implausible(self, nominal_hz: float, most_w: float) -> str:
        """Say which value cannot be true; empty where all can.

        Args:
            nominal_hz: 50 or 60.
            most_w: More power than there can be.
        """
        if self.f_hz is not None and not 0.8 * nominal_hz <= self.f_hz <= 1.2 * nominal_hz:
            return f"a frequency of {self.f_hz:g} Hz"
        for power in (self.p_w, self.q_var, *self.p_phase_w):
            if power is not None and not abs(power) <= most_w:
                return f"a power of {power:g}"
        phases = [p for p in self.p_phase_w if p is not None]
        if self.p_w is not None and len(phases) == 3:
            room_w = max(0.02 * sum(map(abs, phases)), 0.005 * most_w)
            if math.isfinite(room_w) and abs(sum(phases) - self.p_w) > room_w:
                return f"a total of {self.p_w:g} W where L1 to L3 make {sum(phases):g} W"
        return ""


QUANTITIES: Final = {
    "f_hz": "Hz", "p_w": "W", "q_var": "var",
    "p_l1_w": "W", "p_l2_w": "W", "p_l3_w": "W",
    "v_l1_v": "V", "v_l2_v": "V", "v_l3_v": "V",
    "i_l1_a": "A", "i_l2_a": "A", "i_l3_a": "A",
    "energy_export_wh": "Wh", "energy_import_wh": "Wh",
    "thd_v_pct": "%", "dc_injection_a": "A",
    "soc_pct": "%", "soh_pct": "%", "capacity_wh": "Wh", "setpoint_w": "W",
}  # fmt: skip
"""Quantities that a device file may give a value, and their units."""
INPUTS: Final = ("ground_fault", "dc_injection", "connected", "running", "local", "fault")
"""Two-state quantities that a device file may give a bit."""
_PLAIN: Final = frozenset(item.name for item in fields(Readings))


def from_values(values: dict[str, float | None], states: dict[str, bool]) -> Readings:
    """Return the readings of a described device.

    Args:
        values: By quantity. `states`: two-state inputs that are active or not.
        states: By input.
    """
    plain = {name: value for name, value in values.items() if name in _PLAIN}
    flags = {name: states[name] for name in INPUTS if name in states and name in _PLAIN}
    phases: dict[str, Phases] = {
        name: (
            values.get(f"{key}_l1_{u}"),
            values.get(f"{key}_l2_{u}"),
            values.get(f"{key}_l3_{u}"),
        )
        for name, key, u in (
            ("p_phase_w", "p", "w"),
            ("v_phase_v", "v", "v"),
            ("i_phase_a", "i", "a"),
        )
    }
    if values.get("p_w") is None and None not in phases["p_phase_w"]:
        plain["p_w"] = sum(p for p in phases["p_phase_w"] if p is not None)
    named = (("ground_fault", "ground fault"), ("dc_injection", "DC injection"), ("fault", "fault"))
    faults = tuple(text for name, text in named if states.get(name))
    return Readings(**plain, **flags, **phases, faults=faults)  # type: ignore[arg-type]


def _turned(value: float | None) -> float | None:
    return None if value is None else -value
