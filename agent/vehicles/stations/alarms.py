"""Alarms of this worker: raised once, cleared when their cause has not come back for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agent.errors import AlarmCode, HandshakeTimeoutError
from agent.messages import Alarm
from agent.vehicles.stations.instant import Instant

CLEAR_S: Final = 60.0
_ADVICE: Final = "Check the station's network, its security profile, certificate and URL."


@dataclass(slots=True)
class HandshakeAlarm:
    """Alarm 0x22: names the last peer and stage, whoever it is, under one source.

    One source for all peers: a port scan must not fill the alarm list.
    """

    tell: Callable[[Alarm], None]
    count: int = 0
    _text: str = ""
    _since: Instant = field(default_factory=lambda: Instant(0.0, 0.0))
    _last_s: float = 0.0

    def timed_out(self, error: HandshakeTimeoutError, at: Instant) -> None:
        """A handshake did not end in time."""
        self.count += 1
        if not self._text:
            self._since = at
        self._text, self._last_s = str(error), at.mono_s
        self._send(active=True)

    def expire(self, now_s: float) -> None:
        """Clear the alarm when no handshake has failed for a while."""
        if self._text and now_s - self._last_s > CLEAR_S:
            self._send(active=False)
            self._text = ""

    def restate(self) -> None:
        """Tell a control that is new."""
        if self._text:
            self._send(active=True)

    def _send(self, *, active: bool) -> None:
        self.tell(
            Alarm(
                AlarmCode.HANDSHAKE_TIMEOUT,
                active=active,
                source="stations",
                text=self._text,
                advice=_ADVICE,
                since_utc_s=self._since.utc_s,
            )
        )
