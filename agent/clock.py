"""What the kernel knows of the wall clock: synchronised or not, by whom, how well, and steps.

No timer of the gateway runs on this clock. It stamps data, and signed dispatch is accepted only
while it is synchronised. The kernel's state (adjtimex(2), RFC 5905 clause 12) is the same for
NTP, chrony and PTP's phc2sys, and is what `timedatectl` shows.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TIME_ERROR: Final = 5
STA_UNSYNC: Final = 0x0040
STA_NANO: Final = 0x2000
MAX_ERROR_S: Final = 1.0
"""Beyond this bound of its error the clock counts as not synchronised."""
STEP_S: Final = 0.1
_MICRO: Final = 1e-6
_NANO: Final = 1e-9
_SOURCES: Final = (
    ("PTP", ("run/ptp4l", "run/ptp4lro", "run/timemaster")),
    ("chrony", ("run/chrony/chronyd.pid", "run/chronyd.pid")),
    ("ntpd", ("run/ntpd.pid", "run/ntpsec/ntpd.pid")),
    ("systemd-timesyncd", ("run/systemd/timesync/synchronized",)),
)


class _Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>, 64-bit Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_s", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True)
class ClockState:
    """State of the wall clock.

    Attributes:
        synchronised: A time service disciplines it, and its error bound is below a second.
        source: `PTP`, `chrony`, `ntpd`, `systemd-timesyncd`, or `kernel` where none is known.
        offset_s: Correction that the kernel is still to make.
        max_error_s: Bound of the error. `estimated_error_s`: what the service believes.
        tai_offset_s: TAI − UTC in whole seconds; 0 where nobody told the kernel.
        reason: Why it is not synchronised; empty where it is.
    """

    synchronised: bool
    source: str
    offset_s: float = 0.0
    max_error_s: float = 0.0
    estimated_error_s: float = 0.0
    tai_offset_s: int = 0
    reason: str = ""


def read_clock(root: Path = Path("/")) -> ClockState:
    """Ask the kernel; needs no privilege and changes nothing.

    Args:
        root: Where the time services' run-time files are looked for.
    """
    timex = _Timex()
    state = _libc().adjtimex(ctypes.byref(timex))
    source = clock_source(root)
    if state < 0:
        code = ctypes.get_errno()
        hint = ": the unit must allow adjtimex" if code == errno.EPERM else ""
        return ClockState(
            False, source, reason=f"the kernel does not say ({os.strerror(code)}){hint}"
        )
    return interpret(
        state, timex.status, timex.offset, timex.maxerror, timex.esterror, timex.tai, source
    )


@functools.cache
def _libc() -> ctypes.CDLL:
    """Each CDLL makes classes of its own, which is too much for every second."""
    return ctypes.CDLL(None, use_errno=True)


def interpret(
    state: int, status: int, offset: int, max_error_us: int, estimated_error_us: int,
    tai_offset_s: int, source: str,
) -> ClockState:  # fmt: skip
    """Return the state that the kernel's figures mean.

    Args:
        state: Return value of adjtimex.
        status: STA_* bits.
        offset: Nanoseconds where STA_NANO is set, else microseconds.
        max_error_us: Bound of the error in microseconds.
        estimated_error_us: What the time service believes.
        tai_offset_s: TAI − UTC.
        source: From `clock_source`.
    """
    reason = ""
    if status & STA_UNSYNC or state == TIME_ERROR:
        reason = "no time service disciplines the clock"
    elif max_error_us * _MICRO > MAX_ERROR_S:
        reason = f"its error may be {max_error_us * _MICRO:.1f} s"
    return ClockState(
        synchronised=not reason,
        source=source,
        offset_s=offset * (_NANO if status & STA_NANO else _MICRO),
        max_error_s=max_error_us * _MICRO,
        estimated_error_s=estimated_error_us * _MICRO,
        tai_offset_s=tai_offset_s,
        reason=reason,
    )


def clock_source(root: Path = Path("/")) -> str:
    """Return which time service runs here, from its run-time files."""
    for name, files in _SOURCES:
        if any((root / file).exists() for file in files):
            return name
    return "kernel"


class StepDetector:
    """Finds steps of the wall clock against CLOCK_MONOTONIC; slewing (≤ 500 ppm) is no step."""

    def __init__(self, threshold_s: float = STEP_S) -> None:
        self._threshold_s = threshold_s
        self._difference_s: float | None = None

    def observe(self, utc_s: float, mono_s: float) -> float:
        """Return the size of a step since the last call in seconds; 0 for none.

        Args:
            utc_s: The wall clock.
            mono_s: CLOCK_MONOTONIC, read right after it.
        """
        difference_s = utc_s - mono_s
        before_s, self._difference_s = self._difference_s, difference_s
        if before_s is None or abs(difference_s - before_s) < self._threshold_s:
            return 0.0
        return difference_s - before_s
