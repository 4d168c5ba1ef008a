"""Streams as the pipeline knows them: identity, rate, clock, and what became of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.processbus.ethernet import mac_text
from agent.processbus.rates import RateFinder, rate_from_layout
from agent.processbus.sv.channels import ChannelMap, default_channels
from agent.processbus.sv.decoder import Entry
from agent.processbus.sv.identity import SvExpectation, SvIdentity
from agent.processbus.sv.layout import SvLayout

MOST_TRACKS: Final = 1024
TAKEOVER_S: Final = 10.0
"""A merging unit that was replaced is accepted when the old one has been silent this long."""
IGNORED: Final = -1
CLOCKS_APART_S: Final = 0.1
"""Counters of different clocks within this of our own share a grid."""
ALIGNED_S: Final = 0.004
"""A counter that starts this near to the second starts on it: delay of unit and network."""


Claim = tuple[str, int, bytes]
"""svID, APPID and destination: what a simulated stream and the real one have in common."""


def claim_of(layout: SvLayout) -> Claim:
    """Return what a frame claims to be, whoever sent it."""
    return layout.sv_id, layout.header.appid, layout.header.destination


@dataclass(slots=True)
class TrackCounters:
    """Exact counts of one stream's samples."""

    samples: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    reordered: int = 0
    conflicts: int = 0
    """Samples that came twice with different values."""


@dataclass(slots=True)
class Track:
    """One stream.

    Attributes:
        number: Its place in the table. `name`: what reports call it, the svID.
        rate_hz: Samples per second, 0 until known.
        declared_hz: What the SCL or the frame says it is, 0 where neither does.
        largest: Largest counter seen of a stream whose rate was wrong.
        astray: Samples of late that its rate cannot explain.
        offset_s: Bus time at which smpCnt is 0, from the whole second; 0 for a stream that
            counts from the second.
        clocked: Its counter is a clock's: it says the place in the UTC second.
        group, row: Where its samples go; -1 while it has none.
        smp_synch: Of the newest sample.
        arrival_s: Bus time of the newest frame.
    """

    number: int
    name: str
    identity: SvIdentity
    layout: SvLayout
    channels: ChannelMap
    expected: SvExpectation | None = None
    rate_hz: int = 0
    declared_hz: int = 0
    largest: int = 0
    astray: int = 0
    offset_s: float = 0.0
    clocked: bool = True
    group: int = IGNORED
    row: int = IGNORED
    smp_synch: int = 0
    arrival_s: float = 0.0
    counters: TrackCounters = field(default_factory=TrackCounters)

    @property
    def claim(self) -> Claim:
        """Which stream of the SCL it is, simulated or real."""
        return claim_of(self.layout)

    @property
    def label_s(self) -> float:
        """What to add to a place on the grid for UTC."""
        return 0.0 if self.clocked else self.offset_s


@dataclass(frozen=True, slots=True)
class TrackRules:
    """Which streams are followed.

    Attributes:
        nominal_hz: Frequency of the network.
        names: svIDs to follow; empty: those expected, or all where nothing is expected.
        expected: Streams that the SCL binds.
        simulation: Follow frames with the simulation bit from the start (LPHD.Sim).
    """

    nominal_hz: int
    names: tuple[str, ...] = ()
    expected: tuple[SvExpectation, ...] = ()
    simulation: bool = False


