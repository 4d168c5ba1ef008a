"""Everything the control needs to know before its first step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from agent.control.curves import Curve, droop_curve
from agent.control.presets import (
    Preset,
    RideThroughCode,
    find_preset,
    find_ride_through,
    voltage_functions,
)

Disagreement = Literal["hold", "nearest-nominal", "mean"]
SafeState = Literal["stop", "charge"]
FLAT = Curve()
ReactiveMode = Literal["off", "volt-var", "power-factor", "var"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Power of the site in a part of the UTC day, W, positive exports; rank: market."""

    start_s: float
    end_s: float
    value_w: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """Plain values; the daemon makes them from the settings with `parameters_from`.

    Powers in W (limits are magnitudes), times in s, frequencies in Hz. Names are those of the
    settings file and of `power-profile.conf`.
    """

    nominal_hz: float
    preset: Preset
    under: Curve
    over: Curve
    olrt_s: float
    ride_through: RideThroughCode
    name: str = "V2G1"
    nominal_v: float = 230.0

    # frequency input
    alarm_band_hz: float = 0.5
    hold_s: float = 0.2
    ramp_to_zero_s: float = 2.0
    max_uncertainty_hz: float = 0.025
    """Above the 20 mHz of a report that bridges a phase step; see `agent.estimation.quality`."""
    disagree_hz: float = 0.02
    disagree_s: float = 0.2
    disagreement: Disagreement = "hold"
    max_rocof_hz_s: float = 4.0
    measurement_delay_s: float = 0.06

    # orders and dispatch
    lease_s: float = 60.0
    min_change_w: float = 50.0
    landing_w: float = 1.0
    tolerance_share: float = 0.0002
    min_interval_s: float = 0.25
    message_budget_per_s: float = 5000.0
    local_frequency: bool = False
    local_lease_s: float = 3600.0
    cooldown_s: float = 30.0
    follow_timeout_s: float = 15.0
    contract_up_w: float | None = None
    contract_down_w: float | None = None

    # the envelope (power-profile.conf)
    max_discharge_w: float = 11_000.0
    max_charge_w: float = 11_000.0
    site_discharge_w: float = math.inf
    site_charge_w: float = math.inf
    min_soc_pct: float = 20.0
    max_soc_pct: float = 95.0
    min_soh_pct: float = 0.0
    max_depth_of_discharge_pct: float = 100.0
    max_cycles_per_day: float = 2.0
    max_energy_per_day_wh: float = math.inf
    departure_margin_s: float = 900.0
    efficiency: float = 0.9
    charge_curve: tuple[tuple[float, float], ...] = ()
    discharge_curve: tuple[tuple[float, float], ...] = ()

    # stability
    inertia_s: float = 4.0
    area_power_w: float = 1e10
    fleet_scale: float = 1.0
    stability_factor: float = 2.0
    default_delay_s: float = 1.0
    reserve_up_w: float = math.inf
    """Most power of the answer to frequency, as the region's settings have it."""
    reserve_down_w: float = math.inf

    # load-altering attacks
    ramp_share_per_s: float = 0.1
    reversals_per_min: int = 6
    random_return_s: float = 5.0

    # faults
    safe_state: SafeState = "stop"

    # voltage, reactive power, point of connection
    reactive: ReactiveMode = "off"
    power_factor: float = 1.0
    var_share: float = 0.0
    volt_watt: bool = False
    volt_var_curve: Curve = FLAT
    volt_var_olrt_s: float = 5.0
    volt_watt_curve: Curve = FLAT
    volt_watt_olrt_s: float = 10.0
    pid_kp: float = 0.0
    pid_ki: float = 0.0
    pid_kd: float = 0.0
    pid_share: float = 0.1

    schedule: tuple[Schedule, ...] = ()


def parameters_from(
    *,
    nominal_hz: float,
    preset: str = "",
    ride_through: str = "",
    db_uf_hz: float | None = None,
    db_of_hz: float | None = None,
    k_uf: float | None = None,
    k_of: float | None = None,
    olrt_s: float | None = None,
    curve_uf: Sequence[tuple[float, float]] = (),
    curve_of: Sequence[tuple[float, float]] = (),
    **values: Any,
) -> Parameters:
    """Return the parameters of plain setting values.

    `preset` and `ride_through` name shipped grid codes, empty for the default of this frequency;
    what is not None overrides them, `curve_uf` and `curve_of` (HzWCrv) before deadband and droop.
    `values` are any other fields of `Parameters`; names that it does not have are left alone, so
    that a whole settings section can be passed.

    Raises:
        ConfigurationError: An unknown grid code, or one of the other nominal frequency.
    """
    nominal_hz = float(nominal_hz)
    found = find_preset(preset, nominal_hz)
    voltage = voltage_functions()
    base = Parameters(
        nominal_hz=nominal_hz,
        preset=found,
        under=_override(found.under_curve, curve_uf, db_uf_hz, k_uf, nominal_hz),
        over=_override(found.over_curve, curve_of, db_of_hz, k_of, nominal_hz),
        olrt_s=found.olrt_s if olrt_s is None else olrt_s,
        ride_through=find_ride_through(ride_through, nominal_hz),
        volt_var_curve=voltage["volt-var"].curve,
        volt_var_olrt_s=voltage["volt-var"].olrt_s,
        volt_watt_curve=voltage["volt-watt"].curve,
        volt_watt_olrt_s=voltage["volt-watt"].olrt_s,
    )
    known = {field.name for field in fields(Parameters)}
    entries = values.pop("schedule", ())
    values["schedule"] = tuple(Schedule(e.start_s, e.end_s, e.value_w) for e in entries)
    return replace(base, **{name: value for name, value in values.items() if name in known})


def _override(
    curve: Curve,
    points: Sequence[tuple[float, float]],
    deadband_hz: float | None,
    k: float | None,
    nominal_hz: float,
) -> Curve:
    if points:
        return Curve(tuple((float(x), float(y)) for x, y in points))
    if deadband_hz is None and k is None:
        return curve
    start = curve.start if deadband_hz is None else deadband_hz
    full = (curve.full - curve.start) / nominal_hz
    return droop_curve(start, full if k is None else k, nominal_hz)
