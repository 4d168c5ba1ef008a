"""Recognise many frames at once by comparing them with frames that were read with care.

Frames of one length are rows of 64-bit words. A mask keeps what never changes in a stream; a hash
of the kept words finds the candidate, and the kept words themselves decide. Every octet that is
not a counter, a time or a sample is compared in every frame: a frame that passes has exactly the
structure of the one that was parsed, so no offset can point outside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import alike, every, some
from agent.processbus.frames import BATCH, UNTAGGED, VLAN_ID
from agent.processbus.sv.layout import SvLayout

WordArray = NDArray[np.uint64]
WORD = 8

_TILE: Final = 128
"""Rows that a sequence is repeated to, so that short ones are compared in long stretches too."""


def _period(at: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the shortest stretch that the sequence repeats; empty if it does not."""
    again = np.flatnonzero(at[1:] == at[0])
    period = int(again[0]) + 1 if len(again) else 0
    if period and (at[period:] == at[:-period]).all():
        return at[:period]
    return at[:0]


@dataclass(frozen=True, slots=True)
class _Sequence:
    """The order in which streams send, sample after sample, ready to be compared with.

    Attributes:
        period: Rows after which the order repeats.
        turn: Rows of whole periods.
        kept: Their kept words, twice in a row, so that it can begin anywhere: (2 turn, span).
        numbers: Their entries, again and again, for a batch that begins anywhere.
        mask: Of one turn, flat.
        vlan_id: Of all of them.
    """

    period: int
    turn: int
    kept: WordArray
    numbers: NDArray[np.int64]
    mask: WordArray
    vlan_id: int

    def find(self, rows: WordArray) -> NDArray[np.int64] | None:
        """Return the entries of rows that begin anywhere in the sequence, if all agree.

        Args:
            rows: Words of each as far as the span, (n, span).
        """
        turn = self.turn
        first = rows[0] & self.mask[: rows.shape[1]]
        begins = (self.kept[: self.period] == first).all(axis=1)
        begin = int(begins.argmax())
        if not begins[begin]:
            return None
        expected = self.kept[begin : begin + turn].reshape(-1)
        whole, rest = divmod(len(rows), turn)
        turns = rows[: whole * turn].reshape(whole, len(expected))
        if whole and some((turns & self.mask) != expected):
            return None
        last = rows[whole * turn :].reshape(-1)
        if rest and some((last & self.mask[: len(last)]) != expected[: len(last)]):
            return None
        if len(rows) > BATCH:  # a capture file or a virtual bus
            return np.resize(self.numbers[begin : begin + turn], len(rows))
        return self.numbers[begin : begin + len(rows)]


def _inserted(array: NDArray[Any], at: int, row: NDArray[Any]) -> NDArray[Any]:
    """Return an array with one more row; a tenth of the time of ``np.insert``."""
    return np.concatenate((array[:at], row, array[at:]))


