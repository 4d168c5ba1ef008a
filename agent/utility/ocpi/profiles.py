"""A charging profile as limits over time, without a clock (OCPI 2.2.1 clause 14.4).

OCPI 2.2.1 knows limits of charging and nothing else: a negative limit is no discharge, it is an
error, and is said to be one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from agent.errors import DecodeError
from agent.utility.ocpi.objects import ChargingProfile, ChargingProfilePeriod
from agent.utility.ocpi.reply import OcpiError, Status
from agent.utility.ocpi.times import parse_time

LIMIT_MAX: Final = 1e9
NO_DISCHARGE: Final = (
    "a charging profile of OCPI 2.2.1 cannot order discharge, limits are 0 or more; "
    "order exports by signed dispatch or OCPP 2.1"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Limits over time; all instants on one clock, whichever the caller chose.

    Attributes:
        starts_s: Rising instants at which a limit begins. `limits_w`: those limits.
        end_s: When the last one ends; infinite where it does not.
    """

    starts_s: tuple[float, ...]
    limits_w: tuple[float, ...]
    end_s: float = math.inf

    def limit_w(self, at_s: float) -> float | None:
        """Return the limit at an instant; None where there is none."""
        place = bisect_right(self.starts_s, at_s) - 1
        return self.limits_w[place] if place >= 0 and at_s < self.end_s else None

    def next_change_s(self, at_s: float) -> float:
        """Return the next instant at which the limit may change; infinite for never."""
        place = bisect_right(self.starts_s, at_s)
        coming = self.starts_s[place] if place < len(self.starts_s) else math.inf
        return min(coming, self.end_s if at_s < self.end_s else math.inf)


def start_utc_s(profile: ChargingProfile, session_start_utc_s: float) -> float:
    """Return when a profile starts: at its own time, or with the session.

    Raises:
        OcpiError: 2001, the time is no DateTime.
    """
    if profile.start_date_time is None:
        return session_start_utc_s
    try:
        return parse_time(profile.start_date_time)
    except DecodeError as error:
        raise _invalid(f"charging_profile.start_date_time: {error}") from error


def plan_of(profile: ChargingProfile, start_s: float, watts_per_ampere: float) -> Plan:
    """Return the limits of a profile.

    Args:
        profile: As the partner sent it.
        start_s: When it starts, on the caller's clock.
        watts_per_ampere: Volts times phases; amperes are those of one phase.

    Raises:
        OcpiError: 2001, with the period and what is wrong with it.
    """
    periods = profile.charging_profile_period
    if not periods:
        raise _invalid("charging_profile_period: at least one period is needed")
    for number, period in enumerate(periods):
        _check_limit(f"charging_profile_period[{number}].limit", period.limit, profile)
    if profile.min_charging_rate is not None:
        _check_limit("min_charging_rate", profile.min_charging_rate, profile)
    if any(b.start_period <= a.start_period for a, b in pairwise(periods)):
        raise _invalid("charging_profile_period: start_period must rise")
    if profile.duration is not None and periods[-1].start_period >= profile.duration:
        raise _invalid("charging_profile_period: the last period starts after the duration")
    factor = watts_per_ampere if profile.charging_rate_unit == "A" else 1.0
    return Plan(
        tuple(start_s + period.start_period for period in periods),
        tuple(period.limit * factor for period in periods),
        math.inf if profile.duration is None else start_s + profile.duration,
    )


def composite(
    plan: Plan | None, most_w: float, now_s: float, duration_s: int
) -> tuple[ChargingProfilePeriod, ...]:
    """Return what is planned from now on, in watts.

    Args:
        plan: The partner's; None where there is none.
        most_w: What the EVSE and all others permit now.
        now_s: On the clock of the plan.
        duration_s: How far to look.
    """
    periods: list[ChargingProfilePeriod] = []
    at_s = now_s
    while at_s < now_s + duration_s:
        limit_w = plan.limit_w(at_s) if plan else None
        shown = round(min(most_w, limit_w if limit_w is not None else math.inf), 1)
        if not periods or periods[-1].limit != shown:
            start = math.ceil(at_s - now_s)
            periods.append(ChargingProfilePeriod(start_period=start, limit=shown))
        at_s = plan.next_change_s(at_s) if plan else math.inf
    return tuple(periods)


def _check_limit(name: str, value: float, profile: ChargingProfile) -> None:
    unit = profile.charging_rate_unit
    if not math.isfinite(value) or value > LIMIT_MAX:
        raise _invalid(f"{name} is no possible number")
    if value < 0.0:
        raise _invalid(f"{name} is {value:g} {unit}: {NO_DISCHARGE}")


def _invalid(message: str) -> OcpiError:
    return OcpiError(Status.INVALID_PARAMETERS, message)
