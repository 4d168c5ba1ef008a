"""Sources of this bus against each other: who contradicts the others counts no longer.

The control compares all sources once more, also those of other processes; here a source is
judged with what only this process knows, its phase.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agent.errors import AlarmCode
from agent.estimation import Quality
from agent.estimation.voting import Reading, VotingSettings, VotingState, step
from agent.messages import Alarm, Measurement, Message, Validity

MOST_SOURCES: Final = 8
"""More sources than a gateway can sensibly have; a monitor of a whole station does not vote."""
_QUALITY: Final = {
    Validity.GOOD: Quality.GOOD,
    Validity.QUESTIONABLE: Quality.QUESTIONABLE,
    Validity.HELD: Quality.HELD,
    Validity.INVALID: Quality.INVALID,
}


@dataclass(slots=True)
class SourceVote:
    """Judges every measurement; a single source is never judged.

    Attributes:
        settings: Limits of the vote.
    """

    settings: VotingSettings
    _state: VotingState = field(default_factory=VotingState)
    _readings: dict[str, Reading] = field(default_factory=dict)
    _suspects: dict[str, float] = field(default_factory=dict)
    _forget_s: float = -math.inf

    def judge(self, together: Collection[Measurement]) -> Iterator[Message]:
        """Yield measurements, `invalid` if their source is set aside, and alarms that change.

        Args:
            together: What became known at once, at most one of each source.
        """
        newest = max(together, key=lambda m: m.published_s, default=None)
        if newest is None or len(together) > MOST_SOURCES:
            yield from together
            return
        now_s = newest.published_s
        for message in together:
            self._readings[message.source] = Reading(
                f_hz=message.f_hz,
                quality=_QUALITY[message.quality],
                instant_s=message.t_utc_s,
                arrived_s=message.published_s,
                phase_rad=message.v1_phase_rad,
            )
        if now_s >= self._forget_s:
            self._forget_s = now_s + self.settings.oldest_s
            self._forget(now_s)
        if not 2 <= len(self._readings) <= MOST_SOURCES:
            yield from together
            return
        self._state, vote = step(self.settings, self._state, self._readings, now_s)
        for message in together:
            # Of two that contradict each other neither is the liar for certain: control decides.
            if message.source in vote.set_aside and vote.sources:
                yield msgspec.structs.replace(message, quality=Validity.INVALID)
            else:
                yield message
        reasons = {n: suspicion.value for n, suspicion in vote.set_aside.items()}
        yield from self._alarms(reasons, newest.t_utc_s)

    def _forget(self, now_s: float) -> None:
        oldest_s = now_s - self.settings.oldest_s
        self._readings = {n: r for n, r in self._readings.items() if r.arrived_s >= oldest_s}

    def _alarms(self, reasons: dict[str, str], utc_s: float) -> Iterator[Alarm]:
        for name in reasons.keys() - self._suspects.keys():
            self._suspects[name] = utc_s
            yield self._alarm(name, f"{name} is set aside: {reasons[name]}", True)
        for name in self._suspects.keys() - reasons.keys():
            yield self._alarm(name, f"{name} counts again", False)
            del self._suspects[name]

    def _alarm(self, name: str, text: str, active: bool) -> Alarm:
        return Alarm(
            code=AlarmCode.FREQUENCY_SOURCES_DISAGREE,
            active=active,
            source=name,
            text=text,
            advice="compare the sources of frequency; look for a forged stream or a faulty unit",
            since_utc_s=self._suspects[name],
        )
