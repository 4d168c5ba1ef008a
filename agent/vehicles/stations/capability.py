"""What a model of station can do beyond what its protocol version says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StationModel:
    """One row of knowledge about a model of station.

    Powers are magnitudes in watts, of one EVSE.

    Attributes:
        name: Of the table it comes from.
        discharges: The equipment can export; its vehicle must say so too.
        charge_min_w: Below this the station pauses (6 A by IEC 61851-1 annex A).
        step_w: Smallest change that it carries out; orders are rounded towards zero.
        unit: `W` or `A`: what its charging profiles understand.
        phases, volts: To turn watts into amperes where `unit` is `A`.
        import_signed: It reports export as negative Power.Active.Import.
        min_interval_s: Shortest time between two orders that it bears.
    """

    name: str = "default"
    discharges: bool = True
    charge_max_w: float = 11_000.0
    discharge_max_w: float = 11_000.0
    charge_min_w: float = 0.0
    discharge_min_w: float = 0.0
    step_w: float = 0.0
    unit: str = "W"
    phases: int = 3
    volts: float = 230.0
    stack_level: int = 8
    min_interval_s: float = 0.0
