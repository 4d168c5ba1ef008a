"""Which frequency decides, and for how long it may decide without a successor.

Two of three sources must agree, each pair at the same instant; a frequency that moves faster than
a grid can is followed only as fast as a grid can; and when nothing usable comes, the last value
holds for 200 ms and no longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from agent.control.parameters import Parameters
from agent.control.trail import Trail, distance_hz, extended
from agent.messages import Measurement, Validity

USABLE: Final = (Validity.GOOD, Validity.QUESTIONABLE)
MAX_SOURCES: Final = 8
MEAN: Final = "mean of the sources"


@dataclass(frozen=True, slots=True)
class Report:
    """The last usable report of one source, and the monotonic instant it stands for."""

    measurement: Measurement
    known_s: float
    trail: Trail = ()


@dataclass(frozen=True, slots=True)
class Frequency:
    """The frequency as the control knows it.

    Attributes:
        reports: Last usable report of each source.
        measurement: The one that decides; None before the first.
        f_hz: The deciding frequency, moved no faster than `max_rocof_hz_s`.
        known_s: Monotonic instant until which the frequency was known.
        fresh: The deciding report is new in this step.
        disagree_s: Since when no majority agrees; NaN while one does.
        strays: Sources that a majority contradicts, each with the instant since when.
        lost: Nothing usable came for longer than the hold time.
    """

    reports: tuple[Report, ...] = ()
    measurement: Measurement | None = None
    f_hz: float = math.nan
    known_s: float = -math.inf
    fresh: bool = False
    disagree_s: float = math.nan
    strays: tuple[tuple[str, float], ...] = ()
    lost: bool = True

    def disagreed(self, now_s: float, p: Parameters) -> bool:
        """The sources have contradicted each other for longer than allowed."""
        return now_s - self.disagree_s > p.disagree_s or bool(self.set_aside(now_s, p))

    def set_aside(self, now_s: float, p: Parameters) -> tuple[str, ...]:
        """Sources that a majority has contradicted for longer than allowed."""
        return tuple(name for name, since_s in self.strays if now_s - since_s > p.disagree_s)


def select(
    frequency: Frequency, news: Sequence[Measurement], now_s: float, p: Parameters
) -> Frequency:
    """Return the frequency after `news`."""
    frequency = replace(frequency, reports=_latest(frequency.reports, news, now_s, p), fresh=False)
    alive = [r for r in frequency.reports if now_s - r.known_s <= p.hold_s]
    chosen = _vote(alive, frequency.measurement, p)
    if chosen is None and len(alive) > 1:
        since_s = now_s if math.isnan(frequency.disagree_s) else frequency.disagree_s
        frequency = replace(frequency, disagree_s=since_s)
        if now_s - since_s <= p.disagree_s:
            chosen = _deciding(alive, frequency.measurement)
        else:
            chosen = _settled(alive, frequency.measurement, p)
    elif chosen is not None:
        strays = _strays(alive, chosen, frequency.strays, now_s, p)
        frequency = replace(frequency, disagree_s=math.nan, strays=strays)
    if chosen is not None and chosen.measurement is not frequency.measurement:
        frequency = _adopt(frequency, chosen, p)
    return replace(frequency, lost=now_s - frequency.known_s > p.hold_s)


def is_usable(report: Measurement, p: Parameters) -> bool:
    """A report may decide when it is finite, possible and certain enough."""
    return (
        report.quality in USABLE
        and 0.5 * p.nominal_hz < report.f_hz < 1.5 * p.nominal_hz
        and 0.0 <= report.uncertainty_hz <= p.max_uncertainty_hz
    )


def _latest(
    reports: tuple[Report, ...], news: Sequence[Measurement], now_s: float, p: Parameters
) -> tuple[Report, ...]:
    usable = [report for report in news if is_usable(report, p)]
    if not usable:
        return reports
    latest = {report.measurement.source: report for report in reports}
    for measurement in usable:
        at_s = measurement.published_s
        known_s = min(at_s, now_s) if math.isfinite(at_s) else now_s
        before = latest.get(measurement.source)
        if before is None or known_s >= before.known_s:
            trail = () if before is None else before.trail
            trail = extended(trail, measurement.t_utc_s, measurement.f_hz)
            latest[measurement.source] = Report(measurement, known_s, trail)
    return tuple(sorted(latest.values(), key=lambda r: -r.known_s)[:MAX_SOURCES])


def _vote(alive: list[Report], deciding: Measurement | None, p: Parameters) -> Report | None:
    """Return the source to follow: of the largest group that agrees, the one followed before."""
    groups = [[other for other in alive if _agree(other, one, p)] for one in alive]
    best = max(groups, key=len, default=[])
    if 2 * len(best) <= len(alive):
        return None
    return _deciding(best, deciding)


def _strays(
    alive: list[Report],
    chosen: Report,
    before: tuple[tuple[str, float], ...],
    now_s: float,
    p: Parameters,
) -> tuple[tuple[str, float], ...]:
    """Those that do not agree with the one that decides, and since when."""
    if len(alive) < 2:
        return ()
    since = dict(before)
    apart = (r.measurement.source for r in alive if not _agree(r, chosen, p))
    return tuple((name, since.get(name, now_s)) for name in apart)


def _settled(alive: list[Report], deciding: Measurement | None, p: Parameters) -> Report | None:
    """What stands in where no majority agrees, as `control.disagreement` says."""
    if p.disagreement == "nearest-nominal":
        return min(alive, key=lambda report: abs(report.measurement.f_hz - p.nominal_hz))
    return _mean(alive, deciding) if p.disagreement == "mean" else None


def _mean(alive: list[Report], deciding: Measurement | None) -> Report:
    """The mean of all, known since the newest of them; the same again while nothing is new."""
    newest = max(alive, key=lambda report: report.known_s)
    f_hz = sum(report.measurement.f_hz for report in alive) / len(alive)
    if (
        deciding is not None
        and deciding.source == MEAN
        and (deciding.f_hz, deciding.published_s) == (f_hz, newest.measurement.published_s)
    ):
        return Report(deciding, newest.known_s)
    measurement = msgspec.structs.replace(
        newest.measurement, source=MEAN, f_hz=f_hz, quality=Validity.QUESTIONABLE
    )
    return Report(measurement, newest.known_s)


def _agree(one: Report, other: Report, p: Parameters) -> bool:
    return distance_hz(one.trail, other.trail) <= p.disagree_hz


def _deciding(reports: list[Report], deciding: Measurement | None) -> Report | None:
    """Return the report of the source that decided last, or of the first by name."""
    name = deciding.source if deciding else ""
    same = (report for report in reports if report.measurement.source == name)
    by_name = min(reports, key=lambda report: report.measurement.source, default=None)
    return next(same, by_name)


def _adopt(frequency: Frequency, chosen: Report, p: Parameters) -> Frequency:
    f_hz = chosen.measurement.f_hz
    if not frequency.lost and chosen.known_s >= frequency.known_s:
        reach_hz = p.max_rocof_hz_s * (chosen.known_s - frequency.known_s)
        f_hz = min(max(f_hz, frequency.f_hz - reach_hz), frequency.f_hz + reach_hz)
    return replace(
        frequency,
        measurement=chosen.measurement,
        f_hz=f_hz,
        known_s=max(chosen.known_s, frequency.known_s),
        fresh=True,
    )
