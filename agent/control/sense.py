"""What the world says: stations, frequency, what the grid permits, who asks for what."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from agent.control.arbitration import Ledger, admit
from agent.control.fleet import Fleet
from agent.control.hearing import Heard, account, hear
from agent.control.interface import Inputs, Now
from agent.control.ride_through import RideThrough, advance, phases_pu
from agent.control.sources import Frequency, select
from agent.control.state import Clock, Recall, State
from agent.messages import Measurement, RequestOutcome

ACCOUNT_PERIOD_S = 0.2
ADOPTION_QUIET_S = 0.5
ADOPTION_LATEST_S = 2.0
ADOPTION_WITHIN_S = 30.0
"""An adoption ends when no station was adopted for the first, or after the second; none begins
later than the third after the start."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensed:
    """The world in this step.

    Attributes:
        report: The deciding measurement when it is new, else None.
        reachable: Stations can be told anything at all.
        answers: First outcomes of new requests.
        accounted_s: Until when the vehicles' energy is accounted.
        adopting: Vehicles are being found at work after a restart: nothing is dispatched yet.
    """

    fleet: Fleet
    heard: Heard
    frequency: Frequency
    report: Measurement | None
    ride: RideThrough
    reachable: bool
    ledger: Ledger
    answers: tuple[RequestOutcome, ...]
    recall: Recall
    adopting: bool
    accounted_s: float

    @property
    def f_hz(self) -> float:
        """The deciding frequency; NaN while it is lost."""
        return math.nan if self.frequency.lost else self.frequency.f_hz


def sense(state: State, inputs: Inputs, clock: Clock) -> Sensed:
    """Return the world after `inputs`."""
    p = state.parameters
    now = Now(clock.now_s, clock.utc_s)
    fleet, heard = hear(state.fleet, inputs.evses, inputs.results, now, p)
    frequency = select(state.frequency, inputs.measurements, clock.now_s, p)
    report = frequency.measurement if frequency.fresh else None
    ledger, answers = admit(
        state.ledger, inputs.requests, fleet.index, now_s=clock.now_s, utc_s=clock.utc_s, p=p
    )
    recall = _adoption(state.recall, heard, clock.now_s)
    since_s = clock.now_s - state.accounted_s
    due = since_s >= ACCOUNT_PERIOD_S
    return Sensed(
        fleet=account(fleet, since_s, p) if due else fleet,
        heard=heard,
        frequency=frequency,
        report=report,
        ride=advance(state.ride, report, inputs.digital, clock.now_s, p),
        reachable=not inputs.station_link_lost,
        ledger=ledger,
        answers=tuple(answers),
        recall=recall,
        adopting=clock.now_s < recall.until_s,
        accounted_s=clock.now_s if due or since_s < 0.0 else state.accounted_s,
    )


def mean_voltage_pu(sensed: Sensed, state: State) -> float:
    """Return the mean phase voltage of a new report; NaN without one."""
    if sensed.report is None:
        return math.nan
    phases = phases_pu(sensed.report, state.parameters)
    return sum(phases) / len(phases) if phases else math.nan


def _adoption(recall: Recall, heard: Heard, now_s: float) -> Recall:
    """Wait for the next station while vehicles at work are still being found.

    Only soon after the start: later no station can hold up the others.
    """
    if not heard.adopted.size or now_s - recall.started_s > ADOPTION_WITHIN_S:
        return recall
    latest_s = recall.latest_s if now_s < recall.until_s else now_s + ADOPTION_LATEST_S
    until_s = max(recall.until_s, now_s + ADOPTION_QUIET_S)
    return replace(recall, until_s=min(until_s, latest_s), latest_s=latest_s)
