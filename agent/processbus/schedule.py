"""When the reports of a group are due, and when what they need has usually come."""

from __future__ import annotations

from typing import Final

from agent.estimation import Settings

SILENCE_S: Final = 0.015
"""Report without any sample when none has come this long after it was taken."""
RISE_S: Final = 0.0005
DECAY: Final = 0.02
"""At most so much more, or such a part less, is expected of the next arrival."""
MARGIN_S: Final = 0.0002
"""From the usual arrival of the newest sample to the look for it."""


class Schedule:
    """Numbers the reports since 1970 and knows the newest sample that each needs.

    Args:
        settings: Of the estimator.
        start: Index of the first sample on the grid.
    """

    def __init__(self, settings: Settings, start: int) -> None:
        self._rate_hz = settings.samples_per_second
        self._reports_per_s = settings.reports_per_second
        self._newest = [settings.newest_sample(n) for n in range(self._reports_per_s)]
        self._usual_delay_s = 0.0
        self._report = start // self._rate_hz * self._reports_per_s
        while self._newest_sample() < start:
            self._report += 1
        self.due = self._newest_sample()
        """Index of the newest sample that the next report needs."""

    def _newest_sample(self) -> int:
        second, within = divmod(self._report, self._reports_per_s)
        return second * self._rate_hz + self._newest[within]

    @property
    def due_s(self) -> float:
        """When that sample is taken, on the grid."""
        return self.due / self._rate_hz

    @property
    def expected_s(self) -> float:
        """When it usually has arrived, on the grid: one wake-up finds it there."""
        return self.due_s + self._usual_delay_s + MARGIN_S

    def advance(self) -> None:
        """Go on to the next report."""
        self._report += 1
        self.due = self._newest_sample()

    def learn(self, arrival_s: float) -> None:
        """Follow how long after it is taken the newest sample arrives.

        Up fast and down slowly: a wake-up that comes too early costs more than a late one. But a
        single frame that was held up must not make the next fifty reports wait as long.

        Args:
            arrival_s: Of the sample that is due, on the grid.
        """
        delay_s = min(max(arrival_s - self.due_s, 0.0), SILENCE_S)
        change_s = delay_s - self._usual_delay_s
        self._usual_delay_s += min(change_s, RISE_S) if change_s > 0 else DECAY * change_s
