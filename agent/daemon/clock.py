"""What the control knows of its wall clock, asked at most once a second."""

from __future__ import annotations

import time
from typing import Final

from agent.clock import ClockState, StepDetector, read_clock

CHECK_PERIOD_S: Final = 1.0


class ClockWatch:
    """The clock's state, and its steps. A step changes no timer: those run on CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self._steps = StepDetector()
        self._checked_s = time.monotonic()
        self.state: ClockState = read_clock()

    @property
    def synchronised(self) -> bool:
        """NTP or PTP disciplines the clock."""
        now_s = time.monotonic()
        if now_s - self._checked_s >= CHECK_PERIOD_S:
            self._checked_s = now_s
            self.state = read_clock()
        return self.state.synchronised

    def step_s(self, utc_s: float, mono_s: float) -> float:
        """Return by how much the wall clock was stepped since the last call; 0 for none."""
        return self._steps.observe(utc_s, mono_s)
