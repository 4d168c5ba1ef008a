"""Everything the control needs to know before its first step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from agent.control.curves import Curve, droop_curve
from agent.control.presets import Preset, default_preset, find_preset


@dataclass(frozen=True, slots=True)
class Parameters:
    """Plain values; the daemon makes them from the settings with `parameters_from`.

    Powers in W (magnitudes), times in s, frequencies in Hz. `under`/`over` give the share of
    rated power by |deviation| from nominal.
    """

    nominal_hz: float
    preset: Preset
    under: Curve
    over: Curve
    olrt_s: float
    nominal_v: float = 230.0
    alarm_band_hz: float = 0.5
    """Alarm 0x14 beyond nominal ± this."""
    hold_s: float = 0.2
    ramp_to_zero_s: float = 2.0
    max_uncertainty_hz: float = 0.02
    lease_s: float = 60.0
    min_change_w: float = 50.0
    min_interval_s: float = 0.25
    """Shortest time between two orders of one EVSE, except in an event."""
    message_budget_per_s: float = 5000.0
    max_discharge_w: float = 11_000.0
    max_charge_w: float = 11_000.0
    site_discharge_w: float = math.inf
    site_charge_w: float = math.inf
    min_soc_pct: float = 20.0
    max_soc_pct: float = 95.0
    min_soh_pct: float = 0.0
    max_cycles_per_day: float = 2.0
    inertia_s: float = 4.0
    area_power_w: float = 1e10
    fleet_scale: float = 1.0
    stability_factor: float = 2.0
    cooldown_s: float = 30.0
    """An EVSE that refused an order or was disconnected by its BMS rests this long."""
    follow_timeout_s: float = 15.0
    """A request whose power does not follow within this time has failed."""


def parameters_from(
    *,
    nominal_hz: float,
    preset: str = "",
    db_uf_hz: float | None = None,
    db_of_hz: float | None = None,
    k_uf: float | None = None,
    k_of: float | None = None,
    olrt_s: float | None = None,
    **values: float,
) -> Parameters:
    """Return the parameters of plain setting values.

    `preset` is empty for the default of this frequency; what is not None overrides it. `values`
    are any other fields of `Parameters`.

    Raises:
        ConfigurationError: Unknown preset, or one of the other nominal frequency.
    """
    nominal_hz = float(nominal_hz)
    found = find_preset(preset or default_preset(nominal_hz), nominal_hz)
    base = Parameters(
        nominal_hz=nominal_hz,
        preset=found,
        under=_override(found.under, db_uf_hz, k_uf, nominal_hz),
        over=_override(found.over, db_of_hz, k_of, nominal_hz),
        olrt_s=found.olrt_s if olrt_s is None else olrt_s,
    )
    return replace(base, **values)  # type: ignore[arg-type]


def _override(curve: Curve, deadband_hz: float | None, k: float | None, nominal_hz: float) -> Curve:
    if deadband_hz is None and k is None:
        return curve
    start = curve.start if deadband_hz is None else deadband_hz
    return droop_curve(
        start, (curve.full - curve.start) / nominal_hz if k is None else k, nominal_hz
    )
