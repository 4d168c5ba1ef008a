"""Readings of a field device → the control's messages."""

from __future__ import annotations

import math
from typing import Final

from agent.config.field import FieldDevice
from agent.messages import EvseStatus, FieldReading, Measurement, Validity
from agent.vehicles.field.limits import Limits
from agent.vehicles.field.readings import Phases, Readings

PROTOCOL: Final = "modbus"


def evse_status(
    settings: FieldDevice,
    readings: Readings,
    *,
    online: bool,
    quality: Validity,
    cannot: tuple[str, ...],
    limits: Limits,
    identity: tuple[str, str],
    fault: str,
    t_utc_s: float,
    now_s: float,
) -> EvseStatus:
    """Return what the control sees of an inverter.

    It counts as plugged while it is connected to the grid, able to transfer power and under
    remote control; otherwise it is there, but nothing can be ordered of it.
    """
    ready = readings.connected and readings.running and not readings.local
    return EvseStatus(
        evse_id=settings.name,
        protocol=PROTOCOL,
        online=online,
        plugged=online and ready and "orders" not in cannot,
        t_utc_s=t_utc_s,
        published_s=now_s,
        quality=quality,
        p_w=readings.p_w if online else None,
        q_var=readings.q_var if online else None,
        charge_max_w=limits.charge_max_w,
        discharge_max_w=limits.discharge_max_w,
        setpoint_w=readings.setpoint_w,
        soc_pct=readings.soc_pct,
        soh_pct=readings.soh_pct,
        capacity_wh=readings.capacity_wh,
        voltage_v=_known(readings.v_phase_v),
        current_a=_known(readings.i_phase_a),
        energy_export_wh=readings.energy_export_wh,
        energy_import_wh=readings.energy_import_wh,
        vendor=identity[0],
        model=identity[1],
        fault=fault,
        cannot=cannot,
    )


def field_reading(
    settings: FieldDevice, readings: Readings, quality: Validity, t_utc_s: float, read_s: float
) -> FieldReading:
    """Return what tools and pages see of a meter or analyser."""
    return FieldReading(
        device=settings.name,
        t_utc_s=t_utc_s,
        published_s=read_s,
        quality=quality,
        evse_id=settings.evse,
        p_w=readings.p_w,
        q_var=readings.q_var,
        f_hz=readings.f_hz,
        p_phase_w=readings.p_phase_w,
        v_phase_v=readings.v_phase_v,
        i_phase_a=readings.i_phase_a,
        dc_injection_a=readings.dc_injection_a,
    )


class FrequencySource:
    """A meter at the point of connection as a frequency source for the vote.

    Args:
        source: Name of the device.
        uncertainty_hz: Standard uncertainty of its frequency.
        nominal_v: Stands in for the voltage where the device measures none.
    """

    def __init__(self, source: str, uncertainty_hz: float, nominal_v: float) -> None:
        self._source = source
        self._uncertainty_hz = uncertainty_hz
        self._nominal_v = nominal_v
        self._before = (math.nan, 0.0)

    def measurement(
        self, readings: Readings, quality: Validity, t_utc_s: float, read_s: float
    ) -> Measurement | None:
        """Return its report; None where it gave no frequency."""
        if readings.f_hz is None:
            return None
        before_hz, before_s = self._before
        elapsed_s = read_s - before_s
        moved = not math.isnan(before_hz) and elapsed_s > 0
        self._before = (readings.f_hz, read_s)
        phases = _known(readings.v_phase_v)
        return Measurement(
            source=self._source,
            t_utc_s=t_utc_s,
            f_hz=readings.f_hz,
            rocof_hz_s=(readings.f_hz - before_hz) / elapsed_s if moved else 0.0,
            v1_v=sum(phases) / len(phases) if phases else self._nominal_v,
            quality=quality,
            wire_s=read_s,
            published_s=read_s,
            uncertainty_hz=self._uncertainty_hz,
            v_phase_v=(phases[0], phases[1], phases[2]) if len(phases) == 3 else None,
            p_w=readings.p_w,
            q_var=readings.q_var,
        )


def _known(phases: Phases) -> tuple[float, ...]:
    return tuple(value for value in phases if value is not None)
