"""The loop's own latency: from the last sampled-value frame to the order on the wire."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from agent.messages import LatencyView, OrderSent

WINDOW: Final = 2048


class LatencyMeter:
    """Software latency of the first order of each deciding estimate.

    One estimate may move many stations; the first order on the wire is the one that counts,
    as in `OrderSent.wire_s` (same estimate, same value).
    """

    def __init__(self) -> None:
        self._samples_ms: deque[float] = deque(maxlen=WINDOW)
        self._last_wire_s = 0.0
        self.count = 0

    def add(self, order: OrderSent) -> None:
        """Take one order; later orders of the same estimate do not count."""
        if order.wire_s <= self._last_wire_s:
            return
        self._last_wire_s = order.wire_s
        self._samples_ms.append((order.sent_s - order.wire_s) * 1000.0)
        self.count += 1

    def view(self) -> LatencyView:
        """Return the percentiles over the last orders, in milliseconds."""
        if not self._samples_ms:
            return LatencyView()
        p50, p99 = np.percentile(np.asarray(self._samples_ms), (50, 99))
        return LatencyView(self.count, float(p50), float(p99))
