"""Everything that one step hands to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from agent.control.arbitration import Ledger
from agent.control.fleet import Fleet
from agent.control.parameters import Parameters
from agent.control.sources import Frequency
from agent.messages import Alarm


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The control between two steps; never changed in place.

    Attributes:
        clock_s: The latest monotonic instant seen; time that runs backwards stands still here.
        share: Droop answer as share of rated power, after response time and loss ramp.
        alarms: Those that are active.
        ticks, setpoints_sent: Counters since the start.
    """

    parameters: Parameters
    clock_s: float = -math.inf
    frequency: Frequency = field(default_factory=Frequency)
    share: float = 0.0
    fleet: Fleet = field(default_factory=Fleet)
    ledger: Ledger = field(default_factory=Ledger)
    alarms: tuple[Alarm, ...] = ()
    ticks: int = 0
    setpoints_sent: int = 0


def initial_state(parameters: Parameters) -> State:
    """Return the state before the first step: nothing known, nothing ordered."""
    return State(parameters)