def vlan_ids(vlan: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the VLAN identifiers of TCIs that the kernel took out; untagged stays."""
    ids: NDArray[np.int64] = np.where(vlan == UNTAGGED, UNTAGGED, vlan & VLAN_ID)
    return ids


def words_in(length: int) -> int:
    """Return how many whole words hold a frame."""
    return -(-length // WORD)


@dataclass(slots=True)
class Shape:
    """All known frames with the same length and the same changing octets.

    Attributes:
        layout: Of one of them; offsets are the same in all.
        length: Frame length.
        mask: Ones where octets never change, one word each.
        span: Words up to the last of which some octet never changes: those that are compared.
    """

    layout: SvLayout
    length: int
    mask: WordArray
    span: int = 0
    _hashes: WordArray = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    _known: WordArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint64))
    _numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _vlans: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _sequence: _Sequence | None = None
    _factors: WordArray = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))

    @classmethod
    def of(cls, layout: SvLayout, length: int, factors: WordArray) -> Shape:
        """Return the shape of a layout."""
        mask = np.zeros(words_in(length) * WORD, dtype=np.uint8)
        mask[:length] = 0xFF
        for begin, size in layout.changing:
            mask[begin : begin + size] = 0
        words = mask.view(np.uint64)
        span = int(np.flatnonzero(words)[-1]) + 1
        return cls(
            layout,
            length,
            words,
            span=span,
            _known=np.zeros((0, span), dtype=np.uint64),
            _factors=factors[: span + 1],
        )

    @property
    def key(self) -> tuple[object, ...]:
        """What frames of this shape have in common."""
        return shape_key(self.layout, self.length)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The entries of this shape."""
        return self._numbers

    def add(self, row: WordArray, vlan: int, number: int) -> None:
        """Learn one frame as entry `number` of the caller's table."""
        kept = row[: self.span] & self.mask[: self.span]
        vlan_id = vlan_ids(np.array([vlan]))
        hashed = self._hash(kept[np.newaxis], vlan_id)
        at = int(np.searchsorted(self._hashes, hashed[0]))
        self._hashes = _inserted(self._hashes, at, hashed)
        self._known = _inserted(self._known, at, kept[np.newaxis])
        self._numbers = _inserted(self._numbers, at, np.array([number]))
        self._vlans = _inserted(self._vlans, at, vlan_id)
        self._sequence = None

    def different(self, rows: WordArray, vlan: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the first row of each stream, in order; two may be of one (equal hashes)."""
        kept = rows[:, : self.span] & self.mask[: self.span]
        _, first = np.unique(self._hash(kept, vlan_ids(vlan)), return_index=True)
        return np.sort(first)

    def find(self, rows: WordArray, vlan: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the entry that each row is of; -1 where none.

        Merging units send in the same order sample after sample: the order seen last is tried
        first, and is good only if every kept word of every row agrees.
        """
        if self.in_order:
            expected = self.as_before(np.ascontiguousarray(rows[:, : self.span]), vlan)
            if expected is not None:
                return expected
        kept = rows[:, : self.span] & self.mask[: self.span]
        vlan_id = vlan_ids(vlan)
        at = self._search(kept, vlan_id)
        same = (kept == self._known[at]).all(axis=1) & (vlan_id == self._vlans[at])
        if every(same) and every(vlan_id == vlan_id[0]):
            self._sequence = self._sequence_of(_period(at), int(vlan_id[0]))
        found: NDArray[np.int64] = np.where(same, self._numbers[at], -1)
        return found

    @property
    def in_order(self) -> bool:
        """Whether an order was seen that is worth to be tried first."""
        return self._sequence is not None

    def as_before(self, head: WordArray, vlan: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the entries of frames that come in the order seen last, None if one does not.

        An order that did not hold is forgotten: the search that follows tells the new one.

        Args:
            head: Words of each frame as far as the span, (n, span).
            vlan: TCI of each.
        """
        sequence, self._sequence = self._sequence, None
        if sequence is None or not alike(vlan):
            return None
        tci = int(vlan[0])
        if (UNTAGGED if tci == UNTAGGED else tci & VLAN_ID) != sequence.vlan_id:
            return None
        found = sequence.find(head)
        if found is not None:
            self._sequence = sequence
        return found

    def _sequence_of(self, period: NDArray[np.intp], vlan_id: int) -> _Sequence | None:
        if not len(period):
            return None
        order = np.tile(period, -(-_TILE // len(period)))
        return _Sequence(
            len(period),
            len(order),
            np.tile(self._known[order], (2, 1)),
            np.resize(self._numbers[order], BATCH + len(order)),
            np.tile(self.mask[: self.span], len(order)),
            vlan_id,
        )

    def _search(self, kept: WordArray, vlan_id: NDArray[np.int64]) -> NDArray[np.intp]:
        """Places in the table whose hash is that of each row, or any."""
        at = np.searchsorted(self._hashes, self._hash(kept, vlan_id))
        at[at == len(self._hashes)] = 0
        return np.asarray(at, dtype=np.intp)

    def _hash(self, kept: WordArray, vlan_id: NDArray[np.int64]) -> WordArray:
        total: WordArray = vlan_id.view(np.uint64) * self._factors[self.span]
        for word in range(self.span):
            total += kept[:, word] * self._factors[word]
        return total


def shape_key(layout: SvLayout, length: int) -> tuple[object, ...]:
    """Return what decides the shape of a frame."""
    return (length, layout.changing)
