"""What clients have set and must survive a restart: set points, deadbands, modes, groups.

One small JSON file, replaced as a whole and synchronised to disk before the client is answered.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from loguru import logger

from agent import strict_json
from agent.errors import DecodeError
from agent.iec61850 import ObjectReference, Timestamp
from agent.ied.port import Native

FILE: Final = "ied-values.json"
Key = tuple[ObjectReference, int]
"""A leaf and its setting group; group 0 is no group."""


class Store:
    """Persistent leaf values. Thread-safe.

    Args:
        path: The file; None keeps everything in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._values: dict[Key, Native] = {} if path is None else _read(path)

    def items(self) -> Iterator[tuple[Key, Native]]:
        """Everything stored."""
        yield from list(self._values.items())

    def get(self, reference: ObjectReference, group: int = 0) -> Native | None:
        """The stored value of a leaf."""
        return self._values.get((reference, group))

    def set(self, reference: ObjectReference, value: Native, group: int = 0) -> None:
        """Remember one value."""
        self.set_many({(reference, group): value})

    def set_many(self, values: dict[Key, Native]) -> None:
        """Remember several values with one write of the file.

        Raises:
            OSError: The disk refuses; nothing is remembered then.
        """
        with self._lock:
            fresh = {**self._values, **values}
            if self._path is not None:
                _write(self._path, fresh)
            self._values = fresh


def _write(path: Path, values: dict[Key, Native]) -> None:
    document = {f"{group} {reference}": _encode(v) for (reference, group), v in values.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(document)))
        file.flush()
        os.fdatasync(file.fileno())
    fresh.replace(path)


def _read(path: Path) -> dict[Key, Native]:
    document = strict_json.read(path, dict[str, Any], "stored values are lost") or {}
    values: dict[Key, Native] = {}
    for name, raw in document.items():
        group, _, reference = name.partition(" ")
        try:
            values[ObjectReference.parse(reference), int(group)] = _decode(raw)
        except (DecodeError, ValueError, TypeError) as error:
            logger.error("{}: {}: ignored: {}", path, name, error)
    return values


def _encode(value: Native) -> object:
    if isinstance(value, Timestamp):
        return {"time": value.to_octets().hex()}
    return {"octets": value.hex()} if isinstance(value, bytes) else value


def _decode(raw: Any) -> Native:
    if isinstance(raw, dict):
        kind, text = next(iter(raw.items()))
        octets = bytes.fromhex(text)
        return Timestamp.from_octets(octets) if kind == "time" else octets
    if isinstance(raw, bool | int | float | str):
        return raw
    raise ValueError(f"{raw!r} is no value")
