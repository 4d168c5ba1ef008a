"""The active alarms, from every part of the gateway, with what to do about each."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from agent.errors import AlarmCode
from agent.messages import Alarm


class AlarmBoard:
    """Alarms by code and source; one that is active stays until its source clears it."""

    def __init__(self) -> None:
        self._active: dict[tuple[AlarmCode, str], Alarm] = {}

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Alarms that hold now, oldest first."""
        return tuple(self._active.values())

    def update(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Take new states; return those that changed (raised or cleared)."""
        return [alarm for alarm in alarms if self._take(alarm)]

    def set(
        self, code: AlarmCode, source: str, active: bool, utc_s: float, text: str, advice: str
    ) -> Alarm | None:
        """Raise or clear one alarm of the daemon itself; return it when it changed."""
        alarm = Alarm(code, active, source, text, advice, utc_s)
        return alarm if self._take(alarm) else None

    def acknowledge(self, code: AlarmCode | None, source: str) -> list[Alarm]:
        """Mark alarms as seen; return those that were not before.

        Args:
            code: With this code only; None for any.
            source: Of this source only; empty for any.
        """
        seen = [
            alarm
            for alarm in self._active.values()
            if not alarm.acknowledged
            and code in (None, alarm.code)
            and source in ("", alarm.source)
        ]
        for alarm in seen:
            self._active[alarm.code, alarm.source] = replace(alarm, acknowledged=True)
        return seen

    def _take(self, alarm: Alarm) -> bool:
        identity = (alarm.code, alarm.source)
        known = self._active.get(identity)
        if alarm.active:
            self._active[identity] = known or alarm
            return known is None
        return self._active.pop(identity, None) is not None
