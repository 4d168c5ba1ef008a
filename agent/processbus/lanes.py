"""Which samples can be written together: same group, same places in the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.processbus.groups import Group
from agent.processbus.sv.channels import ChannelMap
from agent.processbus.tracks import IGNORED, TrackTable

UNPLACED: Final = -1
"""Lane of entries that are followed but have no group yet."""
NOWHERE: Final = -2
"""Lane of entries that are not followed."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Entries whose samples go to one group and lie in the same places."""

    group: Group
    channels: ChannelMap


def _no_numbers() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Lanes:
    """Lookup by decoder entry; rebuilt when streams come, go or change.

    Attributes:
        of_entry: Lane of each entry. `row_of_entry`: its row in the lane's group.
        lanes: By number.
        only: The lane of all entries where they share one.
    """

    of_entry: NDArray[np.int64] = field(default_factory=_no_numbers)
    row_of_entry: NDArray[np.int64] = field(default_factory=_no_numbers)
    lanes: list[Lane] = field(default_factory=list)
    only: int | None = None

    def rebuild(self, table: TrackTable, groups: Sequence[Group]) -> None:
        """Look everything up again."""
        by_number = {group.number: group for group in groups}
        known: dict[tuple[int, ChannelMap], int] = {}
        lanes: list[Lane] = []
        of_entry, row_of_entry = [], []
        for number, channels in zip(table.of_entry, table.channels, strict=True):
            row, lane = IGNORED, NOWHERE
            if number != IGNORED and channels is not None:
                track = table.tracks[number]
                row, lane = track.row, UNPLACED
                if track.group != IGNORED:
                    key = (track.group, channels)
                    if key not in known:
                        known[key] = len(lanes)
                        lanes.append(Lane(by_number[track.group], channels))
                    lane = known[key]
            of_entry.append(lane)
            row_of_entry.append(row)
        self.lanes = lanes
        self.only = of_entry[0] if len(set(of_entry)) == 1 else None
        self.of_entry = np.array(of_entry, dtype=np.int64)
        self.row_of_entry = np.array(row_of_entry, dtype=np.int64)
