"""A step of full power below a trigger: FFR with support duration, recovery and rest.

Nordic FFR (Fingrid): full power within 1.3 s of 49.7 Hz for 5 or 30 s. ERCOT FFR: 59.85 Hz in 15
cycles, for up to 15 minutes. The agent answers in the tick that sees the trigger; the vehicles'
delay is what the activation time must leave room for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.control.presets import FastReserve


class Phase(StrEnum):
    """Where an activation stands."""

    READY = "ready"
    SUPPORT = "support"
    RECOVERY = "recovery"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Fast:
    """State of the reserve; `since_s` is the begin of the phase."""

    phase: Phase = Phase.READY
    since_s: float = -math.inf

    def share(self, reserve: FastReserve | None, now_s: float) -> float:
        """Return the share of rated power that the reserve asks for, 0 to 1."""
        if reserve is None:
            return 0.0
        if self.phase is Phase.SUPPORT:
            return 1.0
        if self.phase is Phase.RECOVERY:
            return max(0.0, 1.0 - (now_s - self.since_s) / max(reserve.recovery_s, 1e-9))
        return 0.0


def advance(state: Fast, reserve: FastReserve | None, f_hz: float, now_s: float) -> Fast:
    """Return the state at `now_s`; `f_hz` is NaN while the frequency is lost."""
    if reserve is None:
        return state
    age_s = now_s - state.since_s
    if state.phase is Phase.READY and f_hz <= reserve.trigger_hz:
        return Fast(Phase.SUPPORT, now_s)
    if state.phase is Phase.SUPPORT and (age_s >= reserve.support_s or math.isnan(f_hz)):
        return Fast(Phase.RECOVERY, now_s)
    if state.phase is Phase.RECOVERY and age_s >= reserve.recovery_s:
        return Fast(Phase.REST, now_s)
    if state.phase is Phase.REST and age_s >= reserve.rest_s:
        return replace(state, phase=Phase.READY)
    return state
