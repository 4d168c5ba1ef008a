"""Charging profiles as a CSMS sends them, read and checked: the station's side of smart charging.

OCPP 1.6 clause 5.16, 2.0.1 and 2.1 part 2 blocks K and Q. Powers become watts with our sign
(positive exports); amperes are turned with the number of phases. A limit of charging that is
negative is refused: before 2.1 nothing can order a discharge, and nothing here pretends to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from agent.errors import RefusedError
from agent.ocpp.frames import Payload
from agent.ocpp.timestamps import parse_utc
from agent.ocpp.v2x import OperationMode
from agent.ocpp.version import Version

MAX_POWER_W: Final = 1e9
DAY_S: Final = 86_400.0
_RECURRENCE_S: Final = {"Daily": DAY_S, "Weekly": 7.0 * DAY_S}
_PHASES: Final = ("", "_L2", "_L3")


class Purpose(StrEnum):
    """ChargingProfilePurposeEnumType, as far as a CSMS may set them."""

    STATION_MAX = "ChargingStationMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(StrEnum):
    """ChargingProfileKindEnumType."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"
    DYNAMIC = "Dynamic"


Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Period:
    """What holds from `start_s` of a schedule on; None where it says nothing.

    Attributes:
        mode: None where the version or the CSMS knows no operation modes.
        setpoint_w, baseline_w: Positive exports. `setpoint_var`: positive injects.
        charge_w, discharge_w: Limits, magnitudes.
        freq_watt, signal_watt: (Hz, W) and (signal, W) points; W of export.
    """

    start_s: float
    mode: OperationMode | None = None
    setpoint_w: float | None = None
    setpoint_var: float | None = None
    charge_w: float | None = None
    discharge_w: float | None = None
    baseline_w: float = 0.0
    freq_watt: Curve = ()
    signal_watt: Curve = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """One charging profile.

    Attributes:
        evse: 0 is the station as a whole.
        start_utc_s: Of its schedule; NaN for a relative one.
        received_utc_s: When it came, or its dynamic values were renewed last.
        duration_s: Length of the schedule; infinite where it has none.
        max_offline_s: It ends when the CSMS was away for longer (2.1); infinite where unsaid.
        pull_s: A dynamic profile asks for its values this often; 0 for never.
        payload: As it came, for reports.
    """

    profile_id: int
    evse: int
    purpose: Purpose
    kind: Kind
    stack_level: int
    periods: tuple[Period, ...]
    start_utc_s: float
    received_utc_s: float
    duration_s: float = math.inf
    recurrence_s: float = 0.0
    valid_from_s: float = -math.inf
    valid_to_s: float = math.inf
    transaction_id: str = ""
    max_offline_s: float = math.inf
    pull_s: float = 0.0
    payload: Payload = field(default_factory=dict)

    def at(self, t_utc_s: float, transaction_utc_s: float) -> tuple[Period | None, float]:
        """Return the period in force and the instant until which that is so.

        Args:
            t_utc_s: The instant.
            transaction_utc_s: Start of the transaction, from which relative profiles count.
        """
        if t_utc_s < self.valid_from_s:
            return None, self.valid_from_s
        if t_utc_s >= self.valid_to_s:
            return None, math.inf
        start_s = transaction_utc_s if math.isnan(self.start_utc_s) else self.start_utc_s
        if math.isnan(start_s):
            start_s = self.received_utc_s
        elapsed_s = t_utc_s - start_s
        again_s = math.inf
        if self.recurrence_s:
            elapsed_s %= self.recurrence_s
            again_s = t_utc_s - elapsed_s + self.recurrence_s
        if elapsed_s < 0.0:
            return None, min(start_s, self.valid_to_s)
        if elapsed_s >= self.duration_s:
            return None, min(again_s, self.valid_to_s)
        return self._period(elapsed_s, t_utc_s - elapsed_s, again_s)

    def renewed(self, update: Mapping[str, Any], now_utc_s: float, volts: float) -> Profile:
        """Return this dynamic profile with the values of a ChargingScheduleUpdate (K28).

        Its `duration` begins anew: who updates is alive.

        Raises:
            RefusedError: It is not dynamic, or a value cannot be meant.
        """
        if self.kind is not Kind.DYNAMIC:
            raise RefusedError(f"profile {self.profile_id} is not dynamic")
        raw = self.payload["chargingSchedule"][0]
        changed = {**raw["chargingSchedulePeriod"][0], **update}
        period = _read_period(changed, raw["chargingRateUnit"], volts)
        schedule = {**raw, "chargingSchedulePeriod": [changed]}
        return replace(
            self,
            periods=(period,),
            start_utc_s=now_utc_s,
            received_utc_s=now_utc_s,
            payload={**self.payload, "chargingSchedule": [schedule]},
        )

    def _period(
        self, elapsed_s: float, start_s: float, again_s: float
    ) -> tuple[Period | None, float]:
        present = max(n for n, each in enumerate(self.periods) if each.start_s <= elapsed_s)
        following = self.periods[present + 1 : present + 2]
        end_s = following[0].start_s if following else math.inf
        until_s = min(start_s + min(end_s, self.duration_s), again_s, self.valid_to_s)
        return self.periods[present], until_s


