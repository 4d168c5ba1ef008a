"""From the estimator's arrays to `Measurement` messages."""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent.estimation import Quality
from agent.messages import Measurement, Validity
from agent.processbus.groups import Group, GroupReport
from agent.processbus.timeline import Timeline
from agent.processbus.tracks import Track

_VALIDITY = {
    Quality.GOOD: Validity.GOOD,
    Quality.QUESTIONABLE: Validity.QUESTIONABLE,
    Quality.HELD: Validity.HELD,
    Quality.INVALID: Validity.INVALID,
}


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
    for row, track in enumerate(group.tracks):
        if report.live[row]:
            measurement = _measurement(track, row, report, timeline, published_s, export_sign)
            group.label_s = measurement.t_utc_s - report.instant_s
            yield row, measurement


def _measurement(
    track: Track,
    row: int,
    report: GroupReport,
    timeline: Timeline,
    published_s: float,
    export_sign: int,
) -> Measurement:
    estimates = report.estimates
    voltages = estimates.v_rms_v[row]
    return Measurement(
        source=track.name,
        t_utc_s=timeline.utc_s(report.instant_s + track.offset_s),
        f_hz=float(estimates.f_hz[row]),
        rocof_hz_s=float(estimates.rocof_hz_s[row]),
        v1_v=float(estimates.v1_v[row]),
        quality=_quality(report, row),
        wire_s=timeline.monotonic_s(float(report.arrival_s[row])),
        published_s=published_s,
        uncertainty_hz=float(estimates.uncertainty_hz[row]),
        v_phase_v=(float(voltages[0]), float(voltages[1]), float(voltages[2])),
        p_w=_known(export_sign * float(estimates.p_w[row])),
        q_var=_known(export_sign * float(estimates.q_var[row])),
        smp_synch=int(report.smp_synch[row]),
        rocof_trip_hz_s=_known(float(estimates.rocof_trip_hz_s[row])) or 0.0,
    )


def _quality(report: GroupReport, row: int) -> Validity:
    quality = Quality(int(report.estimates.quality[row]))
    if quality is Quality.GOOD and report.questionable[row]:
        return Validity.QUESTIONABLE
    return _VALIDITY[quality]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
