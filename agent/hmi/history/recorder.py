"""Snapshots → rows: measurements at the wanted rate, samples of EVSEs, and what changed."""

from __future__ import annotations

import math

from agent.config import History
from agent.hmi.history.batch import Batch, EventRow, EvseRow, MeasurementRow
from agent.hmi.history.changes import Changes
from agent.messages import EvseView, Measurement, RequestOutcome, Snapshot, Validity

STALE_S = 0.5
"""A measurement that is older at its snapshot is no frequency any more."""


class Recorder:
    """Gathers the rows of one batch; `take` may be called with every snapshot.

    Args:
        settings: Rates.
    """

    def __init__(self, settings: History) -> None:
        self._rate_hz = settings.measurements_per_s
        self._period_s = settings.evse_period_s
        self._changes = Changes()
        self._batch = Batch()
        self._slot = -1
        self._last_utc_s = -math.inf
        self._sample_s = -math.inf

    def take(self, snapshot: Snapshot) -> None:
        """Take what a snapshot brings."""
        self._measure(snapshot)
        if snapshot.complete and snapshot.mono_s - self._sample_s >= self._period_s - 0.5:
            self._sample_s = snapshot.mono_s
            self._sample(snapshot.evses, snapshot.t_utc_s)
        self._batch.events += self._changes.see(snapshot)

    def note(self, kind: str, source: str, text: str, t_utc_s: float) -> None:
        """Record something that no snapshot tells."""
        self._batch.events.append(EventRow(t_utc_s, kind, source, text))

    def outcome(self, outcome: RequestOutcome) -> None:
        """Record what became of an order of this page."""
        text = f"{outcome.status} {outcome.reason}".strip()
        self.note("outcome", outcome.request_id, text, outcome.t_utc_s)

    def drain(self) -> Batch:
        """Return what was gathered since the last call."""
        batch, self._batch = self._batch, Batch()
        return batch

    def _measure(self, snapshot: Snapshot) -> None:
        """One row a slot; without a fresh frequency the powers are kept all the same."""
        measured = snapshot.measurement
        if measured is None or snapshot.mono_s - measured.published_s > STALE_S:
            measured, t_utc_s = None, snapshot.t_utc_s
        else:
            t_utc_s = measured.t_utc_s
        # Reports lie on multiples of their period: half a millisecond keeps rounding out of it.
        slot = math.floor((t_utc_s + 0.0005) * self._rate_hz)
        if slot == self._slot or t_utc_s == self._last_utc_s:
            return
        self._slot, self._last_utc_s = slot, t_utc_s
        loop = snapshot.loop
        self._batch.measurements.append(
            MeasurementRow(
                t_utc_s, *_frequency(measured), loop.target_w, loop.ordered_w, loop.delivered_w
            )
        )

    def _sample(self, views: tuple[EvseView, ...], t_utc_s: float) -> None:
        self._batch.evses += [
            EvseRow(
                t_utc_s,
                view.evse_id,
                view.status.p_w,
                view.ordered_w,
                view.status.soc_pct,
                view.status.online,
            )
            for view in views
        ]


def _frequency(
    measured: Measurement | None,
) -> tuple[float | None, float | None, float | None, Validity]:
    if measured is None:
        return None, None, None, Validity.INVALID
    return measured.f_hz, measured.rocof_hz_s, measured.v1_v, measured.quality
