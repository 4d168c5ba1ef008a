"""Frames in, measurements out: decoder, tracks and groups in one chain without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation import Settings
from agent.estimation.arrays import every
from agent.messages import Measurement
from agent.processbus.frames import Frames
from agent.processbus.groups import Group, GroupReport
from agent.processbus.lanes import UNPLACED, Lane, Lanes
from agent.processbus.reports import measurements
from agent.processbus.sv.decoder import SampleBlock, SvDecoder
from agent.processbus.timeline import Timeline
from agent.processbus.tracks import (
    CLOCKS_APART_S,
    IGNORED,
    Track,
    TrackRules,
    TrackTable,
    sample_index,
    sample_places,
)

GATHER_S: Final = 0.03
"""New streams are collected this long, so that those of a substation share one estimator."""
SEEK_S: Final = 0.5
"""And so long while the rate of one that has come is still being found."""
LARGEST_OFF_GRID_S: Final = 0.2
"""A sample whose counter and arrival disagree by more belongs to no known grid."""
ASTRAY_S: Final = 0.1
"""A stream of which so much cannot be placed from look to look has another rate than was found."""
MOST_GROUPS: Final = 64
_OFFSET_GAIN: Final = 0.02

SettingsFor = Callable[[int], Settings | None]


@dataclass(slots=True)
class _Pending:
    """A stream whose rate is known and that waits for a group."""

    track: Track
    since_s: float
    oldest: int
    newest: int


@dataclass(slots=True)
class PipelineCounters:
    """What happened to samples before they had a place."""

    off_grid: int = 0
    before_group: int = 0
    groups: int = 0


@dataclass(slots=True)
class Pipeline:
    """The chain for all streams of one bus.

    Attributes:
        rules: Which streams are followed.
        settings_for: Estimator settings of a sampling rate; None while its filters are not ready.
        timeline: Translates time stamps.
        clock: Monotonic seconds, for `Measurement.published_s`.
        gather_s: See `GATHER_S`.
        export_sign: -1 where the current transformers count import as positive.
        watcher: Called with every report, its group and row, after it was handed out.
    """

    rules: TrackRules
    settings_for: SettingsFor
    timeline: Timeline
    clock: Callable[[], float]
    gather_s: float = GATHER_S
    export_sign: int = 1
    watcher: Callable[[Group, int, Measurement], None] | None = None
    decoder: SvDecoder = field(default_factory=SvDecoder)
    counters: PipelineCounters = field(default_factory=PipelineCounters)
    groups: list[Group] = field(default_factory=list)
    table: TrackTable = field(init=False)
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _lanes: Lanes = field(default_factory=Lanes)

    def __post_init__(self) -> None:
        self.table = TrackTable(self.rules)

    def prime(self, frames: Frames) -> None:
        """Get to know the streams of a file from its beginning, which is then fed again.

        Args:
            frames: The first second or so.
        """
        self.feed(frames)
        self._form_groups(float("inf"), from_oldest=True)

    def feed(self, frames: Frames) -> None:
        """Take frames; their samples wait for `reports`."""
        for block in self.decoder.decode(frames):
            if self.table.learn(self.decoder.entries):
                self._lanes.rebuild(self.table, self.groups)
            self._place(block)

    def reports(self, now_s: float) -> Iterator[Measurement]:
        """Yield the measurements that can be made at a bus time."""
        self._form_groups(now_s)
        for group in tuple(self.groups):
            offset_s = group.tracks[0].offset_s
            while group.ready(now_s - offset_s):
                report = group.report()
                for row, message in self._messages(group, report):
                    yield message
                    if self.watcher is not None:
                        self.watcher(group, row, message)
            gone = group.leave(now_s)
            for track in gone:
                track.group = track.row = IGNORED
            if group.empty:
                self._remove(group)
            if gone:
                self._lanes.rebuild(self.table, self.groups)

    def _messages(self, group: Group, report: GroupReport) -> Iterator[tuple[int, Measurement]]:
        return measurements(group, report, self.timeline, self.clock(), self.export_sign)

    def look_after(self, now_s: float) -> None:
        """Let replaced units have the streams of those that are gone; find wrong rates anew.

        Called with every heartbeat. A rate that is declared stays: forged samples must not make a
        stream begin anew.
        """
        tracks = self.table.tracks
        wrong = [t for t in tracks if not t.declared_hz and t.astray > ASTRAY_S * t.rate_hz]
        for track in tracks:
            track.astray = 0
        if wrong:
            self._drop(wrong)
            for track in wrong:
                track.rate_hz = 0
        if self.table.take_over(now_s):
            self._lanes.rebuild(self.table, self.groups)

    def _note_astray(self, group: Group, block: SampleBlock) -> None:
        """Count samples that come at a time, or with a counter, that their rate does not have."""
        self.counters.off_grid += len(block.entry)
        rows = self._lanes.row_of_entry[block.entry]
        for row in np.unique(rows).tolist():
            track, mine = group.tracks[row], rows == row
            track.astray += int(mine.sum())
            track.largest = max(track.largest, int(block.smp_cnt[mine].max()))

    def simulate(self, accept: bool) -> None:
        """Follow simulated streams from now on, or only real ones."""
        if accept != self.table.simulation:
            self._drop(self.table.simulate(accept))

    def _drop(self, tracks: list[Track]) -> None:
        for track in tracks:
            self._pending.pop(track.number, None)
            for group in [g for g in self.groups if g.number == track.group]:
                group.drop(track)
                if group.empty:
                    self._remove(group)
            track.group = track.row = IGNORED
        self._lanes.rebuild(self.table, self.groups)

    def due_s(self, now_s: float) -> float:
        """Bus time at which the next report can usually be made."""
        return min(
            (group.schedule.expected_s + group.tracks[0].offset_s for group in self.groups),
            default=now_s + 0.1,
        )

    def _place(self, block: SampleBlock) -> None:
        bus_s = self.timeline.bus_s(block.time_ns)
        if self._lanes.only is not None:
            self._take(self._lanes.only, block, bus_s)
            return
        lane = self._lanes.of_entry[block.entry]
        for number in np.unique(lane).tolist():
            mine = lane == number
            self._take(number, block.select(mine), bus_s[mine])

    def _take(self, lane: int, block: SampleBlock, bus_s: NDArray[np.float64]) -> None:
        if lane >= 0:
            self._write(self._lanes.lanes[lane], block, bus_s)
        elif lane == UNPLACED:
            track = np.array(self.table.of_entry)[block.entry]
            order = np.argsort(track, kind="stable")
            borders = np.flatnonzero(np.diff(track[order])) + 1
            for mine in np.split(order, borders):
                self._discover(self.table.tracks[int(track[mine[0]])], block, mine, bus_s)

    def _discover(
        self, track: Track, block: SampleBlock, mine: NDArray[np.intp], bus_s: NDArray[np.float64]
    ) -> None:
        """Find out what is needed to give a stream its place."""
        self.counters.before_group += len(mine)
        newest = int(mine[-1])
        track.smp_synch = int(block.smp_synch[newest])
        track.arrival_s = float(bus_s[newest])
        waiting = self._pending.get(track.number)
        if waiting is None:
            smp_cnt, arrival_s = block.smp_cnt[mine], bus_s[mine]
            if not self.table.discover(track, smp_cnt, arrival_s, track.smp_synch):
                return
            index = sample_index(track.rate_hz, smp_cnt, arrival_s, track.offset_s)
            waiting = _Pending(track, track.arrival_s, int(index.min()), int(index.max()))
            self._pending[track.number] = waiting
            return
        last = slice(newest, newest + 1)
        index = sample_index(track.rate_hz, block.smp_cnt[last], bus_s[last], track.offset_s)
        waiting.newest = max(waiting.newest, int(index[0]))

    def _form_groups(self, now_s: float, from_oldest: bool = False) -> None:
        if not self._pending:
            return
        since_s = [waiting.since_s for waiting in self._pending.values()]
        if now_s - max(since_s) < self.gather_s or len(self.groups) >= MOST_GROUPS:
            return
        if self.table.finding and now_s - min(since_s) < SEEK_S:
            return
        self.table.stop_finding()
        kinds: dict[tuple[int, bool, int, int], list[_Pending]] = {}
        for waiting in self._pending.values():
            track = waiting.track
            # Clocks that are apart alike share a grid; a counter without a clock has its own.
            apart = round(track.offset_s / CLOCKS_APART_S)
            alone = IGNORED if track.clocked else track.number
            kind = (track.rate_hz, track.channels.with_current, apart, alone)
            kinds.setdefault(kind, []).append(waiting)
        for (rate_hz, _, _, _), members in kinds.items():
            settings = self.settings_for(rate_hz)
            if settings is not None:
                if from_oldest:
                    start = min(waiting.oldest for waiting in members)
                else:
                    start = max(waiting.newest for waiting in members) + 1
                self._form(settings, [waiting.track for waiting in members], start)

    def _form(self, settings: Settings, members: list[Track], start: int) -> None:
        self.counters.groups += 1
        now_s = max(track.arrival_s for track in members)
        group = Group(settings, members, start, now_s, self.counters.groups)
        self.groups.append(group)
        for row, track in enumerate(members):
            track.offset_s = members[0].offset_s
            track.group, track.row = group.number, row
            del self._pending[track.number]
        self._drop([real for track in members for real in self.table.hide_real(track)])

    def _remove(self, group: Group) -> None:
        group.settle_counters()
        self.groups.remove(group)

    def _write(self, lane: Lane, block: SampleBlock, bus_s: NDArray[np.float64]) -> None:
        group = lane.group
        index, off_grid_s = sample_places(
            group.rate_hz, block.smp_cnt, bus_s, group.tracks[0].offset_s
        )
        sane = (np.abs(off_grid_s) < LARGEST_OFF_GRID_S) & (block.smp_cnt < group.rate_hz)
        if not every(sane):
            self._note_astray(group, block.select(~sane))
            block, index, bus_s = block.select(sane), index[sane], bus_s[sane]
        if not len(bus_s):
            return
        values, marks = lane.channels.values(block.data)
        row = self._lanes.row_of_entry[block.entry]
        group.write(row, index, bus_s, values, marks, block.smp_synch)
        if not group.tracks[0].clocked:
            group.tracks[0].offset_s += _OFFSET_GAIN * float(off_grid_s[sane][-1])
