"""Recognise many frames at once by comparing them with frames that were read with care.

Frames of one length are rows of 64-bit words. A mask keeps what never changes in a stream; a hash
of the kept words finds the candidate, and the kept words themselves decide. Every octet that is
not a counter, a time or a sample is compared in every frame: a frame that passes has exactly the
structure of the one that was parsed, so no offset can point outside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.processbus.frames import UNTAGGED
from agent.processbus.sv.layout import SvLayout

WordArray = NDArray[np.uint64]
WORD = 8


def _period(at: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the shortest stretch that the sequence repeats; empty if it does not."""
    again = np.flatnonzero(at[1:] == at[0])
    period = int(again[0]) + 1 if len(again) else 0
    if period and (at[period:] == at[:-period]).all():
        return at[:period]
    return at[:0]


def vlan_ids(vlan: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the VLAN identifiers of TCIs that the kernel took out; untagged stays."""
    ids: NDArray[np.int64] = np.where(vlan == UNTAGGED, UNTAGGED, vlan & 0xFFF)
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
    """

    layout: SvLayout
    length: int
    mask: WordArray
    _span: int = 0
    _hashes: WordArray = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    _known: WordArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint64))
    _numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _vlans: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _order: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
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
            words[:span],
            _span=span,
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
        kept = row[: self._span] & self.mask
        vlan_id = vlan_ids(np.array([vlan]))
        hashed = self._hash(kept[np.newaxis], vlan_id)[0]
        at = int(np.searchsorted(self._hashes, hashed))
        self._hashes = np.insert(self._hashes, at, hashed)
        self._known = np.insert(self._known, at, kept, axis=0)
        self._numbers = np.insert(self._numbers, at, number)
        self._vlans = np.insert(self._vlans, at, vlan_id[0])
        self._order = np.zeros(0, dtype=np.intp)

    def find(self, rows: WordArray, vlan: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the entry that each row is of; -1 where none.

        Merging units send in the same order sample after sample: the order seen last is tried
        first, and is good only if every kept word of every row agrees.
        """
        kept = rows[:, : self._span] & self.mask
        vlan_id = vlan_ids(vlan)
        if len(self._order):
            phase = self._search(kept[:1], vlan_id[:1])[0]
            begin = np.flatnonzero(self._order == phase)
            if len(begin):
                at = self._order[(begin[0] + np.arange(len(rows))) % len(self._order)]
                if (kept == self._known[at]).all() and (vlan_id == self._vlans[at]).all():
                    expected: NDArray[np.int64] = self._numbers[at]
                    return expected
        at = self._search(kept, vlan_id)
        same = (kept == self._known[at]).all(axis=1) & (vlan_id == self._vlans[at])
        if same.all():
            self._order = _period(at)
        found: NDArray[np.int64] = np.where(same, self._numbers[at], -1)
        return found

    def _search(self, kept: WordArray, vlan_id: NDArray[np.int64]) -> NDArray[np.intp]:
        """Places in the table whose hash is that of each row, or any."""
        at = np.searchsorted(self._hashes, self._hash(kept, vlan_id))
        at[at == len(self._hashes)] = 0
        return np.asarray(at, dtype=np.intp)

    def _hash(self, kept: WordArray, vlan_id: NDArray[np.int64]) -> WordArray:
        total: WordArray = vlan_id.view(np.uint64) * self._factors[self._span]
        for word in range(self._span):
            total += kept[:, word] * self._factors[word]
        return total


def shape_key(layout: SvLayout, length: int) -> tuple[object, ...]:
    """Return what decides the shape of a frame."""
    return (length, layout.changing)
