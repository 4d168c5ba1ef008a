"""Is the system clock disciplined? The kernel knows (adjtimex(2), RFC 5905 section 11.3)."""

from __future__ import annotations

import ctypes
import time
from typing import Final

_TIME_ERROR: Final = 5
_TIMEX_SIZE: Final = 256
CHECK_PERIOD_S: Final = 1.0


class ClockWatch:
    """Reads the kernel's clock state at most once a second."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._checked_s = -CHECK_PERIOD_S
        self._synchronised = False

    @property
    def synchronised(self) -> bool:
        """NTP or PTP disciplines the clock now."""
        now_s = time.monotonic()
        if now_s - self._checked_s >= CHECK_PERIOD_S:
            self._checked_s = now_s
            state = self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE))
            self._synchronised = 0 <= state != _TIME_ERROR
        return self._synchronised
