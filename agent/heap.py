"""Memory before it is needed, and back when it is not.

Most of it is asked of the C library's heap; other C libraries than GNU's have their own ways.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import math
import resource
import sys
from typing import Any, Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT: Final = 1 << 28
SETTLED_S: Final = 120.0
"""A process has by then loaded its models and seen the stations that were there."""
ROOM: Final = 4 << 20
"""Bytes for the messages and orders of some seconds that were held up."""
_LARGEST_SMALL: Final = 512
"""Octets of the largest object that the interpreter's own allocator takes."""
_PINNED: Final = 512 << 10
"""One object is left in each so many bytes: half an arena of the allocator (CPython 3.10)."""


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


def keep_what_lives() -> None:
    """What lives now lives to the end: later collections need not visit it."""
    gc.collect()
    gc.freeze()


class Reserve:
    """Room for the small objects of a burst, taken once when the process has what it keeps.

    The interpreter has arenas for small objects, whose pages are touched for the first time when
    there is most to do: after a wait, when all that waited is worked off. An object that stays
    in each arena keeps it.
    """

    def __init__(self, begun_s: float) -> None:
        self._due_s = begun_s + SETTLED_S
        self._pins: list[bytes] = []

    def look(self, now_s: float) -> None:
        """Take the room if it is time (monotonic)."""
        if now_s < self._due_s:
            return
        self._due_s = math.inf
        filling = _LARGEST_SMALL - sys.getsizeof(b"")
        blocks = [bytes(filling) for _ in range(ROOM // _LARGEST_SMALL)]
        self._pins = blocks[:: _PINNED // _LARGEST_SMALL]


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None)
