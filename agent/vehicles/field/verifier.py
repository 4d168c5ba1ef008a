"""Continuous verification: what an EVSE reports against what the analyser before it measures.

The last minutes of both are kept and compared every half minute. The result is published and, when
the variance leaves its limit or the report is off for certain, raises alarm 0x52.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agent.estimation.verification import Comparison, Floats, Verdict, compare
from agent.messages import EvseStatus, FieldReading, Validity, Verification

PERIOD_S: Final = 30.0
LEAST_S: Final = 60.0
"""A shorter record is not looked at."""
IDLE_W: Final = 100.0
"""RMS power below which a share of it means nothing."""

Samples = deque[tuple[float, float]]


@dataclass(slots=True)
class Verifier:
    """One analyser and the EVSE behind it.

    Attributes:
        device, evse_id: Their names.
        window_s: How much of the past is compared.
        limit: Variance that raises the alarm.
    """

    device: str
    evse_id: str
    window_s: float
    limit: float
    last: Verification | None = None
    _reported: Samples = field(default_factory=deque)
    _measured: Samples = field(default_factory=deque)
    _due_s: float = 0.0

    def report(self, status: EvseStatus) -> None:
        """Take what the EVSE says of itself."""
        if status.online and status.p_w is not None and status.quality is not Validity.INVALID:
            _add(self._reported, status.t_utc_s, status.p_w, self.window_s)

    def measure(self, reading: FieldReading) -> None:
        """Take what the analyser measured."""
        if reading.quality is Validity.GOOD and reading.p_w is not None:
            _add(self._measured, reading.t_utc_s, reading.p_w, self.window_s)

    def due(self, now_s: float) -> bool:
        """Whether it is time to compare, and there is something to compare."""
        if now_s < self._due_s or not (_span_s(self._reported) > LEAST_S < _span_s(self._measured)):
            return False
        self._due_s = now_s + PERIOD_S
        return True

    def records(self) -> tuple[Floats, Floats]:
        """Return copies of both records, shape (2, n): UTC seconds and W."""
        return np.array(self._reported).T, np.array(self._measured).T

    def compare(self, reported: Floats, measured: Floats) -> Verification:
        """Compare two records, which takes some milliseconds; safe in another thread."""
        found = compare(reported[0], reported[1], measured[0], measured[1])
        return self._message(found, float(np.sqrt(np.mean(measured[1] ** 2))))

    def trouble(self) -> str:
        """Say what the last comparison found wrong; empty for nothing."""
        last = self.last
        if last is None or not last.variance > self.limit:
            return ""
        return (
            f"{last.evse_id} reports {last.variance:.1%} off {last.device} "
            f"(gain {last.gain:.3f} ± {last.gain_u:.3f}, offset {last.offset_w:.0f} W, "
            f"lag {last.lag_s:.2f} s)"
        )

    def _message(self, found: Comparison, rms_w: float) -> Verification:
        self.last = Verification(
            device=self.device,
            evse_id=self.evse_id,
            t_utc_s=time.time(),
            window_s=found.seconds,
            samples=found.samples,
            gain=found.gain.value,
            gain_u=found.gain.half_width,
            offset_w=found.offset_w.value,
            offset_u_w=found.offset_w.half_width,
            lag_s=found.lag_s.value,
            lag_u_s=found.lag_s.half_width,
            variance=found.variance if rms_w > IDLE_W else math.nan,
            verdict=str(found.verdict if rms_w > IDLE_W else Verdict.INCONCLUSIVE),
        )
        return self.last


def _add(samples: Samples, t_utc_s: float, p_w: float, window_s: float) -> None:
    """Append what is newer than the last; after a step of the clock start anew."""
    if not (math.isfinite(t_utc_s) and math.isfinite(p_w)):
        return
    if samples and t_utc_s < samples[-1][0] - LEAST_S:
        samples.clear()
    if samples and t_utc_s <= samples[-1][0]:
        return
    samples.append((t_utc_s, p_w))
    while samples[0][0] < t_utc_s - window_s:
        samples.popleft()


def _span_s(samples: Samples) -> float:
    return samples[-1][0] - samples[0][0] if samples else 0.0
