"""DER controls of OCPP 2.1 block R: one setting of one control function, read and checked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from agent.ocpp.codes import CallError, ErrorCode
from agent.ocpp.frames import Payload
from agent.ocpp.timestamps import parse_utc


class DerType(StrEnum):
    """DERControlEnumType."""

    ENTER_SERVICE = "EnterService"
    FREQ_DROOP = "FreqDroop"
    FREQ_WATT = "FreqWatt"
    FIXED_PF_ABSORB = "FixedPFAbsorb"
    FIXED_PF_INJECT = "FixedPFInject"
    FIXED_VAR = "FixedVar"
    GRADIENTS = "Gradients"
    HF_MUST_TRIP = "HFMustTrip"
    HF_MAY_TRIP = "HFMayTrip"
    HV_MUST_TRIP = "HVMustTrip"
    HV_MOM_CESS = "HVMomCess"
    HV_MAY_TRIP = "HVMayTrip"
    LIMIT_MAX_DISCHARGE = "LimitMaxDischarge"
    LF_MUST_TRIP = "LFMustTrip"
    LV_MUST_TRIP = "LVMustTrip"
    LV_MOM_CESS = "LVMomCess"
    LV_MAY_TRIP = "LVMayTrip"
    POWER_MONITORING_MUST_TRIP = "PowerMonitoringMustTrip"
    VOLT_VAR = "VoltVar"
    VOLT_WATT = "VoltWatt"
    WATT_PF = "WattPF"
    WATT_VAR = "WattVar"


_FIELDS: Final[dict[DerType, str]] = {
    DerType.ENTER_SERVICE: "enterService",
    DerType.FREQ_DROOP: "freqDroop",
    DerType.FIXED_PF_ABSORB: "fixedPFAbsorb",
    DerType.FIXED_PF_INJECT: "fixedPFInject",
    DerType.FIXED_VAR: "fixedVar",
    DerType.GRADIENTS: "gradient",
    DerType.LIMIT_MAX_DISCHARGE: "limitMaxDischarge",
}
_ALL_FIELDS: Final = frozenset({*_FIELDS.values(), "curve"})
_NEVER_SCHEDULED: Final = frozenset({DerType.ENTER_SERVICE, DerType.GRADIENTS})


def field_of(control_type: DerType) -> str:
    """Return the property of SetDERControl that holds this type's setting."""
    return _FIELDS.get(control_type, "curve")


@dataclass(frozen=True, slots=True)
class DerControl:
    """One DER control as it is set.

    Attributes:
        priority: 0 is the highest; the lower number wins within a control type.
        start_utc_s, duration_s: Of a scheduled control; a default has neither.
        setting: The object of the type's property, names untouched.
    """

    control_id: str
    control_type: DerType
    is_default: bool
    priority: int
    setting: Payload
    start_utc_s: float = -math.inf
    duration_s: float = math.inf

    @property
    def end_utc_s(self) -> float:
        """UTC instant at which it ends; never, for a default."""
        return math.inf if self.is_default else self.start_utc_s + self.duration_s

    def overlaps(self, other: DerControl) -> bool:
        """Whether both would be in force at some instant."""
        return self.start_utc_s < other.end_utc_s and other.start_utc_s < self.end_utc_s

    def beats(self, other: DerControl) -> bool:
        """Whether it wins over an older control of its type; a tie goes to the newer."""
        return self.priority <= other.priority

    def request(self) -> Payload:
        """Return the SetDERControl payload."""
        return {
            "isDefault": self.is_default,
            "controlId": self.control_id,
            "controlType": self.control_type.value,
            field_of(self.control_type): self.setting,
        }


def read_control(payload: Payload) -> DerControl:
    """Return the control in a SetDERControl payload that its schema accepted (R04).

    Raises:
        CallError: The setting is not that of the type, a value is not finite, or the schedule
            does not fit a default or a scheduled control.
    """
    control_type = DerType(payload["controlType"])
    field = field_of(control_type)
    present = _ALL_FIELDS & payload.keys()
    if present != {field}:
        raise _violation(f"{control_type} is set by {field} and nothing else")
    setting: dict[str, Any] = payload[field]
    if not all(math.isfinite(value) for value in _numbers(setting)):
        raise _violation("a value is not a finite number")
    is_default = payload["isDefault"]
    start_s, duration_s = _schedule(control_type, setting, is_default)
    return DerControl(
        control_id=payload["controlId"],
        control_type=control_type,
        is_default=is_default,
        priority=setting["priority"],
        setting=setting,
        start_utc_s=start_s,
        duration_s=duration_s,
    )


def _schedule(control_type: DerType, setting: Payload, is_default: bool) -> tuple[float, float]:
    has_schedule = "startTime" in setting or "duration" in setting
    if is_default:
        if has_schedule:
            raise _violation("a default control has no startTime and no duration")
        return -math.inf, math.inf
    if control_type in _NEVER_SCHEDULED:
        raise _violation(f"{control_type} can only be a default control")
    start_s, duration_s = parse_utc(setting.get("startTime")), setting.get("duration")
    if start_s is None or duration_s is None or not 0.0 < duration_s < math.inf:
        raise _violation("a scheduled control needs startTime and a positive duration")
    return start_s, float(duration_s)


def _numbers(node: object) -> Iterator[float]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _numbers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _numbers(value)
    elif isinstance(node, int | float):
        yield node


def _violation(text: str) -> CallError:
    return CallError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, text)
