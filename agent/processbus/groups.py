"""Streams that are sampled together share one grid of samples and one estimator.

Samples are written where their index says, so duplicates, reordering and gaps need no loop. When
every stream has the newest sample that a report needs, or a short patience is over, the stretch
goes to the estimator with NaN where nothing came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation import Estimates, Estimator, Settings
from agent.estimation.arrays import every, some
from agent.estimation.quality import LARGEST_GAP
from agent.processbus.grid import CONFLICT, SampleGrid
from agent.processbus.schedule import SILENCE_S, Schedule
from agent.processbus.sv.channels import QUESTIONABLE, TEST
from agent.processbus.tracks import Track

PATIENCE_S: Final = 0.003
"""Wait this long for the other streams after the first has what a report needs."""
PATIENT_REPORTS: Final = 10
"""A stream that misses so many reports in a row, though its frames come, starts anew."""
DARK_S: Final = 0.1
"""A row that lacks more than `LARGEST_GAP` of so long (with fading memory) is fed with zeros and
reported as invalid,"""
DOUBT_S: Final = 0.2
"""and so long after its samples came back: no window reaches further."""
FORGOTTEN: Final = 0.5
"""Absent samples that the fading memory counts as none."""
DEAD_S: Final = 1.0
"""A stream that has been silent this long leaves its group."""
LEAVE_S: Final = 0.1
_SYNCH_SHIFT: Final = 4
_DOUBTFUL: Final = QUESTIONABLE | TEST | CONFLICT
_GLOBAL: Final = 2 << _SYNCH_SHIFT
_SYNCH_MARK: Final = (np.minimum(np.arange(256), 3) << _SYNCH_SHIFT).astype(np.uint8)
"""What each smpSynch adds to a sample's marks."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """One report of all streams of a group.

    Attributes:
        instant_s: Bus time of the estimation instant on the streams' grid (offset not added).
        estimates: Arrays over the rows.
        arrival_s: Bus time at which each row's newest sample came.
        smp_synch: Of each row's newest sample.
        questionable: Rows with a questionable or test sample in the stretch since the last report.
        dark: Rows whose window holds a long stretch without any sample.
        live: Rows that still have a stream.
    """

    instant_s: float
    estimates: Estimates
    arrival_s: NDArray[np.float64]
    smp_synch: NDArray[np.int64]
    questionable: NDArray[np.bool_]
    dark: NDArray[np.bool_]
    live: NDArray[np.bool_]


class Group:
    """Streams of one rate on one grid.

    Args:
        settings: For the estimator.
        tracks: Its streams; row n is the n-th.
        start: Index of the first sample on the grid.
        now_s: Bus time.
        number: Its number in the pipeline.
    """

    def __init__(
        self, settings: Settings, tracks: list[Track], start: int, now_s: float, number: int = 0
    ) -> None:
        self.tracks = tracks
        self.number = number
        self.rate_hz = settings.samples_per_second
        self.schedule = Schedule(settings, start)
        self._delay_samples = settings.delay_samples
        self._with_current = all(track.channels.with_current for track in tracks)
        channels = 6 if self._with_current else 3
        self._estimator = Estimator(settings, len(tracks), self._with_current)
        rows = len(tracks)
        self.grid = SampleGrid(self.rate_hz, rows, channels, start)
        self.label_s = 0.0
        """UTC of a report minus its place on the grid, from the newest report."""
        self._head = np.full(rows, start - 1, dtype=np.int64)
        self._last_arrival = np.full(rows, now_s)
        self._last_needed = np.zeros(rows)
        self._accepted = np.zeros(rows, dtype=np.int64)
        self._used = np.zeros(rows, dtype=np.int64)
        self._synch = np.full(rows, 2, dtype=np.int64)
        # Masks that a report carries away are replaced, never written to.
        self._live = np.ones(rows, dtype=bool)
        self._none = np.zeros(rows, dtype=bool)
        self._questionable = self._none
        self._behind = np.zeros(rows, dtype=np.int64)
        self._absent = np.zeros(rows)
        self._doubt = np.zeros(rows, dtype=np.int64)
        self._all_bright = True
        self._seen_arrival = np.full(rows, now_s)
        self._first_s = 0.0
        self._leave_s = 0.0
        self._reached: tuple[int, int] | None = None

    @property
    def empty(self) -> bool:
        """Whether all its streams have left."""
        return not some(self._live)

    def write(
        self,
        row: NDArray[np.int64],
        index: NDArray[np.int64],
        arrival_s: NDArray[np.float64],
        values: NDArray[np.float32],
        marks: NDArray[np.uint8],
        smp_synch: NDArray[np.uint8],
    ) -> None:
        """Put samples in their places; what is too late or too far ahead is counted and left out.

        Args:
            row: Row of each sample.
            index: Its place on the grid.
            arrival_s: Bus time of its frame.
            values: (n, channels).
            marks: `QUESTIONABLE` and `TEST` bits.
            smp_synch: Of each sample.
        """
        self._reached = None
        rows = len(self.tracks)
        values = values[:, : self.grid.values.shape[2]]
        marks |= _SYNCH_MARK[smp_synch]
        if self.grid.put_in_order(index * rows + row, arrival_s, values, marks):
            # Whole turns of the rows; the one at the end has the newest of each.
            newest = row[-rows:]
            turns, rest = divmod(len(row), rows)
            self._accepted += turns
            self._accepted[row[:rest]] += 1
            self._head[newest] = np.maximum(self._head[newest], index[-rows:])
            self._last_arrival[newest] = arrival_s[-rows:]
            self._synch[newest] = smp_synch[-rows:]
            return
        fits = self.grid.fits(index)
        if not every(fits):
            self._count_late(row[~fits], arrival_s[~fits])
            row, index, arrival_s = row[fits], index[fits], arrival_s[fits]
            values, marks, smp_synch = values[fits], marks[fits], smp_synch[fits]
        if not len(row):
            return
        self._accepted += np.bincount(row, minlength=rows)
        self.grid.put(row, index, arrival_s, values, marks)
        np.maximum.at(self._head, row, index)
        self._last_arrival[row] = arrival_s
        self._synch[row] = smp_synch

    def _count_late(self, row: NDArray[np.int64], arrival_s: NDArray[np.float64]) -> None:
        self._last_arrival[row] = arrival_s
        for number, count in zip(*np.unique(row, return_counts=True), strict=True):
            self.tracks[int(number)].counters.late += int(count)

    def ready(self, now_s: float) -> bool:
        """Whether the next report can be made, or must be made without waiting longer.

        Args:
            now_s: Bus time, on the grid.
        """
        last, first = self._heads()
        if last >= self.schedule.due:
            return True
        if first < self.schedule.due:
            self._first_s = 0.0
            return now_s > self.schedule.due_s + SILENCE_S
        if self._first_s == 0.0:
            self._first_s = now_s
        return now_s > self._first_s + PATIENCE_S

    def _heads(self) -> tuple[int, int]:
        """Index of the newest sample of the stream that is furthest behind, and ahead."""
        if self._reached is None:
            heads = self._head if every(self._live) else self._head[self._live]
            self._reached = _extremes(heads) if len(heads) else (-1, -1)
        return self._reached

    def report(self) -> GroupReport:
        """Push up to the newest sample of the next report and make it."""
        newest = self.schedule.due
        grid = self.grid
        while grid.pushed <= newest:
            for place in grid.stretches(min(newest + 1, grid.pushed + grid.capacity // 4)):
                self._push_stretch(place)
        needed = self._last_needed
        newest_s = float(needed[needed.argmax()])
        if newest_s > 0:
            self.schedule.learn(newest_s - self.tracks[0].offset_s)
        self._note_absent(self._head < newest)
        self.schedule.advance()
        self._first_s = 0.0
        questionable, self._questionable = self._questionable, self._none
        return GroupReport(
            instant_s=(newest - self._delay_samples) / self.rate_hz,
            estimates=self._estimator.report(),
            arrival_s=needed if every(needed) else np.where(needed, needed, self._last_arrival),
            smp_synch=self._synch.copy(),
            questionable=questionable,
            dark=self._none if self._all_bright else self._doubt > 0,
            live=self._live,
        )

    def _note_absent(self, absent: NDArray[np.bool_]) -> None:
        """Count reports of streams whose frames still come, but never in time.

        Their clock has drifted or was set.
        """
        if some(absent):
            talking = self._last_arrival > self._seen_arrival
            self._behind = np.where(absent & talking & self._live, self._behind + 1, 0)
        else:
            self._behind.fill(0)
        self._seen_arrival = self._last_arrival.copy()

    def _push_stretch(self, place: slice) -> None:
        """Hand a stretch of the grid to the estimator and make room for the next second's."""
        grid = self.grid
        arrival, values, marks = grid.arrival[place], grid.values[place], grid.marks[place]
        came = arrival > 0
        whole = every(came)
        usual = whole and every(marks == _GLOBAL)
        if not whole or (not usual and some(marks & _DOUBTFUL)):
            self._note_marks(came, values, marks)
        dark = self._darkness(came, whole)
        if not whole and (some(dark) or not every(self._live)):
            values = values.copy()
            values[:, ~self._live | dark] = 0.0
        synch = None if usual else self._worst_synch(marks, came)
        self._estimator.push(values.transpose(1, 2, 0), synch)
        self._count(came, arrival, whole)
        self._last_needed = arrival[-1].copy()
        arrival[:] = 0.0

    def _note_marks(
        self, came: NDArray[np.bool_], values: NDArray[np.float32], marks: NDArray[np.uint8]
    ) -> None:
        """Leave out, in place, what did not come or may not be used."""
        marks[~came] = 0
        usable = came & ((marks & (TEST | CONFLICT)) == 0)
        if not every(usable):
            values[~usable] = np.nan
        doubtful = ((marks & (QUESTIONABLE | TEST)) != 0).any(axis=0)
        self._questionable = self._questionable | doubtful

    def _darkness(self, came: NDArray[np.bool_], whole: bool) -> NDArray[np.bool_]:
        """Rows that lack so much of what they should have had of late that nothing is measured.

        Zeros spare the prediction of what nobody knows: work that would make a process that
        loses frames because it is too slow slower still.
        """
        if whole and self._all_bright:
            return self._none
        count, memory = len(came), DARK_S * self.rate_hz
        self._absent *= max(0.0, 1 - count / memory)
        self._absent += count - came.sum(axis=0)
        dark: NDArray[np.bool_] = self._absent > LARGEST_GAP * memory
        after = int(DOUBT_S * self.rate_hz)
        self._doubt = np.where(dark, after, np.maximum(self._doubt - count, 0))
        self._all_bright = not some(self._doubt) and not some(self._absent > FORGOTTEN)
        return dark

    def _worst_synch(
        self, marks: NDArray[np.uint8], came: NDArray[np.bool_]
    ) -> NDArray[np.integer]:
        """Of each row: 0 if any sample was free, 1 if any was of a local clock."""
        synch = marks >> _SYNCH_SHIFT
        free = (came & (synch == 0)).any(axis=0)
        local = (came & (synch != 0) & (synch != 2)).any(axis=0)
        return np.where(free, 0, np.where(local, 1, np.where(came.any(axis=0), 2, self._synch)))

    def _count(self, came: NDArray[np.bool_], arrival: NDArray[np.float64], whole: bool) -> None:
        self._used += len(came) if whole else came.sum(axis=0)
        if not whole:
            lost = (~came).sum(axis=0)
            for number in np.flatnonzero((lost > 0) & self._live).tolist():
                self.tracks[number].counters.lost += int(lost[number])
        backwards = arrival[1:] < arrival[:-1]
        if not whole:
            backwards &= came[1:] & came[:-1]
        if some(backwards):
            for number, count in enumerate(backwards.sum(axis=0).tolist()):
                self.tracks[number].counters.reordered += count

    def settle_counters(self) -> None:
        """Bring `samples` and `duplicates` of every track up to date."""
        waiting = (self.grid.arrival > 0).sum(axis=0)
        for row, track in enumerate(self.tracks):
            track.counters.samples = int(self._accepted[row])
            track.counters.conflicts = int(self.grid.conflicts[row])
            if self._live[row]:
                track.arrival_s = float(self._last_arrival[row])
                track.smp_synch = int(self._synch[row])
            track.counters.duplicates = int(self._accepted[row] - self._used[row] - waiting[row])

    def drop(self, track: Track) -> None:
        """Let go of a stream that is not followed any more."""
        self.settle_counters()
        self._live = self._live & (np.arange(len(self.tracks)) != self.tracks.index(track))

    def leave(self, now_s: float) -> list[Track]:
        """Let go of streams that have been silent or are out of step; return them.

        Looks ten times a second of bus time.
        """
        if self._leave_s - LEAVE_S <= now_s < self._leave_s:
            return []
        self._leave_s = now_s + LEAVE_S
        silent = self._live & (now_s - self._last_arrival > DEAD_S)
        silent |= self._live & (self._behind >= PATIENT_REPORTS)
        if some(silent):
            self.settle_counters()
        self._live = self._live & ~silent
        self._reached = None
        return [self.tracks[row] for row in np.flatnonzero(silent).tolist()]


def _extremes(values: NDArray[np.int64]) -> tuple[int, int]:
    """Least and greatest; of a short array at a third of the time of `min` and `max`."""
    return int(values[values.argmin()]), int(values[values.argmax()])
