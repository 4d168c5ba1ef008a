"""A core of its own and real-time priority, where the system permits them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from typing import Final

from loguru import logger

PRIORITY: Final = 9
"""Below the control's, above everything that is not part of the loop."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT: Final = 1 << 28
RESERVE: Final = 16 << 20
"""Bytes of heap that are there from the start: more than the largest backlog takes."""


def keep_memory(reserve: int = RESERVE) -> None:
    """Ask the C library to keep what is freed: arrays of a batch come and go 100 times a second.

    By default each large one is a mapping of its own, and every page of it a fault; each thread
    has a heap of its own; and a backlog makes the heap grow when there is least time for it.

    Args:
        reserve: Bytes that are taken, touched and given back to the heap at once.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        bytearray(reserve)[:: resource.getpagesize()] = bytes(-(-reserve // resource.getpagesize()))


def settle_on_core(cpu: int | None) -> None:
    """Ask for SCHED_FIFO and bind this process to its core; a refusal is logged, not fatal."""
    keep_memory()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
    except OSError as error:
        logger.info("no real-time priority or core of its own: {}", error.strerror)
