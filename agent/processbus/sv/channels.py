"""Which octets of a data set are the three voltages and currents, and what a unit is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

VOLTAGE_UNIT_V: Final = 0.01
CURRENT_UNIT_A: Final = 0.001
"""Scale factors of 9-2LE and IEC 61869-9."""
PAIR: Final = 8
"""Octets of a value with its quality."""
QUESTIONABLE: Final = 1
TEST: Final = 2
_TEST_BIT: Final = 1 << 11
_VALIDITY: Final = 3
_VALIDITY_QUESTIONABLE: Final = 3

Place = tuple[int, int]
"""Offsets of a value and of its quality in the data; -1 where it has none."""

_KNOWN: Final[dict[int, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    3: ((0, 1, 2), ()),
    4: ((0, 1, 2), ()),
    6: ((3, 4, 5), (0, 1, 2)),
    8: ((4, 5, 6), (0, 1, 2)),
    9: ((6, 7, 8), (0, 1, 2)),
}
"""Voltages and currents by number of pairs: 3U, 4U, 3I3U, 4I4U (9-2LE), 6I3U (IEC 61869-9)."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Four octets at each of some offsets.

    Attributes:
        octets: Each of them.
        words: The same in words of four, None where an offset is no multiple of four.
    """

    octets: NDArray[np.intp]
    words: NDArray[np.intp] | None

    @classmethod
    def at(cls, offsets: list[int]) -> _Columns:
        """Return the columns at some offsets."""
        start = np.array(offsets, dtype=np.intp)
        octets = (start[:, np.newaxis] + np.arange(4)).reshape(-1)
        return cls(octets, None if (start % 4).any() else start // 4)

    def of(self, data: NDArray[np.uint8], kind: str) -> NDArray[np.generic]:
        """Return them as numbers, a row for each row."""
        if self.words is not None and data.shape[1] % 4 == 0:
            return np.asarray(data.view(kind)[:, self.words])
        return np.ascontiguousarray(data[:, self.octets]).view(kind)


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Places of the voltages A, B, C and, where measured, the currents A, B, C.

    Attributes:
        places: Three or six places, voltages first.
        units: What one count is worth, V or A, for each place.
        data_length: Octets of the data set that the places belong to.
        floating: The values are FLOAT32, not INT32.
    """

    places: tuple[Place, ...]
    units: tuple[float, ...]
    data_length: int
    floating: bool = False
    _scale: NDArray[np.float32] = field(init=False, repr=False, compare=False)
    _columns: _Columns = field(init=False, repr=False, compare=False)
    _pairs: bool = field(init=False, repr=False, compare=False)
    """The data are pairs of value and quality from end to end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scale", np.array(self.units, dtype=np.float32))
        object.__setattr__(self, "_columns", _Columns.at([value for value, _ in self.places]))
        pairs = all(value % PAIR == 0 and quality == value + 4 for value, quality in self.places)
        object.__setattr__(self, "_pairs", self.data_length % PAIR == 0 and pairs)

    @property
    def with_current(self) -> bool:
        """Whether there are currents."""
        return len(self.places) == 6

    def values(self, data: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return what the octets say.

        Args:
            data: (n, data_length).

        Returns:
            Values (n, channels) in V and A, NaN where their quality is invalid, and for each
            sample the bits `QUESTIONABLE` and `TEST` if any of its channels has them.
        """
        kind = ">f4" if self.floating else ">i4"
        raw = self._columns.of(data, kind)
        values = raw.astype(np.float32)
        values *= self._scale
        marks = np.zeros(len(data), dtype=np.uint8)
        if self._all_good(data):
            return values, marks
        rated = [column for column, (_, quality) in enumerate(self.places) if quality >= 0]
        quality = _Columns.at([self.places[column][1] for column in rated]).of(data, ">u4")
        if quality.any():
            words = quality.astype(np.uint32)
            validity = words & _VALIDITY
            questionable = validity == _VALIDITY_QUESTIONABLE
            invalid = (validity != 0) & ~questionable
            values[:, rated] = np.where(invalid, np.nan, values[:, rated])
            marks |= np.where(questionable.any(axis=1), QUESTIONABLE, 0).astype(np.uint8)
            marks |= np.where((words & _TEST_BIT).any(axis=1), TEST, 0).astype(np.uint8)
        return values, marks

    def _all_good(self, data: NDArray[np.uint8]) -> bool:
        """Whether no pair of any row has a bit of quality; False where that needs a closer look."""
        if not self._pairs or not data.flags.c_contiguous or not len(data):
            return False
        together = int(np.bitwise_or.reduce(data.reshape(-1).view("<u8")))
        return together >> 32 == 0  # the value came first


def default_channels(data_length: int) -> ChannelMap | None:
    """Return the usual map for a data set of pairs with this many octets; None if unusual."""
    count, rest = divmod(data_length, PAIR)
    if rest or count not in _KNOWN:
        return None
    voltages, currents = _KNOWN[count]
    return ChannelMap(
        places=tuple((PAIR * n, PAIR * n + 4) for n in (*voltages, *currents)),
        units=(VOLTAGE_UNIT_V,) * 3 + (CURRENT_UNIT_A,) * len(currents),
        data_length=data_length,
    )
