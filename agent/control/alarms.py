"""Which conditions someone must know of."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from agent.errors import AlarmCode
from agent.messages import Alarm


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong now, and what to do about it."""

    code: AlarmCode
    source: str
    text: str
    advice: str


def update(
    active: tuple[Alarm, ...], conditions: list[Condition], utc_s: float
) -> tuple[tuple[Alarm, ...], tuple[Alarm, ...]]:
    """Return the alarms active now, and those that ended; a lasting one keeps its first time."""
    known = {(alarm.code, alarm.source): alarm for alarm in active}
    now = {(item.code, item.source): item for item in conditions}
    fresh = tuple(
        known.get(key) or Alarm(item.code, True, item.source, item.text, item.advice, utc_s)
        for key, item in now.items()
    )
    ended = tuple(
        msgspec.structs.replace(alarm, active=False)
        for key, alarm in known.items()
        if key not in now
    )
    return fresh, ended
