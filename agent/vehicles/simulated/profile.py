"""Charging profiles as a station reads them: what power do they ask for, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProfileOrder:
    """The first period of a charging profile.

    Attributes:
        p_w: Power asked for, positive exports; for a limit, the most charging it permits.
        duration_s: None where the profile has no end.
        is_limit: Charging at will up to the limit, rather than a setpoint.
    """

    evse: int
    p_w: float
    duration_s: float | None
    operation_mode: str = ""
    is_limit: bool = False


def read_profile(payload: Mapping[str, Any], volts: float = 230.0, phases: int = 3) -> ProfileOrder:
    """Return the order in a SetChargingProfile payload of any version."""
    if "csChargingProfiles" in payload:
        evse, schedule = payload["connectorId"], payload["csChargingProfiles"]["chargingSchedule"]
    else:
        evse, schedule = payload["evseId"], payload["chargingProfile"]["chargingSchedule"][0]
    period = schedule["chargingSchedulePeriod"][0]
    factor = volts * phases if schedule["chargingRateUnit"] == "A" else 1.0
    duration_s = schedule.get("duration")
    mode = period.get("operationMode", "")
    if "setpoint" in period:
        return ProfileOrder(evse, 0.0 - period["setpoint"] * factor, duration_s, mode)
    limit = period.get("limit")
    p_w = 0.0 if limit is None else 0.0 - limit * factor
    return ProfileOrder(evse, p_w, duration_s, mode, is_limit=limit is not None)
