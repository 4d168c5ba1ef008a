"""What a source said in the last half second, to compare sources at the same instant.

A stream is known 55 ms after the instant it describes, another IED's report perhaps 150 ms. While
the frequency moves by 1 Hz/s their newest values differ by 95 mHz, and neither is wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

Trail = tuple[tuple[float, float], ...]
"""(UTC seconds, Hz), oldest first."""

TRAIL_S: Final = 0.5
_MOST: Final = 64


def extended(trail: Trail, t_s: float, f_hz: float) -> Trail:
    """The trail with one more value; a clock that stepped back begins a new one."""
    if trail and not trail[-1][0] < t_s <= trail[-1][0] + TRAIL_S:
        trail = ()
    kept = [point for point in trail[-_MOST + 1 :] if point[0] > t_s - TRAIL_S]
    return (*kept, (t_s, f_hz))


def distance_hz(one: Trail, other: Trail) -> float:
    """How far two sources are apart: now, or at the newest instant that both have spoken of.

    The smaller counts. While the frequency moves, a slow source is right of an earlier instant.
    After it moved, one that speaks of its changes only (GOOSE) repeats the instant of the step,
    in the middle of which a window still averages both sides; then the newest values tell.
    """
    now_hz = abs(one[-1][1] - other[-1][1])
    late, early = (one, other) if one[-1][0] >= other[-1][0] else (other, one)
    t_s, early_hz = early[-1]
    if t_s < late[0][0]:
        return now_hz
    return min(now_hz, abs(_at(late, t_s) - early_hz))


def _at(trail: Trail, t_s: float) -> float:
    """Value at an instant within the trail."""
    after = bisect_left(trail, (t_s,))
    (t1_s, f1_hz) = trail[min(after, len(trail) - 1)]
    if after == 0 or t1_s <= t_s:
        return f1_hz
    t0_s, f0_hz = trail[after - 1]
    return f0_hz + (f1_hz - f0_hz) * (t_s - t0_s) / (t1_s - t0_s)
