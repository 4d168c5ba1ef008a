"""JSON from disks and networks, with one error for all that is none."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import msgspec

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
