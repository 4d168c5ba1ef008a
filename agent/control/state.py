"""Everything that one step hands to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from agent.control.arbitration import Ledger
from agent.control.attack import Offset
from agent.control.fast import Fast
from agent.control.fleet import Fleet
from agent.control.interface import Now
from agent.control.oscillation import Oscillation
from agent.control.parameters import Parameters
from agent.control.pid import Pid
from agent.control.ride_through import RideThrough
from agent.control.sources import Frequency
from agent.control.stability import Limit
from agent.control.voltage import Voltage
from agent.messages import Alarm

MAX_DT_S = 1.0
"""A longer pause counts as this much for lags, ramps and energy."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What a restart needs to know of the time before it.

    Attributes:
        started_s: Clock of the first step; infinite before it.
        saved_s: Clock of the state that was loaded; NaN where nothing was.
        until_s: While the fleet is being adopted nothing is dispatched; end of that.
        latest_s: The adoption ends by then at the latest.
    """

    started_s: float = math.inf
    saved_s: float = math.nan
    until_s: float = -math.inf
    latest_s: float = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The control between two steps; never changed in place.

    Attributes:
        clock_s, utc_s: The latest instants seen; monotonic time that runs backwards stands still.
        share: Answer to frequency as share of rated power, after response time and ramps.
        recovering: The answer comes back after a loss, with a ramp.
        target_w: Power of the fleet that was aimed at, before the trim.
        tokens: Messages that may be sent at once.
        limited_s: When `limit` was computed.
        short_s: Since when the fleet cannot give what is asked; NaN while it can.
        idle_w: Power at the point of connection while the fleet did nothing for the grid.
        accounted_s: Until when the vehicles' energy is accounted.
        noted_w: Target in the last audit record about dispatch.
    """

    parameters: Parameters
    clock_s: float = -math.inf
    utc_s: float = 0.0
    frequency: Frequency = field(default_factory=Frequency)
    ride: RideThrough = field(default_factory=RideThrough)
    fleet: Fleet = field(default_factory=Fleet)
    ledger: Ledger = field(default_factory=Ledger)
    fast: Fast = field(default_factory=Fast)
    share: float = 0.0
    recovering: bool = True
    offset: Offset = field(default_factory=Offset)
    limit: Limit = field(default_factory=Limit)
    limited_s: float = -math.inf
    swing: Oscillation = field(default_factory=Oscillation)
    voltage: Voltage = field(default_factory=Voltage)
    pid: Pid = field(default_factory=Pid)
    target_w: float = 0.0
    idle_w: float = math.nan
    tokens: float = 0.0
    short_s: float = math.nan
    recall: Recall = field(default_factory=Recall)
    alarms: tuple[Alarm, ...] = ()
    accounted_s: float = math.inf
    noted_w: float = 0.0
    ticks: int = 0
    setpoints_sent: int = 0


@dataclass(frozen=True, slots=True)
class Clock:
    """The instant of this step, made safe: finite, never earlier than the last one.

    `day_s` is the UTC time of day, NaN while the clock is not disciplined.
    """

    now_s: float
    utc_s: float
    dt_s: float
    day_s: float


def initial_state(parameters: Parameters) -> State:
    """Return the state before the first step: nothing known, nothing ordered."""
    return State(parameters, tokens=parameters.message_budget_per_s)


def read_clock(state: State, now: Now) -> Clock:
    """Return the clock of this step."""
    first = not math.isfinite(state.clock_s)
    last_s = 0.0 if first else state.clock_s
    now_s = now.mono_s if math.isfinite(now.mono_s) else last_s
    if not first:
        now_s = max(now_s, last_s)
    utc_s = now.utc_s if math.isfinite(now.utc_s) else state.utc_s
    dt_s = 0.0 if first else min(now_s - last_s, MAX_DT_S)
    day_s = utc_s % 86_400.0 if now.clock_synchronised else math.nan
    return Clock(now_s, utc_s, dt_s, day_s)


def recalled(state: State, now_s: float) -> State:
    """Return a loaded state at its first step; leases of before a reboot are void."""
    saved_s = state.recall.saved_s
    if math.isnan(saved_s):
        if math.isfinite(state.recall.started_s):
            return state
        return replace(state, recall=Recall(started_s=now_s))
    recall = Recall(started_s=now_s, until_s=now_s + 1.0, latest_s=now_s + 3.0)
    if saved_s <= now_s:
        return replace(state, recall=recall)
    return replace(
        state, recall=recall, fleet=Fleet(), share=0.0, ledger=replace(state.ledger, orders=())
    )
