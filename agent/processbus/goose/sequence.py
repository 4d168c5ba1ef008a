"""stNum and sqNum of one publisher, against loss, restart, replay and forgery.

IEC 62351-6:2020 lets a subscriber discard what its counters and its time have overtaken. A message
is taken at once only if it continues what was taken before: a repetition of the same state, or
the next state with a newer time. Everything else may be a publisher that restarted, a stretch of
lost messages, or an attacker, and waits in quarantine until one explanation is left: the sequence
that was followed has fallen silent for its whole time to live, and the other one has repeated
itself with newer times than anything seen before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.processbus.goose.pdu import COUNTER_LIMIT, GooseMessage

SHORTEST_REPETITION_S: Final = 0.0005
"""No publisher repeats faster; bounds how far sqNum can have come."""
CONFIRMATIONS: Final = 2
"""Messages of a quarantined sequence, after its first, before it is followed."""
SKEW_S: Final = 10.0
"""How far in the future a time may lie: two clocks, both synchronised at some time."""


class Verdict(StrEnum):
    """What to do with a message."""

    NEW_STATE = "new state"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"
    REPLAYED = "replayed"
    INCONSISTENT = "inconsistent"
    QUARANTINED = "quarantined"
    FUTURE = "future"

    @property
    def taken(self) -> bool:
        """Whether the message's values are the publisher's values now."""
        return self in (Verdict.NEW_STATE, Verdict.REPEATED)


@dataclass(slots=True)
class _Followed:
    """The newest message of a sequence."""

    message: GooseMessage
    arrival_s: float
    end_s: float
    messages: int = 1

    def continues(self, message: GooseMessage, now_s: float) -> bool:
        """Whether a message repeats this state, later than what came before."""
        ahead = (message.sq_num - self.message.sq_num) % COUNTER_LIMIT
        most = 2 + (now_s - self.arrival_s) / SHORTEST_REPETITION_S
        return self.same_state(message) and 0 < ahead <= most

    def same_state(self, message: GooseMessage) -> bool:
        """Whether a message says the same as this one but for sqNum."""
        mine = self.message
        return (
            message.st_num == mine.st_num and message.t == mine.t and message.values == mine.values
        )

    def precedes(self, message: GooseMessage) -> bool:
        """Whether a message is the next state."""
        mine = self.message
        following = mine.st_num + 1 if mine.st_num + 1 < COUNTER_LIMIT else 1
        return message.st_num == following and message.t.t_utc_ns > mine.t.t_utc_ns

    def take(self, message: GooseMessage, now_s: float, live_s: float) -> None:
        self.message, self.arrival_s, self.end_s = message, now_s, now_s + live_s
        self.messages += 1


@dataclass(slots=True)
class Sequence:
    """Judges the messages of one subscription by their counters and times.

    Attributes:
        newest_t_ns: Newest event time ever taken; nothing older becomes a new state.
        conflict_until_s: While two sequences are both alive, when to look again.
    """

    newest_t_ns: int = 0
    conflict_until_s: float = -math.inf
    _current: _Followed | None = field(default=None)
    _previous: _Followed | None = field(default=None)
    _candidate: _Followed | None = field(default=None)

    @property
    def message(self) -> GooseMessage | None:
        """The newest message taken."""
        return self._current.message if self._current else None

    @property
    def confirmed(self) -> bool:
        """Whether the sequence that is followed has more than its first message."""
        return self._current is not None and self._current.messages > 1

    @property
    def end_s(self) -> float:
        """When the newest message taken stops being valid; infinity without one."""
        return self._current.end_s if self._current else math.inf

    def alive(self, now_s: float) -> bool:
        """Whether the newest message taken is still allowed to live."""
        return self._current is not None and now_s < self._current.end_s

    def judge(
        self, message: GooseMessage, now_s: float, live_s: float, utc_ns: int | None
    ) -> Verdict:
        """Return what a message is, and follow it if it continues the sequence.

        Args:
            message: It has passed every check that needs no memory.
            now_s: Monotonic time of its arrival.
            live_s: How long it may live.
            utc_ns: UTC now, None while this machine's clock is not to be trusted.
        """
        if utc_ns is not None and message.t.t_utc_ns > utc_ns + SKEW_S * 1e9:
            return Verdict.FUTURE
        current = self._current
        if current is None:
            return self._follow(_Followed(message, now_s, now_s + live_s), Verdict.NEW_STATE)
        if current.same_state(message):
            return self._repeat(current, message, now_s, live_s)
        if self._contradicts(message, now_s, live_s):
            return Verdict.REPLAYED
        if current.precedes(message):
            followed = _Followed(message, now_s, now_s + live_s, current.messages + 1)
            return self._follow(followed, Verdict.NEW_STATE)
        return self._suspect(current, message, now_s, live_s)

    def _repeat(
        self, current: _Followed, message: GooseMessage, now_s: float, live_s: float
    ) -> Verdict:
        if current.continues(message, now_s):
            current.take(message, now_s, live_s)
            self._candidate = None
            return Verdict.REPEATED
        ahead = (message.sq_num - current.message.sq_num) % COUNTER_LIMIT
        return Verdict.DUPLICATE if ahead == 0 else Verdict.REPLAYED

    def _contradicts(self, message: GooseMessage, now_s: float, live_s: float) -> bool:
        """Whether the sequence before the current state goes on as if nothing had happened."""
        previous = self._previous
        if previous is None or not previous.continues(message, now_s):
            return False
        previous.take(message, now_s, live_s)
        self.conflict_until_s = now_s + live_s
        return True

    def _suspect(
        self, current: _Followed, message: GooseMessage, now_s: float, live_s: float
    ) -> Verdict:
        """Let another sequence prove itself; it may take over when the current one is silent."""
        if message.t.t_utc_ns <= self.newest_t_ns:
            return Verdict.REPLAYED
        silent = now_s >= current.end_s
        if message.st_num == current.message.st_num and not silent:
            return Verdict.INCONSISTENT
        candidate = self._candidate
        if candidate is not None and candidate.continues(message, now_s):
            candidate.take(message, now_s, live_s)
        elif candidate is not None and candidate.precedes(message):
            self._candidate = _Followed(message, now_s, now_s + live_s, candidate.messages + 1)
        else:
            self._candidate = _Followed(message, now_s, now_s + live_s)
        candidate = self._candidate
        if candidate is not None and silent and candidate.messages > CONFIRMATIONS:
            return self._follow(candidate, Verdict.NEW_STATE)
        return Verdict.QUARANTINED

    def _follow(self, followed: _Followed, verdict: Verdict) -> Verdict:
        self._previous, self._current, self._candidate = self._current, followed, None
        self.newest_t_ns = max(self.newest_t_ns, followed.message.t.t_utc_ns)
        return verdict