class TrackTable:
    """Maps decoder entries to tracks; the arrays are indexed by track number."""

    def __init__(self, rules: TrackRules) -> None:
        self._rules = rules
        self.simulation = rules.simulation
        self._entries: list[Entry] = []
        self._hidden: set[Claim] = set()
        self._by_identity: dict[SvIdentity, Track] = {}
        self._finders: dict[int, RateFinder] = {}
        self.tracks: list[Track] = []
        self.of_entry: list[int] = []
        """Track of each decoder entry, `IGNORED` where it is not followed."""
        self.channels: list[ChannelMap | None] = []
        """Where the values are in the data of each entry."""
        self.refused: dict[str, str] = {}
        """svIDs that are seen and not followed, each with the reason."""
        self.rivals: dict[int, tuple[Track, Entry]] = {}
        """Entries that claim to be a stream which another source address sends."""

    def learn(self, entries: Sequence[Entry]) -> bool:
        """Take the decoder's entries; True if there are new ones."""
        new = entries[len(self.of_entry) :]
        self._entries += new
        for entry in new:
            self.channels.append(None)
            self.of_entry.append(self._track_of(entry))
        return bool(new)

    def simulate(self, accept: bool) -> list[Track]:
        """Follow simulated streams from now on, or only real ones (IEC 61850-7-1 Ed. 2.1, 7.8).

        Returns:
            Tracks that are followed no longer.
        """
        hidden, self._hidden = self._hidden, set()
        self.simulation = accept
        for entry in self._entries:
            layout = entry.layout
            if layout.header.simulated or claim_of(layout) in hidden:
                self.refused.pop(layout.sv_id, None)
                self.of_entry[entry.number] = self._track_of(entry)
        return [] if accept else [track for track in self.tracks if track.identity.simulated]

    def hide_real(self, simulated: Track) -> list[Track]:
        """The first samples of a simulated stream are there: the real one counts no longer.

        Returns:
            Tracks that are followed no longer.
        """
        claim = simulated.claim
        if not simulated.identity.simulated or claim in self._hidden:
            return []
        self._hidden.add(claim)
        for entry in self._entries:
            if not entry.layout.header.simulated and claim_of(entry.layout) == claim:
                self.of_entry[entry.number] = self._track_of(entry)
        return [t for t in self.tracks if t.claim == claim and not t.identity.simulated]

    def _track_of(self, entry: Entry) -> int:
        layout = entry.layout
        expected, reason = self._expectation(layout)
        if reason:
            self.refused[layout.sv_id] = reason
            return IGNORED
        identity = SvIdentity.of(layout)
        track = self._by_identity.get(identity)
        if track is not None:
            return self._variant(track, entry)
        owner = self._owner(identity)
        if owner is not None:
            self.rivals[entry.number] = (owner, entry)
            self.refused[layout.sv_id] = f"a second source address, {mac_text(identity.source)}"
            return IGNORED
        return self._new_track(entry, identity, expected)

    def _owner(self, identity: SvIdentity) -> Track | None:
        """The track that already is this stream, from another source address."""
        claim = (identity.sv_id, identity.appid, identity.destination, identity.simulated)
        for track in self.tracks:
            mine = track.identity
            if claim == (mine.sv_id, mine.appid, mine.destination, mine.simulated):
                return track
        return None

    def take_over(self, now_s: float) -> bool:
        """Let a second source address have a stream whose first has long been silent.

        Returns:
            Whether that happened.
        """
        happened = False
        for number, (owner, entry) in tuple(self.rivals.items()):
            if owner.group == IGNORED and now_s - owner.arrival_s > TAKEOVER_S:
                del self.rivals[number]
                owner.identity = SvIdentity.of(entry.layout)
                self._by_identity[owner.identity] = owner
                self.of_entry[number] = self._variant(owner, entry)
                self.refused.pop(entry.layout.sv_id, None)
                happened = True
        return happened

    def _new_track(self, entry: Entry, identity: SvIdentity, expected: SvExpectation | None) -> int:
        layout = entry.layout
        channels = expected.channels if expected else default_channels(layout.data_length)
        if channels is None or channels.data_length != layout.data_length:
            self.refused[layout.sv_id] = f"{layout.data_length} octets of data: unknown data set"
            return IGNORED
        if len(self.tracks) >= MOST_TRACKS:
            self.refused[layout.sv_id] = f"more than {MOST_TRACKS} streams"
            return IGNORED
        track = Track(len(self.tracks), layout.sv_id, identity, layout, channels, expected)
        track.rate_hz = track.declared_hz = self._declared_rate(layout, expected)
        self.channels[entry.number] = channels
        self.tracks.append(track)
        self._by_identity[identity] = track
        return track.number

    def _expectation(self, layout: SvLayout) -> tuple[SvExpectation | None, str]:
        """What the SCL says about a stream, and why it is not followed ("" if it is)."""
        rules = self._rules
        if layout.header.simulated and not self.simulation:
            return None, "simulated"
        if not layout.header.simulated and claim_of(layout) in self._hidden:
            return None, "hidden by a simulated stream"
        if rules.names and layout.sv_id not in rules.names:
            return None, "not selected"
        found = next((e for e in rules.expected if e.matches(layout)), None)
        if found is None and rules.expected and not rules.names:
            return None, "not subscribed"
        if found is not None and found.conf_rev != layout.conf_rev:
            return None, f"confRev {layout.conf_rev}, the SCL has {found.conf_rev}"
        return found, ""

    def _variant(self, track: Track, entry: Entry) -> int:
        """A known stream with another layout: it goes on if its data set can still be read."""
        layout = entry.layout
        channels = (
            track.expected.channels if track.expected else default_channels(layout.data_length)
        )
        if (
            channels is None
            or channels.data_length != layout.data_length
            or channels.with_current != track.channels.with_current
        ):
            self.refused[layout.sv_id] = "its layout changed to an unknown one"
            return IGNORED
        track.layout, self.channels[entry.number] = layout, channels
        return track.number

    def _declared_rate(self, layout: SvLayout, expected: SvExpectation | None) -> int:
        return (expected.rate_hz if expected else 0) or rate_from_layout(
            layout, self._rules.nominal_hz
        )

    @property
    def finding(self) -> bool:
        """Whether the rate of any stream is still being found."""
        return bool(self._finders)

    def stop_finding(self) -> None:
        """Let those that are not found yet begin anew with their next samples."""
        self._finders.clear()

    def discover(
        self, track: Track, smp_cnt: NDArray[np.int64], bus_s: NDArray[np.float64], synch: int
    ) -> bool:
        """Find rate and offset of a new stream from its samples; True once both are known."""
        if track.rate_hz == 0:
            finder = self._finders.setdefault(
                track.number, RateFinder(self._rules.nominal_hz, track.largest)
            )
            track.rate_hz = finder.feed(smp_cnt, bus_s)
            if track.rate_hz == 0:
                return False
            del self._finders[track.number]
        track.clocked = synch != 0
        track.offset_s = counter_offset_s(track.rate_hz, smp_cnt, bus_s)
        if track.clocked and abs(track.offset_s) <= CLOCKS_APART_S:
            track.offset_s = 0.0
        elif track.clocked and track.offset_s < 0:
            track.offset_s += 1.0  # no sample arrives before it is taken
        return True


