"""Estimator settings by sampling rate, with the filters designed off the hot path.

Designing all filters of a rate takes seconds. Those around nominal frequency, of the rate that is
expected, are designed before the capture opens; the others, and those of another rate found on
the wire, in a thread while the streams run on.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

from agent.estimation import Estimator, Settings, design_all


@dataclass(slots=True)
class FilterChoice:
    """What is the same for all streams.

    Attributes:
        nominal_hz, reports_per_s, filter, nominal_v: As `agent.estimation.Settings`.
        wait: Design when asked instead of in a thread (files).
    """

    nominal_hz: int
    reports_per_s: int = 50
    filter: Literal["default", "low-latency"] = "default"
    nominal_v: float = 230.0
    wait: bool = False
    _ready: dict[int, Settings] = field(default_factory=dict)
    _asked: set[int] = field(default_factory=set)

    def __call__(self, rate_hz: int) -> Settings | None:
        """Return the settings of a rate, or None while its filters are being designed."""
        if rate_hz not in self._ready and rate_hz not in self._asked:
            self._asked.add(rate_hz)
            if self.wait:
                self.design(rate_hz)
            else:
                threading.Thread(target=self.design, args=(rate_hz,), daemon=True).start()
        return self._ready.get(rate_hz)

    def design(self, rate_hz: int) -> None:
        """Design the filters around nominal frequency now, the others in a thread."""
        settings = Settings(
            nominal_hz=self.nominal_hz,
            samples_per_second=rate_hz,
            reports_per_second=self.reports_per_s,
            filter=self.filter,
            v_nominal_v=self.nominal_v,
        )
        Estimator(settings)
        self._ready[rate_hz] = settings
        if not self.wait:
            threading.Thread(target=design_all, args=(settings,), daemon=True).start()
