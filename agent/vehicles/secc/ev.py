"""What a vehicle said in its messages → the limits and figures that the control sees."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

from iso15118.secc.controller.ev_data import (
    EVACCLLimits,
    EVACCPDLimits,
    EVDataContext,
    EVDCCLLimits,
    EVDCCPDLimits,
    EVRatedLimits,
    EVSessionLimits,
)

from agent.vehicles.secc.evse import EvLimits


def fresh_context() -> EVDataContext:
    """Return a context that shares nothing: the package's defaults are shared by all sessions."""
    return EVDataContext(
        rated_limits=EVRatedLimits(EVACCPDLimits(), EVDCCPDLimits()),
        session_limits=EVSessionLimits(EVACCLLimits(), EVDCCLLimits()),
    )


def limits(context: EVDataContext, kind: Literal["ac", "dc"], bidirectional: bool) -> EvLimits:
    """Return what the vehicle permits now: of the loop where it says, else of its parameters."""
    session = getattr(context.session_limits, f"{kind}_limits")
    rated = getattr(context.rated_limits, f"{kind}_limits")
    charge = _of("max_charge_power", session, rated)
    discharge = abs(_of("max_discharge_power", session, rated) or 0.0)
    if kind == "ac" and not charge:
        charge = _power_of_current(rated)
    if not bidirectional or not _may_discharge(context):
        discharge = 0.0
    return EvLimits(
        math.inf if charge is None else charge,
        discharge,
        _of("min_charge_power", session, rated) or 0.0,
        abs(_of("min_discharge_power", session, rated) or 0.0),
    )


def phases(context: EVDataContext) -> int:
    """Return the number of phases in which an AC vehicle named its limits."""
    rated = context.rated_limits.ac_limits
    session = context.session_limits.ac_limits
    for source in (session, rated):
        if source.max_charge_power_l3 is not None or source.max_discharge_power_l3 is not None:
            return 3
    return 1


def _of(name: str, *sources: Any) -> float | None:
    """The sum over the phases, from the first source that has a value."""
    for source in sources:
        values = [getattr(source, name + phase, None) for phase in ("", "_l2", "_l3")]
        present = [value for value in values if value is not None]
        if present and values[0] is not None:
            return float(sum(_magnitudes(present)))
    return None


def _magnitudes(values: Iterable[float]) -> list[float]:
    """Some vehicles write discharge limits negative."""
    return [abs(float(value)) for value in values]


def _power_of_current(rated: EVACCPDLimits) -> float | None:
    """ISO 15118-2 AC: the vehicle names current and voltage instead of power, for three phases."""
    if rated.max_charge_current is None or rated.max_voltage is None:
        return None
    return float(rated.max_charge_current * rated.max_voltage) * 3.0


def _may_discharge(context: EVDataContext) -> bool:
    """A positive minimum of the V2X energy request must be charged before anything is taken."""
    request = context.min_v2x_energy_request
    return request is None or request <= 0
