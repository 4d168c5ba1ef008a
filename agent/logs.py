"""One log format for every process: a line for people, or JSON where a machine reads it."""

from __future__ import annotations

import os
import sys

from loguru import logger

_FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSSSSS[Z]!UTC} {level: <7} {extra[process]}: {message}"


def set_up_logging(process: str, level: str | None = None) -> None:
    """Send this process's log to standard error (the journal, under systemd).

    Args:
        process: The name that every line starts with.
        level: Lowest level shown; the environment's `V2G_LOG_LEVEL`, else INFO, where None.
            `V2G_LOG_JSON=1` writes one JSON object a line.
    """
    logger.remove()
    logger.configure(extra={"process": process})
    logger.add(
        sys.stderr,
        level=level or os.environ.get("V2G_LOG_LEVEL", "INFO"),
        format=_FORMAT,
        serialize=os.environ.get("V2G_LOG_JSON") == "1",
        backtrace=False,
        diagnose=False,
    )
