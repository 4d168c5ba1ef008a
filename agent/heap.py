"""What is asked of the C library's heap. Other C libraries than GNU's have their own ways."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import resource
from typing import Any, Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT: Final = 1 << 28


def keep(reserve: int) -> None:
    """Keep what is freed, for a process whose arrays come and go 100 times a second.

    By default each large one is a mapping of its own, and every page of it a fault; each thread
    has a heap of its own; and a backlog makes the heap grow when there is least time for it.

    Args:
        reserve: Bytes that are taken, touched and given back to the heap at once.
    """
    with contextlib.suppress(AttributeError):
        mallopt = _libc().mallopt
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)
        page = resource.getpagesize()
        bytearray(reserve)[::page] = bytes(-(-reserve // page))


def give_back() -> None:
    """Give free pages back to the system, also those between what is still in use."""
    with contextlib.suppress(AttributeError):
        _libc().malloc_trim(0)


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None)
