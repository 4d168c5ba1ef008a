"""From the estimator's arrays to `Measurement` messages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from agent.estimation import Quality
from agent.estimation.arrays import FloatArray, some
from agent.messages import Measurement, Validity
from agent.processbus.groups import Group, GroupReport
from agent.processbus.timeline import Timeline

_VALIDITY: Final = {
    Quality.GOOD.value: Validity.GOOD,
    Quality.QUESTIONABLE.value: Validity.QUESTIONABLE,
    Quality.HELD.value: Validity.HELD,
    Quality.INVALID.value: Validity.INVALID,
}
_GOOD, _QUESTIONABLE, _HELD, _INVALID = (code.value for code in Quality)


def measurements(
    group: Group,
    report: GroupReport,
    timeline: Timeline,
    published_s: float,
    export_sign: int = 1,
) -> Iterator[tuple[int, Measurement]]:
    """Yield row and message of each stream of a group.

    Args:
        group: The streams.
        report: What was estimated.
        timeline: Translates bus time.
        published_s: Monotonic instant at which it is known.
        export_sign: -1 where the current transformers count import as positive.
    """
    estimates = report.estimates
    # A counter without a clock is alone in its group: one label holds for all rows.
    t_utc_s = timeline.utc_s(report.instant_s + group.tracks[0].label_s)
    group.label_s = t_utc_s - report.instant_s
    # Columns become lists at once: a number at a time out of an array costs ten times as much.
    columns = zip(
        group.tracks,
        report.live.tolist(),
        estimates.f_hz.tolist(),
        estimates.rocof_hz_s.tolist(),
        estimates.v1_v.tolist(),
        _worst(report).tolist(),
        timeline.monotonic_s(report.arrival_s).tolist(),
        estimates.uncertainty_hz.tolist(),
        map(tuple, estimates.v_rms_v.tolist()),
        _known(export_sign * estimates.p_w),
        _known(export_sign * estimates.q_var),
        report.smp_synch.tolist(),
        _known(estimates.rocof_trip_hz_s),
        estimates.v1_phase_rad.tolist(),
        strict=True,
    )
    for row, (
        track, live, f_hz, rocof_hz_s, v1_v, quality, wire_s, uncertainty_hz, v_phase_v,
        p_w, q_var, smp_synch, rocof_trip_hz_s, v1_phase_rad,
    ) in enumerate(columns):  # fmt: skip
        if not live:
            continue
        yield (
            row,
            Measurement(
                source=track.name,
                t_utc_s=t_utc_s,
                f_hz=f_hz,
                rocof_hz_s=rocof_hz_s,
                v1_v=v1_v,
                quality=_VALIDITY[quality],
                wire_s=wire_s,
                published_s=published_s,
                uncertainty_hz=uncertainty_hz,
                v_phase_v=v_phase_v,
                p_w=p_w,
                q_var=q_var,
                smp_synch=smp_synch,
                rocof_trip_hz_s=rocof_trip_hz_s or 0.0,
                v1_phase_rad=v1_phase_rad,
            ),
        )


def _worst(report: GroupReport) -> np.ndarray:
    """Quality codes, with what doubtful or absent samples make of a report."""
    quality = report.estimates.quality
    if not some(report.questionable) and not some(report.dark):
        return quality
    doubtful = report.questionable & (quality == _GOOD)
    return np.where(report.dark, _INVALID, np.where(doubtful, _QUESTIONABLE, quality))


def _known(values: FloatArray) -> list[float | None]:
    """Numbers, and None where there is none."""
    numbers: list[float] = values.tolist()
    if math.isfinite(sum(numbers)):  # so is each of them
        return list(numbers)
    return [number if math.isfinite(number) else None for number in numbers]
