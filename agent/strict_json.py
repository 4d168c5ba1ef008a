"""JSON from disks and networks, with one error for all that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec
from loguru import logger

T = TypeVar("T")


@overload
def decode(data: bytes, kind: type[T]) -> T: ...
@overload
def decode(data: bytes, kind: Any) -> Any: ...
def decode(data: bytes, kind: Any) -> Any:
    """Return the value of `kind` in `data`.

    Raises:
        msgspec.DecodeError: The bytes are no JSON, no UTF-8 or no such value.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except UnicodeDecodeError as error:  # inside a string, which msgspec does not wrap
        raise msgspec.DecodeError(str(error)) from error


def read(path: Path, kind: type[T], loss: str) -> T | None:
    """Return what a file of our own holds; None where there is none, or none that can be used.

    Args:
        path: The file.
        kind: What is in it.
        loss: What a damaged file means, for the log.
    """
    try:
        return decode(path.read_bytes(), kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        logger.error("{}: {}: {}", path, loss, error)
        return None
