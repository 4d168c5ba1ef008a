"""Small private files: replaced at once or not at all, readable by this process only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from loguru import logger

from agent import strict_json

T = TypeVar("T")


def write_private(path: Path, value: Any) -> None:
    """Replace a file by `value` as JSON; on disk when this returns.

    Raises:
        OSError: The disk does not take it; the old file is still there.
    """
    fresh = path.with_name(f"{path.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(value))
        file.flush()
        os.fsync(fd)
    fresh.replace(path)


def read_private(path: Path, kind: type[T]) -> T | None:
    """Return what a file holds; None where there is none, or none that can be used."""
    try:
        return strict_json.decode(path.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        aside = path.with_name(f"{path.name}.damaged")
        logger.error("{} cannot be used ({}), kept as {}", path, error, aside.name)
        path.replace(aside)
        return None
