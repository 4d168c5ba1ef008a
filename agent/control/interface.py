"""What goes into one `step` and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.messages import (
    Alarm,
    ControlRequest,
    DigitalInput,
    EvseStatus,
    EvseView,
    LoopView,
    Measurement,
    ModeOrder,
    OrderResult,
    RequestOutcome,
    Setpoint,
)


@dataclass(frozen=True, slots=True)
class Now:
    """The instant of a step.

    Attributes:
        mono_s: CLOCK_MONOTONIC; the only clock that a timer of the control knows.
        utc_s: UTC seconds since 1970, for data and departure times.
        clock_synchronised: NTP or PTP disciplines the UTC clock.
    """

    mono_s: float
    utc_s: float
    clock_synchronised: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Only what is new since the last step."""

    measurements: tuple[Measurement, ...] = ()
    digital: tuple[DigitalInput, ...] = ()
    evses: tuple[EvseStatus, ...] = ()
    results: tuple[OrderResult, ...] = ()
    requests: tuple[ControlRequest, ...] = ()
    station_link_lost: bool = False
    """The stations worker is gone: nothing can be delivered until it is back."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry for the audit: who did what, and why."""

    kind: str
    who: str
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one step decided.

    Attributes:
        setpoints: Orders to send now; empty when nothing changes.
        outcomes: News about requests.
        alarms: Those active now and those that this step cleared.
        loop: The loop's inside.
        evses: EVSEs whose status or order changed in this step.
        records: Decisions for the audit.
        next_wake_s: Monotonic instant at which the next step is due without any input.
        measurement: The frequency report that decided; None while there is none.
        modes: Curves for EVSEs that answer frequency by themselves, to send like setpoints.
        requests: Requests in force, the ruling ones first.
        settings: The droop settings in force.
    """

    setpoints: tuple[Setpoint, ...]
    outcomes: tuple[RequestOutcome, ...]
    alarms: tuple[Alarm, ...]
    loop: LoopView
    evses: tuple[EvseView, ...]
    records: tuple[Record, ...]
    next_wake_s: float
    measurement: Measurement | None = None
    modes: tuple[ModeOrder, ...] = ()
    requests: tuple[ControlRequest, ...] = ()
    settings: dict[str, float] = field(default_factory=dict)
