"""SV frames to samples, all that wait in one go.

Frames of known streams are recognised and taken apart with array operations only. The first frame
of a stream, and the first after a change of its layout, is parsed with care (`layout.parse`); a
budget bounds that work, so a flood of nonsense costs a counter and no time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.errors import DecodeError
from agent.estimation.arrays import alike, every
from agent.processbus.frames import (
    ETHERTYPE_SV,
    MAX_FRAME,
    MIN_FRAME,
    Frames,
    IntArray,
    ether_types,
    pieces,
)
from agent.processbus.sv.layout import AsduPlace, SvLayout, parse
from agent.processbus.sv.table import WORD, Shape, shape_key, words_in

PARSE_BUDGET: Final = 256
"""Unknown frames parsed of one batch, first come first served: a full bus is learnt at once."""
NONSENSE: Final = 8
"""What a frame that cannot be parsed takes of the budget: it will come again."""
MOST_ENTRIES: Final = 4096
"""Streams and their variants kept; the next ones are counted and not decoded."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream variant as the wire shows it: everything in its layout is constant."""

    number: int
    layout: SvLayout


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Samples of frames of one shape, in order of arrival.

    Attributes:
        entry: Number of the `Entry` of each sample, (n,).
        smp_cnt: Sample counter, (n,). `smp_synch`: synchronisation, (n,).
        time_ns: Time stamp of its frame, UTC, (n,).
        data: Octets of seqData, (n, data length).
    """

    entry: NDArray[np.int64]
    smp_cnt: NDArray[np.int64]
    smp_synch: NDArray[np.uint8]
    time_ns: IntArray
    data: NDArray[np.uint8]

    def select(self, which: NDArray[np.bool_]) -> SampleBlock:
        """Return some of the samples."""
        return SampleBlock(
            self.entry[which],
            self.smp_cnt[which],
            self.smp_synch[which],
            self.time_ns[which],
            self.data[which],
        )


@dataclass(slots=True)
class SvCounters:
    """What became of the frames."""

    frames: int = 0
    decoded: int = 0
    malformed: int = 0
    unknown: int = 0
    """Not parsed because budget or table were used up."""
    reasons: Counter[str] = field(default_factory=Counter)


class SvDecoder:
    """Keeps what it has learnt about streams; `decode` never raises for any frame."""

    def __init__(self, parse_budget: int = PARSE_BUDGET) -> None:
        self.entries: list[Entry] = []
        self.counters = SvCounters()
        self._budget = parse_budget
        self._left = parse_budget
        self._shapes: dict[int, list[Shape]] = {}
        # Unknown factors keep a forger from building frames of equal hash.
        self._factors = np.frombuffer(
            np.random.default_rng().bytes((words_in(MAX_FRAME) + 1) * WORD), dtype=np.uint64
        ) | np.uint64(1)

    def decode(self, frames: Frames) -> Iterator[SampleBlock]:
        """Yield the samples of all SV frames; others are left out."""
        self._left = self._budget
        if not len(frames):
            return
        first = int(frames.length[0])
        if MIN_FRAME <= first <= MAX_FRAME and (frames.even or alike(frames.length)):
            # Merging units of one make: the usual case.
            self.counters.frames += len(frames)
            yield from self._decode_length(frames, first)
            return
        sane = (frames.length >= MIN_FRAME) & (frames.length <= MAX_FRAME)
        if not every(sane):
            self._refuse("length", int((~sane).sum()))
            frames = frames.select(sane)
        self.counters.frames += len(frames)
        for length in np.unique(frames.length).tolist():
            yield from self._decode_length(frames.select(frames.length == length), length)

    def _decode_length(self, frames: Frames, length: int) -> Iterator[SampleBlock]:
        as_before = self._as_before(frames, length)
        if as_before is not None:
            yield as_before
            return
        (rows,) = frames.parts((0, words_in(length) * WORD))
        words = rows.view(np.uint64)
        number = np.full(len(frames), -1, dtype=np.int64)
        unknown = self._recognise(words, frames.vlan, number, self._shapes.get(length, []))
        while len(unknown) and self._may_learn():
            shape = self._learn(frames, words, int(unknown[0]))
            unknown = unknown[1:]
            if shape is None:
                continue
            # Other streams of the same make: all of them are read before the rows are searched.
            likely = unknown[shape.different(words[unknown], frames.vlan[unknown])]
            self._learn_alike(shape, frames, words, likely)
            unknown = self._recognise(words, frames.vlan, number, [shape])
        if len(unknown):
            self._give_up(frames, unknown)
        for shape in self._shapes.get(length, []):
            yield from self._extract(shape, rows, frames, number)

    def _as_before(self, frames: Frames, length: int) -> SampleBlock | None:
        """Samples of frames that are all of one known shape, in the order seen last.

        Only what is compared and what is wanted is copied.
        """
        shapes = self._shapes.get(length, [])
        if len(shapes) != 1 or not shapes[0].in_order or len(shapes[0].layout.asdus) > 1:
            return None
        shape = shapes[0]
        place = shape.layout.asdus[0]
        samples = (place.samples, shape.layout.data_length)
        head, data = frames.parts((0, shape.span * WORD), samples)
        number = shape.as_before(head.view(np.uint64), frames.vlan)
        if number is None:
            return None
        self.counters.decoded += len(frames)
        return _only_asdu(place, head, data, frames.time_ns, number)

    def _recognise(
        self,
        words: NDArray[np.uint64],
        vlan: IntArray,
        number: NDArray[np.int64],
        shapes: list[Shape],
    ) -> NDArray[np.intp]:
        """Fill `number` in place; return the rows that stay unknown."""
        unknown = np.flatnonzero(number < 0)
        for shape in shapes:
            if not len(unknown):
                break
            if len(unknown) == len(words):
                number[:] = shape.find(words, vlan)
            else:
                number[unknown] = shape.find(words[unknown], vlan[unknown])
            unknown = np.flatnonzero(number < 0)
        return unknown

    def _may_learn(self) -> bool:
        return self._left > 0 and len(self.entries) < MOST_ENTRIES

    def _learn_alike(
        self, shape: Shape, frames: Frames, words: NDArray[np.uint64], likely: NDArray[np.intp]
    ) -> None:
        """Learn what a shape does not know yet of rows that may be of it."""
        new = likely[shape.find(words[likely], frames.vlan[likely]) < 0] if len(likely) else likely
        for row in new.tolist():
            if not self._may_learn():
                return
            self._learn(frames, words, row)

    def _learn(self, frames: Frames, words: NDArray[np.uint64], row: int) -> Shape | None:
        try:
            layout = parse(frames.octets(row), int(frames.vlan[row]))
        except DecodeError as error:
            self._left -= NONSENSE
            self._refuse(str(error), 1)
            return None
        self._left -= 1
        length = int(frames.length[row])
        shapes = self._shapes.setdefault(length, [])
        key = shape_key(layout, length)
        shape = next((known for known in shapes if known.key == key), None)
        if shape is None:
            shape = Shape.of(layout, length, self._factors)
            shapes.append(shape)
        entry = Entry(len(self.entries), layout)
        self.entries.append(entry)
        shape.add(words[row], int(frames.vlan[row]), entry.number)
        return shape

    def _give_up(self, frames: Frames, unknown: NDArray[np.intp]) -> None:
        kinds, _ = ether_types(frames.select(unknown))
        self.counters.unknown += int((kinds == ETHERTYPE_SV).sum())

    def _refuse(self, reason: str, count: int) -> None:
        self.counters.malformed += count
        if len(self.counters.reasons) < 64 or reason in self.counters.reasons:
            self.counters.reasons[reason] += count

    def _extract(
        self, shape: Shape, rows: NDArray[np.uint8], frames: Frames, number: NDArray[np.int64]
    ) -> Iterator[SampleBlock]:
        # One more than there are entries: unknown frames are -1 and find the last, never set.
        mine = np.zeros(len(self.entries) + 1, dtype=bool)
        mine[shape.numbers] = True
        which = mine[number]
        time_ns = frames.time_ns
        if not every(which):
            rows, time_ns, number = rows[which], time_ns[which], number[which]
        if not len(rows):
            return
        self.counters.decoded += len(rows)
        asdus, size = shape.layout.asdus, shape.layout.data_length
        if len(asdus) == 1:
            begin, width = asdus[0].samples, rows.shape[1]
            data = pieces(rows.reshape(-1), begin, width, len(rows), size)
            yield _only_asdu(asdus[0], rows, data, time_ns, number)
            return
        count = len(rows) * len(asdus)
        smp_cnt = np.empty((len(rows), len(asdus)), dtype=np.int64)
        synch = np.empty((len(rows), len(asdus)), dtype=np.uint8)
        data = np.empty((len(rows), len(asdus), size), dtype=np.uint8)
        for column, place in enumerate(asdus):
            smp_cnt[:, column] = rows[:, place.smp_cnt : place.smp_cnt + 2].view(">u2")[:, 0]
            synch[:, column] = rows[:, place.smp_synch]
            data[:, column] = rows[:, place.samples : place.samples + size]
        yield SampleBlock(
            entry=np.repeat(number, len(asdus)),
            smp_cnt=smp_cnt.reshape(count),
            smp_synch=synch.reshape(count),
            time_ns=np.repeat(time_ns, len(asdus)),
            data=data.reshape(count, size),
        )


def _only_asdu(
    place: AsduPlace,
    head: NDArray[np.uint8],
    data: NDArray[np.uint8],
    time_ns: IntArray,
    number: NDArray[np.int64],
) -> SampleBlock:
    """Samples of frames with one ASDU.

    Args:
        place: Of its fields.
        head: Each frame, at least as far as its samples.
        data: The samples of each, by themselves, where they are aligned.
        time_ns: Of each frame.
        number: Of each frame's entry.
    """
    count, width = head.shape
    smp_cnt = np.ndarray((count,), ">u2", head.data, place.smp_cnt, (width,)).astype(np.int64)
    return SampleBlock(number, smp_cnt, head[:, place.smp_synch], time_ns, data)
