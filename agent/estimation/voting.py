r"""Which frequency to believe when several sources measure it. Pure: state in, state out.

Sources are sampled-value streams, GOOSE Hz, a meter, another IED's report. Each is first judged
alone (quality, age, announced anomalies, plausible ROCOF), then against the others: the median
of the plausible ones is the answer, and whoever stays away from it by more than 20 mHz for 200 ms
is set aside. Two sources that disagree cannot be told apart; then the configured behaviour
decides, and the alarm is raised in either case.

A frequency that moves faster than 4 Hz/s is believed only if the voltage's phase moves with it:
over the same time the phase must advance by 2π∫f dt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise
from statistics import median
from typing import Final, Literal

from agent.estimation.estimates import Quality

Behaviour = Literal["hold", "nearest-nominal", "mean"]

PHASE_MATCH_RAD: Final = 0.06
"""Half the phase by which 4 Hz/s bends in ``ROCOF_SPAN_S``: 2π · ½ · 4 · 0.1² / 2."""

ROCOF_SPAN_S: Final = 0.1

TRAIL_S: Final = 0.5
"""Sources are compared at one instant where the slowest is no older than this."""


class Suspicion(Enum):
    """Why a source is set aside."""

    MAC_CHANGED = "a second source MAC appeared"
    RATE_JUMPED = "the arrival rate jumped"
    ROCOF = "faster than its phase"
    DISAGREES = "away from the median"


@dataclass(frozen=True, slots=True)
class Reading:
    """The latest from one source.

    Attributes:
        f_hz: Frequency.
        quality: The source's own judgement.
        instant_s: When it was true, on the source's clock.
        arrived_s: When it arrived, on the monotonic clock.
        phase_rad: Positive-sequence phase at the instant; None where the source has none.
        mac_changed: Frames of this source came from a second MAC address.
        rate_jumped: Its frames arrive at another rate than before.
    """

    f_hz: float
    quality: Quality
    instant_s: float
    arrived_s: float
    phase_rad: float | None = None
    mac_changed: bool = False
    rate_jumped: bool = False


@dataclass(frozen=True, slots=True)
class VotingSettings:
    """Limits of the vote.

    Attributes:
        nominal_hz: 50 or 60.
        disagreement_hz: Distance between sources that matters.
        disagreement_s: How long it must last.
        rocof_hz_s: Fastest change believed without a phase.
        oldest_s: Age at which a reading no longer counts.
        hold_s: How long the last agreed frequency stands in.
        reinstate_s: How long a source must behave before it counts again.
        behaviour: What two disagreeing sources yield: the last agreed frequency, the one that
            asks for less power, or their mean.
    """

    nominal_hz: float
    disagreement_hz: float = 0.020
    disagreement_s: float = 0.2
    rocof_hz_s: float = 4.0
    oldest_s: float = 0.2
    hold_s: float = 0.2
    reinstate_s: float = 10.0
    behaviour: Behaviour = "hold"


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of one source.

    Attributes:
        history: Its readings over the last ``ROCOF_SPAN_S``, oldest first.
        trail: Instants and frequencies over the last ``TRAIL_S``, oldest first.
        away_since_s: Since when it has been away from the others; None while it is not.
        suspicion: Why it is set aside; None while it counts.
        suspected_s: When it last gave reason to.
    """

    history: tuple[Reading, ...] = ()
    trail: tuple[tuple[float, float], ...] = ()
    away_since_s: float | None = None
    suspicion: Suspicion | None = None
    suspected_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class VotingState:
    """Carried from step to step; start from an empty one."""

    sources: Mapping[str, SourceState] = field(default_factory=dict)
    agreed_hz: float | None = None
    """The frequency when sources last agreed, or the only one there was."""
    believed_s: float = -math.inf
    """When the vote last rested on sources rather than on ``agreed_hz``."""


@dataclass(frozen=True, slots=True)
class Vote:
    """The outcome.

    Attributes:
        f_hz: The frequency to use; None if there never was one.
        quality: Of that frequency; INVALID means that it is not to be used.
        sources: Names of the sources that stand behind it.
        set_aside: Sources that do not count, and why.
        disagreement: Alarm 0x16: sources have disagreed for longer than allowed.
    """

    f_hz: float | None
    quality: Quality
    sources: tuple[str, ...]
    set_aside: Mapping[str, Suspicion]
    disagreement: bool


