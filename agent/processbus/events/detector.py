"""What makes an event: pure rules over the reports of one stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.messages import Measurement, Validity

CALM_S: Final = 0.5
"""An event ends when nothing was out of bounds for this long."""
LONGEST_S: Final = 10.0


class Cause(StrEnum):
    """Why a record was made."""

    FREQUENCY = "frequency"
    ROCOF = "rocof"
    VOLTAGE = "voltage"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class EventRules:
    """Bounds of normal operation.

    Attributes:
        nominal_hz, nominal_v: Of the network.
        band_hz: Frequency within ± this is normal (EN 50160 allows 1 %, operation stays closer).
        rocof_hz_s: Averaged ROCOF up to this is normal.
        band_v_pu: Positive-sequence voltage within ± this of nominal is normal (EN 50160: 10 %).
    """

    nominal_hz: float
    nominal_v: float
    band_hz: float = 0.15
    rocof_hz_s: float = 0.5
    band_v_pu: float = 0.10


def cause_of(report: Measurement, rules: EventRules) -> Cause | None:
    """Return what is not normal in a report; None where nothing is."""
    if report.quality is Validity.INVALID:
        return None
    if abs(report.v1_v / rules.nominal_v - 1) > rules.band_v_pu:
        return Cause.VOLTAGE
    if report.quality is Validity.HELD:
        return Cause.STEP
    if abs(report.f_hz - rules.nominal_hz) > rules.band_hz:
        return Cause.FREQUENCY
    if abs(report.rocof_trip_hz_s) > rules.rocof_hz_s:
        return Cause.ROCOF
    return None


@dataclass(slots=True)
class EventDetector:
    """Follows one stream from report to report.

    Attributes:
        rules: Bounds.
        cause: Of the event that is on; None between events.
        trigger_s: When it began, UTC.
        ended_cause: Of the event that ended last.
    """

    rules: EventRules
    cause: Cause | None = None
    trigger_s: float = 0.0
    ended_cause: Cause | None = None
    _calm_since_s: float = -math.inf
    _armed: bool = True

    def see(self, report: Measurement) -> bool:
        """Take a report; True if the event that was on has ended with it."""
        found = cause_of(report, self.rules)
        if self.cause is None:
            self._armed = self._armed or found is None
            if found is not None and self._armed:
                self.cause, self.trigger_s = found, report.t_utc_s
                self._calm_since_s = report.t_utc_s
            return False
        if found is not None:
            self._calm_since_s = report.t_utc_s
        overlong = report.t_utc_s - self.trigger_s >= LONGEST_S
        if report.t_utc_s - self._calm_since_s >= CALM_S or overlong:
            self.ended_cause, self.cause = self.cause, None
            # A state that lasts is one event: the next needs a calm report first.
            self._armed = found is None
            return True
        return False
