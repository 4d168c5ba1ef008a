"""What LSVS shows of each sampled value stream, and alarms for streams that look forged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.errors import AlarmCode
from agent.messages import Alarm, SubscriptionHealth
from agent.processbus.sv.identity import SvExpectation
from agent.processbus.tracks import IGNORED, Track, TrackTable

FEW_CONFLICTS: Final = 10
"""Contradictory samples between two looks that may still be an accident."""


class SvSupervision:
    """Looks at the tracks about twice a second."""

    def __init__(self, table: TrackTable, expected: tuple[SvExpectation, ...]) -> None:
        self._table = table
        self._expected = expected
        self._conflicts: dict[int, int] = {}
        self._raised: dict[str, float] = {}

    def health(self) -> Iterator[SubscriptionHealth]:
        """Yield the state of every subscribed stream."""
        if not self._expected:
            yield from (_health(track, None, "") for track in self._table.tracks)
        for expected in self._expected:
            reason = self._table.refused.get(expected.sv_id, "")
            yield _health(self._track(expected), expected, reason)

    def _track(self, expected: SvExpectation) -> Track | None:
        """The stream that counts: a simulated one only while those are accepted (LPHD.Sim)."""
        mine = [
            track
            for track in self._table.tracks
            if track.expected is expected
            and (self._table.simulation or not track.identity.simulated)
        ]
        return max(mine, key=lambda t: (t.group != IGNORED, t.identity.simulated), default=None)

    def alarms(self, utc_s: float) -> Iterator[Alarm]:
        """Yield alarms that begin or end."""
        found = dict(self._suspicions())
        for name in found.keys() - self._raised.keys():
            self._raised[name] = utc_s
            yield self._alarm(name, found[name], True)
        for name in self._raised.keys() - found.keys():
            yield self._alarm(name, "the stream has one consistent source again", False)
            del self._raised[name]

    def _suspicions(self) -> Iterator[tuple[str, str]]:
        for owner, entry in self._table.rivals.values():
            yield owner.name, self._table.refused.get(entry.layout.sv_id, "a second source address")
        for track in self._table.tracks:
            grown = track.counters.conflicts - self._conflicts.get(track.number, 0)
            self._conflicts[track.number] = track.counters.conflicts
            if grown > FEW_CONFLICTS:
                yield track.name, f"{grown} samples came twice with different values"

    def _alarm(self, name: str, text: str, active: bool) -> Alarm:
        return Alarm(
            code=AlarmCode.FREQUENCY_SOURCES_DISAGREE,
            active=active,
            source=name,
            text=f"{name}: {text}",
            advice="look for a second publisher of this stream on the process bus",
            since_utc_s=self._raised[name],
        )


def _health(track: Track | None, expected: SvExpectation | None, reason: str) -> SubscriptionHealth:
    counters = track.counters if track else None
    alive = track is not None and track.group != IGNORED
    return SubscriptionHealth(
        control_block=expected.control_block if expected else track.name if track else "",
        kind="sv",
        alive=alive,
        nds_com=False,
        simulated=track is not None and track.identity.simulated,
        conf_rev=expected.conf_rev if expected else 0,
        rx_conf_rev=track.layout.conf_rev if track else 0,
        frames=counters.samples if counters else 0,
        lost=counters.lost if counters else 0,
        rejected=counters.late + counters.conflicts if counters else 0,
        reason=reason or ("" if alive else "no samples"),
    )