def read_profile(version: Version, request: Payload, volts: float, now_utc_s: float) -> Profile:
    """Return the profile in a SetChargingProfile payload that its schema accepted.

    Args:
        version: Of the connection.
        request: The payload.
        volts: Phase to neutral, for limits in amperes.
        now_utc_s: UTC seconds of its arrival.

    Raises:
        RefusedError: It cannot be carried out; the text is for the CSMS.
    """
    if version is Version.V16:
        raw = dict(request["csChargingProfiles"])
        raw["id"], evse = raw.pop("chargingProfileId"), request["connectorId"]
        raw["chargingSchedule"] = [raw["chargingSchedule"]]
        purpose = raw["chargingProfilePurpose"].replace("ChargePointMax", "ChargingStationMax")
        raw["chargingProfilePurpose"] = purpose
    else:
        raw, evse = request["chargingProfile"], request["evseId"]
    return profile_of(raw, evse, volts, now_utc_s)


def profile_of(raw: Payload, evse: int, volts: float, now_utc_s: float) -> Profile:
    """Return the profile of a ChargingProfileType in the words of 2.x. Raises as above."""
    purpose, kind = _purpose(raw["chargingProfilePurpose"], evse), Kind(raw["chargingProfileKind"])
    schedule = raw["chargingSchedule"][0]
    periods = tuple(
        _read_period(each, schedule["chargingRateUnit"], volts)
        for each in schedule["chargingSchedulePeriod"]
    )
    _check_periods(periods, kind)
    transaction_id = str(raw.get("transactionId", ""))
    if transaction_id and purpose is not Purpose.TX:
        raise RefusedError("only a TxProfile belongs to a transaction")
    recurrence_s = 0.0
    if kind is Kind.RECURRING:
        recurrence_s = _RECURRENCE_S.get(str(raw.get("recurrencyKind")), 0.0)
        if not recurrence_s:
            raise RefusedError("a recurring profile needs recurrencyKind")
    duration_s = float(schedule.get("duration", math.inf))
    if duration_s <= 0.0:
        raise RefusedError("the duration is not positive")
    return Profile(
        profile_id=raw["id"],
        evse=evse,
        purpose=purpose,
        kind=kind,
        stack_level=raw["stackLevel"],
        periods=periods,
        start_utc_s=_start(schedule, kind, now_utc_s),
        received_utc_s=now_utc_s,
        duration_s=duration_s,
        recurrence_s=recurrence_s,
        valid_from_s=_time(raw.get("validFrom"), -math.inf),
        valid_to_s=_time(raw.get("validTo"), math.inf),
        transaction_id=transaction_id,
        max_offline_s=float(raw.get("maxOfflineDuration", math.inf)),
        pull_s=float(raw.get("dynUpdateInterval", 0)),
        payload=raw,
    )


def _purpose(name: str, evse: int) -> Purpose:
    try:
        purpose = Purpose(name)
    except ValueError as error:
        raise RefusedError(f"{name} is not supported") from error
    if purpose is Purpose.STATION_MAX and evse != 0:
        raise RefusedError(f"{purpose} belongs to EVSE 0")
    if purpose is Purpose.TX and evse == 0:
        raise RefusedError(f"{purpose} belongs to an EVSE with a transaction")
    return purpose


