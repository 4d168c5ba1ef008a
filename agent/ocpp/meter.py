"""Sampled values of OCPP, in watts with our sign, and back.

OCPP counts import (charging) and export (discharging) as two positive measurands; here power is
one number, positive for export.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_PREFIX: Final = {"W": 1.0, "kW": 1e3, "var": 1.0, "kvar": 1e3, "Wh": 1.0, "kWh": 1e3}
_PHASES: Final = {"L1": 0, "L1-N": 0, "L2": 1, "L2-N": 1, "L3": 2, "L3-N": 2}
MAX_MAGNITUDE: Final = 1e9
"""No charging station measures a gigawatt; such a value is a fault, not a measurement."""


@dataclass(slots=True)
class Reading:
    """What one set of sampled values says; None where it says nothing.

    Attributes:
        p_w, q_var: Positive exports.
        voltage_v, current_a: By phase, L1 first.
        export_wh, import_wh: Registers.
        setpoint_w: Power that the EV was told to deliver, positive exports (2.1).
        rejected: Values that were not finite or not plausible.
    """

    p_w: float | None = None
    q_var: float | None = None
    soc_pct: float | None = None
    voltage_v: tuple[float, ...] = ()
    current_a: tuple[float, ...] = ()
    export_wh: float | None = None
    import_wh: float | None = None
    f_hz: float | None = None
    setpoint_w: float | None = None
    rejected: int = 0


def read_meter_values(meter_values: Iterable[Mapping[str, Any]]) -> Reading:
    """Return the newest value of each quantity in a `meterValue` array (any version)."""
    totals: dict[str, float] = {}
    phases: dict[str, dict[int, float]] = {}
    rejected = 0
    for meter_value in meter_values:
        for sample in meter_value.get("sampledValue", ()):
            value = _value(sample)
            if value is None:
                rejected += 1
                continue
            name = str(sample.get("measurand", "Energy.Active.Import.Register"))
            phase = _PHASES.get(str(sample.get("phase", "")))
            if phase is None and "phase" not in sample:
                totals[name] = value
            elif phase is not None:
                phases.setdefault(name, {})[phase] = value
    for name, values in phases.items():
        totals.setdefault(name, sum(values.values()))
    return Reading(
        p_w=_net(totals, "Power.Active"),
        q_var=_net(totals, "Power.Reactive"),
        soc_pct=_percent(totals.get("SoC", totals.get("Display.PresentSOC"))),
        voltage_v=_by_phase(phases, totals, "Voltage"),
        current_a=_by_phase(phases, totals, "Current.Import"),
        export_wh=totals.get("Energy.Active.Export.Register"),
        import_wh=totals.get("Energy.Active.Import.Register"),
        f_hz=totals.get("Frequency"),
        setpoint_w=_negated(totals.get("Power.Active.Setpoint")),
        rejected=rejected,
    )


def _net(totals: Mapping[str, float], quantity: str) -> float | None:
    exported, imported = totals.get(f"{quantity}.Export"), totals.get(f"{quantity}.Import")
    if exported is None and imported is None:
        return None
    return (exported or 0.0) - (imported or 0.0)


def _percent(value: float | None) -> float | None:
    return value if value is not None and 0.0 <= value <= 100.0 else None


def _negated(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _by_phase(
    phases: Mapping[str, Mapping[int, float]], totals: Mapping[str, float], name: str
) -> tuple[float, ...]:
    values = phases.get(name)
    if values:
        return tuple(values[phase] for phase in sorted(values))
    return (totals[name],) if name in totals else ()


def _value(sample: Mapping[str, Any]) -> float | None:
    """The number in watts, volts… or None where it is not one; 1.6 writes numbers as text."""
    try:
        value = float(sample["value"])
    except (KeyError, TypeError, ValueError):
        return None
    unit = sample.get("unitOfMeasure")
    if isinstance(unit, Mapping):
        multiplier = unit.get("multiplier", 0)
        if not isinstance(multiplier, int) or not -12 <= multiplier <= 12:
            return None
        value *= 10.0**multiplier * _PREFIX.get(str(unit.get("unit", "")), 1.0)
    else:
        value *= _PREFIX.get(str(sample.get("unit", "")), 1.0)
    return value if math.isfinite(value) and abs(value) < MAX_MAGNITUDE else None
