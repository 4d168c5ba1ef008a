"""What is written to the store at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from agent.messages import Validity


class MeasurementRow(NamedTuple):
    """Frequency and power at one instant; None where a value is unknown.

    Attributes:
        t_utc_s: The instant that the frequency describes.
        target_w: After arbitration and limits. `ordered_w`: sum of the orders.
        p_w: Delivered by all EVSEs; positive exports.
    """

    t_utc_s: float
    f_hz: float | None
    rocof_hz_s: float | None
    v1_v: float | None
    quality: Validity
    target_w: float | None
    ordered_w: float | None
    p_w: float | None


class EvseRow(NamedTuple):
    """One EVSE at one instant."""

    t_utc_s: float
    evse_id: str
    p_w: float | None
    ordered_w: float | None
    soc_pct: float | None
    online: bool


class EventRow(NamedTuple):
    """Something that happened; `kind` is alarm, command, outcome, state, worker, evse or login."""

    t_utc_s: float
    kind: str
    source: str
    text: str


@dataclass(slots=True)
class Batch:
    """Rows of all tables."""

    measurements: list[MeasurementRow] = field(default_factory=list)
    evses: list[EvseRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.measurements) + len(self.evses) + len(self.events)
