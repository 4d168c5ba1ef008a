"""A core of its own and real-time priority, where the system permits them."""

from __future__ import annotations

import os
from typing import Final

from loguru import logger

from agent import heap

PRIORITY: Final = 9
"""Below the control's, above everything that is not part of the loop."""
RESERVE: Final = 24 << 20
"""Bytes of heap that are there from the start: more than filters, events and a backlog take."""


def prepare_memory() -> None:
    """Give this process its heap; to be called before any thread has begun one of its own."""
    heap.keep(RESERVE)


def settle_on_core(cpu: int | None) -> None:
    """Ask for SCHED_FIFO and bind this process to its core; a refusal is logged, not fatal."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
    except OSError as error:
        logger.info("no real-time priority or core of its own: {}", error.strerror)