def counter_offset_s(rate_hz: int, smp_cnt: NDArray[np.int64], bus_s: NDArray[np.float64]) -> float:
    """Return when a free-running counter is 0, from the whole second, within ±0.5 s.

    Exactly 0 where it may as well count from the second (`ALIGNED_S`).
    """
    angle = 2 * np.pi * (bus_s - smp_cnt / rate_hz)
    offset_s = float(np.angle(np.exp(1j * angle).mean()) / (2 * np.pi))
    return 0.0 if -ALIGNED_S / 4 < offset_s < ALIGNED_S else offset_s


def sample_index(
    rate_hz: int, smp_cnt: NDArray[np.int64], bus_s: NDArray[np.float64], offset_s: float
) -> NDArray[np.int64]:
    """Return each sample's index: samples since 1970 of a counter that starts on the second."""
    return sample_places(rate_hz, smp_cnt, bus_s, offset_s)[0]


def sample_places(
    rate_hz: int, smp_cnt: NDArray[np.int64], bus_s: NDArray[np.float64], offset_s: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each sample's index, and how long after it was due it came.

    The counter gives the place in its second and the arrival the second, so gaps of any length,
    wraps and reordering need no state.
    """
    begun_s = bus_s - offset_s - smp_cnt / rate_hz
    second = np.rint(begun_s)
    return second.astype(np.int64) * rate_hz + smp_cnt, begun_s - second
