"""A GOOSE publisher for the simulated bay: retransmission as IEC 61850-8-1 draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from agent.iec61850 import Timestamp
from agent.processbus.goose.pdu import COUNTER_LIMIT, GooseMessage, encode_frame
from agent.processbus.goose.values import BitString, DataTag, Leaf

FIRST_REPETITION_S: Final = 0.004
HEARTBEAT_S: Final = 1.0
_LIFE: Final = 2.0
"""Time to live, in repetition intervals."""
GOOD: Final = BitString(bytes(2), 3)
CLOSED: Final = BitString(b"\x80", 6)
OPEN: Final = BitString(b"\x40", 6)


@dataclass(slots=True)
class BayPublisher:
    """Frequency and breaker position of a bay: Hz.mag.f, q, t, Pos.stVal, q, t.

    Attributes:
        ied, ld: Names that make up the references.
        go_id: Of the messages. `appid`, `destination`: of the frames.
    """

    ied: str = "BAY1"
    ld: str = "LD0"
    go_id: str = "BAY1/gcbMeasurements"
    appid: int = 1
    destination: bytes = bytes.fromhex("010ccd010001")
    _st_num: int = 0
    _sq_num: int = 0
    _state: tuple[float, bool] = (math.nan, False)
    _since: Timestamp = field(default_factory=lambda: Timestamp(0))
    _next_s: float = -math.inf
    _interval_s: float = FIRST_REPETITION_S

    def due(self, f_hz: float, closed: bool, now_s: float, utc_ns: int) -> bytes | None:
        """Return the frame to send now, if one is due.

        Args:
            f_hz: Frequency.
            closed: Breaker position.
            now_s: Monotonic time.
            utc_ns: UTC.
        """
        if (f_hz, closed) != self._state:
            self._state = (f_hz, closed)
            self._st_num, self._sq_num = self._st_num % (COUNTER_LIMIT - 1) + 1, 0
            self._since = Timestamp.from_utc_ns(utc_ns)
            self._interval_s = FIRST_REPETITION_S
        elif now_s < self._next_s:
            return None
        else:
            self._sq_num = self._sq_num + 1 if self._sq_num + 1 < COUNTER_LIMIT else 1
            self._interval_s = min(2 * self._interval_s, HEARTBEAT_S)
        self._next_s = now_s + self._interval_s
        message = self._message(f_hz, closed)
        return encode_frame(message, appid=self.appid, destination=self.destination)

    def _message(self, f_hz: float, closed: bool) -> GooseMessage:
        since = Leaf(DataTag.UTC_TIME, self._since)
        good = Leaf(DataTag.BIT_STRING, GOOD)
        return GooseMessage(
            gocb_ref=f"{self.ied}{self.ld}/LLN0$GO$gcbMeasurements",
            dat_set=f"{self.ied}{self.ld}/LLN0$Measurements",
            go_id=self.go_id,
            t=self._since,
            st_num=self._st_num,
            sq_num=self._sq_num,
            conf_rev=1,
            time_allowed_to_live_s=_LIFE * self._interval_s * 2,
            members=6,
            values=(
                Leaf(DataTag.FLOATING_POINT, f_hz),
                good,
                since,
                Leaf(DataTag.BIT_STRING, CLOSED if closed else OPEN),
                good,
                since,
            ),
        )