def _start(schedule: Payload, kind: Kind, now_utc_s: float) -> float:
    start_s = parse_utc(schedule.get("startSchedule"))
    if kind is Kind.RELATIVE:
        if start_s is not None:
            raise RefusedError("a relative profile has no startSchedule")
        return math.nan
    if start_s is None and kind is Kind.RECURRING:
        raise RefusedError("a recurring profile needs startSchedule")
    return now_utc_s if start_s is None else start_s


def _check_periods(periods: Sequence[Period], kind: Kind) -> None:
    if not periods or periods[0].start_s != 0.0:
        raise RefusedError("the first period starts at 0")
    if any(b.start_s <= a.start_s for a, b in pairwise(periods)):
        raise RefusedError("the periods' starts must rise")
    if kind is Kind.DYNAMIC and len(periods) != 1:
        raise RefusedError("a dynamic profile has one period")


def _read_period(raw: Mapping[str, Any], unit: str, volts: float) -> Period:
    phases = raw.get("numberPhases", 3)
    watts = 1.0 if unit == "W" else volts
    total = watts if unit == "W" else volts * phases
    charge_w = _sum(raw, "limit", watts, total)
    discharge_w = _sum(raw, "dischargeLimit", -watts, -total)
    if charge_w is not None and charge_w < 0.0:
        raise RefusedError(
            "a negative limit cannot order a discharge; OCPP 2.1 has setpoint for that"
        )
    if discharge_w is not None and discharge_w < 0.0:
        raise RefusedError("dischargeLimit is negative or zero (OCPP 2.1 block Q)")
    mode = raw.get("operationMode")
    period = Period(
        start_s=float(raw["startPeriod"]),
        mode=OperationMode(mode) if mode else None,
        setpoint_w=_sum(raw, "setpoint", -watts, -total),
        setpoint_var=_sum(raw, "setpointReactive", -watts, -total),
        charge_w=charge_w,
        discharge_w=discharge_w,
        baseline_w=_sum(raw, "v2xBaseline", -1.0, -1.0) or 0.0,
        freq_watt=_curve(raw.get("v2xFreqWattCurve", ()), "frequency"),
        signal_watt=_curve(raw.get("v2xSignalWattCurve", ()), "signal"),
    )
    _check_mode(period)
    return period


def _check_mode(period: Period) -> None:
    """Refuse what the mode does not permit, or needs (2.1 block Q)."""
    mode = period.mode
    if mode is OperationMode.LOCAL_LOAD_BALANCING:
        raise RefusedError("LocalLoadBalancing is not supported")
    central = (OperationMode.CENTRAL_SETPOINT, OperationMode.CENTRAL_FREQUENCY)
    if mode in central and period.setpoint_w is None:
        raise RefusedError(f"{mode} needs setpoint")
    if mode not in central and period.setpoint_w is not None:
        raise RefusedError("a setpoint needs operationMode CentralSetpoint or CentralFrequency")
    if mode is OperationMode.LOCAL_FREQUENCY and not period.freq_watt:
        raise RefusedError("LocalFrequency needs v2xFreqWattCurve")
    if mode in (None, OperationMode.CHARGING_ONLY) and period.charge_w is None:
        raise RefusedError("a period without operationMode needs limit")


def _curve(points: Sequence[Mapping[str, Any]], name: str) -> Curve:
    curve = tuple((float(each[name]), _possible(-float(each["power"]))) for each in points)
    if any(b[0] <= a[0] for a, b in pairwise(curve)):
        raise RefusedError("a curve's points must rise")
    return curve


def _sum(raw: Mapping[str, Any], name: str, phase: float, total: float) -> float | None:
    """One value for all phases, or the sum of one a phase."""
    values = [raw[name + each] for each in _PHASES if name + each in raw]
    if not values:
        return None
    factor = total if len(values) == 1 else phase
    return _possible(factor * sum(values)) + 0.0


def _possible(value_w: float) -> float:
    if not abs(value_w) < MAX_POWER_W:
        raise RefusedError("a value that is not a possible power")
    return value_w


def _time(text: object, default_s: float) -> float:
    moment_s = parse_utc(text)
    return default_s if moment_s is None else moment_s
