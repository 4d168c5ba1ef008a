"""Which frequency report decides, and for how long it may decide without a successor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.control.parameters import Parameters
from agent.messages import Measurement, Validity

USABLE = (Validity.GOOD, Validity.QUESTIONABLE)


@dataclass(frozen=True, slots=True)
class Frequency:
    """The frequency as the control knows it.

    Attributes:
        measurement: The report that decides; None before the first.
        known_s: Monotonic instant until which the frequency was really known.
        lost: Nothing usable came for longer than the hold time.
    """

    measurement: Measurement | None = None
    known_s: float = -math.inf
    lost: bool = True

    @property
    def f_hz(self) -> float:
        """The deciding frequency; NaN before the first report."""
        return math.nan if self.measurement is None else self.measurement.f_hz


def select(
    frequency: Frequency, news: Sequence[Measurement], now_s: float, parameters: Parameters
) -> Frequency:
    """Return the frequency after `news`: the newest usable report, held for `hold_s` at most."""
    for report in news:
        if is_usable(report, parameters):
            known_s = min(report.published_s, now_s) if math.isfinite(report.published_s) else now_s
            if known_s >= frequency.known_s:
                frequency = replace(frequency, measurement=report, known_s=known_s)
    return replace(frequency, lost=now_s - frequency.known_s > parameters.hold_s)


def is_usable(report: Measurement, parameters: Parameters) -> bool:
    """A report may decide when it is finite, plausible and certain enough."""
    return (
        report.quality in USABLE
        and math.isfinite(report.f_hz)
        and 0.5 * parameters.nominal_hz < report.f_hz < 1.5 * parameters.nominal_hz
        and 0.0 <= report.uncertainty_hz <= parameters.max_uncertainty_hz
    )