def step(
    settings: VotingSettings, state: VotingState, readings: Mapping[str, Reading], now_s: float
) -> tuple[VotingState, Vote]:
    """Judge the newest reading of every source.

    Args:
        settings: Limits.
        state: From the step before.
        readings: Newest reading of each source, by name; repeat it until there is a newer one.
        now_s: Monotonic time.

    Returns:
        The state for the next step, and the vote.
    """
    sources = {
        name: judged_alone(settings, state.sources.get(name, SourceState()), reading, now_s)
        for name, reading in readings.items()
    }
    present = at_one_instant(sources, usable(settings, readings, now_s))
    electorate = {n: r for n, r in present.items() if sources[n].suspicion is None}
    if len(electorate) > 2:
        middle_hz = median(reading.f_hz for reading in electorate.values())
        sources |= judged_together(settings, sources, electorate, middle_hz, now_s)
        electorate = {n: r for n, r in electorate.items() if sources[n].suspicion is None}
    sources = reinstated(settings, sources, present, electorate, now_s)
    sources, apart, split = watched_pair(settings, sources, electorate, now_s)

    set_aside = {name: s.suspicion for name, s in sources.items() if s.suspicion is not None}
    disagreement = split or Suspicion.DISAGREES in set_aside.values()
    newest = {name: readings[name] for name in electorate}
    f_hz, quality = outcome(settings, state, newest, split, now_s)
    believed = bool(electorate) and not split
    next_state = VotingState(
        sources=sources,
        agreed_hz=f_hz if believed and not apart else state.agreed_hz,
        believed_s=now_s if believed else state.believed_s,
    )
    return next_state, Vote(f_hz, quality, tuple(electorate), set_aside, disagreement)


def usable(
    settings: VotingSettings, readings: Mapping[str, Reading], now_s: float
) -> dict[str, Reading]:
    """Recent readings that were measured; where there are none, those that are held."""
    recent = {n: r for n, r in readings.items() if now_s - r.arrived_s <= settings.oldest_s}
    measured = {name: r for name, r in recent.items() if r.quality < Quality.HELD}
    return measured or {name: r for name, r in recent.items() if r.quality == Quality.HELD}


def at_one_instant(
    sources: Mapping[str, SourceState], readings: Mapping[str, Reading]
) -> dict[str, Reading]:
    """The readings with the frequency that each source had at the oldest instant among them.

    A stream is known sooner than a GOOSE or a report of the same instant: while the frequency
    moves, newest values differ and nobody is wrong. A source whose clock is far behind, or that
    has only begun, keeps its newest value.
    """
    newest_s = max((r.instant_s for r in readings.values()), default=0.0)
    near = [r.instant_s for r in readings.values() if newest_s - r.instant_s <= TRAIL_S]
    at_s = min(near, default=0.0)
    if at_s == newest_s:
        return dict(readings)
    return {
        name: replace(reading, f_hz=frequency_at(sources[name].trail, at_s, reading.f_hz))
        for name, reading in readings.items()
    }


def frequency_at(trail: Sequence[tuple[float, float]], at_s: float, otherwise_hz: float) -> float:
    """Frequency of a trail at an instant within it."""
    for (t0_s, f0_hz), (t1_s, f1_hz) in pairwise(trail):
        if t0_s <= at_s < t1_s:
            return f0_hz + (f1_hz - f0_hz) * (at_s - t0_s) / (t1_s - t0_s)
    return otherwise_hz


def judged_alone(
    settings: VotingSettings, source: SourceState, reading: Reading, now_s: float
) -> SourceState:
    """Take a reading into a source's history and look for reasons to doubt it."""
    is_new = not source.history or reading.instant_s != source.history[-1].instant_s
    if is_new:
        start_s = reading.instant_s - ROCOF_SPAN_S
        recent = tuple(r for r in source.history if start_s <= r.instant_s < reading.instant_s)
        begin_s = reading.instant_s - TRAIL_S
        trail = tuple(p for p in source.trail if begin_s <= p[0] < reading.instant_s)
        source = replace(
            source,
            history=(*(recent or source.history[-1:]), reading),
            trail=(*trail, (reading.instant_s, reading.f_hz)),
        )
    suspicion = (
        Suspicion.MAC_CHANGED
        if reading.mac_changed
        else Suspicion.RATE_JUMPED
        if reading.rate_jumped
        else Suspicion.ROCOF
        if is_new and implausibly_fast(settings, source.history)
        else None
    )
    if suspicion is None:
        return source
    return replace(source, suspicion=suspicion, suspected_s=now_s)


