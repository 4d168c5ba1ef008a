"""A core of its own and real-time priority, where the system permits them."""

from __future__ import annotations

import os
from typing import Final

from loguru import logger

PRIORITY: Final = 10
"""Below the control's, above everything that is not part of the loop."""


def settle_on_core(cpu: int | None) -> None:
    """Bind this process to a core and ask for SCHED_FIFO; a refusal is logged, not fatal."""
    if cpu is None:
        return
    try:
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as error:
        logger.warning("core {} with real-time priority was refused: {}", cpu, error.strerror)
