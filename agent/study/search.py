"""Which share of vehicles holds a limit, and which latency breaks it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.study.answers import Answers
from agent.study.cases import Case
from agent.study.grid import Floats
from agent.study.results import solve
from agent.study.spec import LimitSection, Study

POINTS: Final = 17
ROUNDS: Final = 2
SHARES: Final = (0.0, 0.5)
DELAYS_S: Final = (0.02, 10.0)


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search.

    Attributes:
        value: The smallest share that holds the limit, or the largest mean delay that does; NaN
            where none in the bounds does.
        resolution: Distance to the nearest value that was seen on the other side.
        tried: Values. `holds`: whether each held; shapes (n,).
    """

    value: float
    resolution: float
    tried: Floats
    holds: NDArray[np.bool_]


def holds(answers: Answers, limit: LimitSection) -> NDArray[np.bool_]:
    """Return which cases are stable and keep every limit, shape (B,)."""
    kept = answers["stable"] > 0.0
    if limit.nadir_hz is not None:
        kept &= answers["nadir_hz"] >= limit.nadir_hz
    if limit.zenith_hz is not None:
        kept &= answers["zenith_hz"] <= limit.zenith_hz
    if limit.rocof_hz_s is not None:
        kept &= np.abs(answers["rocof_hz_s"]) <= limit.rocof_hz_s
    result: NDArray[np.bool_] = kept
    return result


def share_that_holds(study: Study) -> Found:
    """Return the smallest share of the system's power in vehicles that keeps the limits."""
    bounds = study.limit.search_share or SHARES
    return _search(study, bounds, lambda value: Case(share=value), smallest=True)


def delay_that_breaks(study: Study) -> Found:
    """Return the largest mean delay of the vehicles at which the limits still hold."""
    bounds = study.limit.search_delay_s or DELAYS_S
    return _search(study, bounds, lambda value: Case(delay_s=value), smallest=False)


def _search(
    study: Study, bounds: tuple[float, float], case: Callable[[float], Case], *, smallest: bool
) -> Found:
    """Try a row of values, then rows between the last two neighbours of different answers.

    The side asked for is walked from its far end, so that a share that holds again beyond a gap
    of instability is not taken for one that holds.
    """
    low, high = bounds
    tried, kept = np.zeros(0), np.zeros(0, dtype=np.bool_)
    value, other = math.nan, math.nan
    for _ in range(ROUNDS):
        row = np.linspace(low, high, POINTS)
        held = holds(solve(study, [case(v) for v in row.tolist()]), study.limit)
        tried, kept = np.append(tried, row), np.append(kept, held)
        walk = np.arange(POINTS)[::-1] if smallest else np.arange(POINTS)
        run = np.logical_and.accumulate(held[walk])
        if not run[0]:
            break
        last = int(walk[int(run.sum()) - 1])
        value = float(row[last])
        if run.all():
            other = value
            break
        other = float(row[last - 1] if smallest else row[last + 1])
        low, high = min(value, other), max(value, other)
    order = np.argsort(tried)
    return Found(value, abs(value - other), tried[order], kept[order])