def implausibly_fast(settings: VotingSettings, history: Sequence[Reading]) -> bool:
    """Whether the frequency moved faster than allowed, and its phase did not."""
    first, last = history[0], history[-1]
    elapsed_s = last.instant_s - first.instant_s
    if elapsed_s <= 0 or abs(last.f_hz - first.f_hz) <= settings.rocof_hz_s * elapsed_s:
        return False
    if first.phase_rad is None or last.phase_rad is None:
        return True
    advance_rad = 2 * math.pi * mean_turns(history)
    mismatch_rad = math.remainder(last.phase_rad - first.phase_rad - advance_rad, 2 * math.pi)
    return abs(mismatch_rad) > PHASE_MATCH_RAD


def mean_turns(history: Sequence[Reading]) -> float:
    """∫f dt over the history, in turns."""
    return sum((a.f_hz + b.f_hz) / 2 * (b.instant_s - a.instant_s) for a, b in pairwise(history))


def judged_together(
    settings: VotingSettings,
    sources: Mapping[str, SourceState],
    electorate: Mapping[str, Reading],
    middle_hz: float,
    now_s: float,
) -> dict[str, SourceState]:
    """Set aside whoever has been away from the median for too long."""
    judged = {}
    for name, reading in electorate.items():
        source = sources[name]
        if abs(reading.f_hz - middle_hz) <= settings.disagreement_hz:
            judged[name] = replace(source, away_since_s=None)
            continue
        since_s = now_s if source.away_since_s is None else source.away_since_s
        lasting = now_s - since_s >= settings.disagreement_s
        judged[name] = replace(
            source,
            away_since_s=since_s,
            suspicion=Suspicion.DISAGREES if lasting else None,
            suspected_s=now_s if lasting else source.suspected_s,
        )
    return judged


def reinstated(
    settings: VotingSettings,
    sources: Mapping[str, SourceState],
    present: Mapping[str, Reading],
    electorate: Mapping[str, Reading],
    now_s: float,
) -> dict[str, SourceState]:
    """Let a source count again once it has agreed with the others for long enough.

    Where no other source counts there is nobody to disagree with, and time alone decides.
    """
    middle_hz = median(r.f_hz for r in electorate.values()) if electorate else None
    result = dict(sources)
    for name, source in sources.items():
        if source.suspicion is None:
            continue
        reading = present.get(name)
        behaves = reading is not None and (
            middle_hz is None or abs(reading.f_hz - middle_hz) <= settings.disagreement_hz
        )
        if not behaves:
            result[name] = replace(source, suspected_s=now_s)
        elif now_s - source.suspected_s >= settings.reinstate_s:
            result[name] = replace(source, suspicion=None, away_since_s=None)
    return result


def watched_pair(
    settings: VotingSettings,
    sources: Mapping[str, SourceState],
    electorate: Mapping[str, Reading],
    now_s: float,
) -> tuple[dict[str, SourceState], bool, bool]:
    """Whether exactly two sources are left and disagree, and whether for too long."""
    result = dict(sources)
    if len(electorate) != 2:
        return result, False, False
    (one, first), (other, second) = electorate.items()
    apart = abs(first.f_hz - second.f_hz) > settings.disagreement_hz
    began = [s for s in (sources[one].away_since_s, sources[other].away_since_s) if s is not None]
    since_s = min(began, default=now_s) if apart else None
    for name in electorate:
        result[name] = replace(sources[name], away_since_s=since_s)
    return result, apart, since_s is not None and now_s - since_s >= settings.disagreement_s


def outcome(
    settings: VotingSettings,
    state: VotingState,
    electorate: Mapping[str, Reading],
    split: bool,
    now_s: float,
) -> tuple[float | None, Quality]:
    """The frequency and its quality."""
    frequencies_hz = [reading.f_hz for reading in electorate.values()]
    if not frequencies_hz or (split and settings.behaviour == "hold"):
        if state.agreed_hz is None:
            return None, Quality.INVALID
        held = now_s - state.believed_s <= settings.hold_s
        return state.agreed_hz, Quality.HELD if held else Quality.INVALID
    quality = Quality(max(reading.quality for reading in electorate.values()))
    if not split:
        return median(frequencies_hz), quality
    if settings.behaviour == "nearest-nominal":
        nearest_hz = min(frequencies_hz, key=lambda f_hz: abs(f_hz - settings.nominal_hz))
        return nearest_hz, Quality.QUESTIONABLE
    return sum(frequencies_hz) / len(frequencies_hz), Quality.QUESTIONABLE
