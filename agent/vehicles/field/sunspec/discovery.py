"""Find a device's models: the marker ``SunS``, then a chain of headers (ID, length) to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent.vehicles.field.dialogue import (
    DeviceError,
    DeviceTimeoutError,
    Dialogue,
    Read,
    Registers,
    Table,
    read_block,
)
from agent.vehicles.field.sunspec.layout import Point, definition, lay_out
from agent.vehicles.field.sunspec.model import MAX_POWER, Device, Model

BASES: Final = (40_000, 0, 50_000)
"""Where a chain may start (SunSpec Device Information Model, 5.1), the usual one first."""
MARKER: Final = (0x5375, 0x6E53)
END_ID: Final = 0xFFFF
MAX_MODELS: Final = 100
MAX_REGISTERS: Final = 10_000
"""A longer chain is not a device's description of itself."""
WANTED: Final = frozenset({1, *range(701, 716)})
"""Models whose registers are read and laid out; of others only the number is noted."""


def discover(bases: Sequence[int] = BASES) -> Dialogue[Device]:
    """Find the chain of models and read those that are wanted.

    Raises:
        DeviceError: No SunSpec marker, or a chain that has no end.
    """
    base = yield from _find(bases)
    models: dict[int, Model] = {}
    unknown: list[int] = []
    address = base + len(MARKER)
    for _ in range(MAX_MODELS):
        model_id, length = yield Read(Table.HOLDING, address, 2)
        if model_id == END_ID:
            return Device(base, models, tuple(unknown))
        if address + 2 + length > min(base + MAX_REGISTERS, 0xFFFF):
            break
        if model_id not in WANTED:
            unknown.append(model_id)
        elif model_id not in models:
            body = yield from read_block(Table.HOLDING, address + 2, length)
            models[model_id] = build(model_id, address, (model_id, length, *body))
        address += 2 + length
    raise DeviceError(f"the chain of SunSpec models has no end (at register {address})")


def build(model_id: int, address: int, registers: Registers) -> Model:
    """Return the model whose registers these are, header included.

    Raises:
        DeviceError: No definition of this number is published.
    """
    document = definition(model_id)
    if document is None:
        raise DeviceError(f"there is no published definition of SunSpec model {model_id}")
    points = lay_out(document, registers)
    powers: dict[str, int] = {}
    for name in {point.scale for point in points.values() if point.scale}:
        raw = _raw(points[name], registers) if name in points else None
        if raw is not None and not isinstance(raw, str) and abs(raw) <= MAX_POWER:
            powers[name] = int(raw)
    bare = Model(model_id, address, points, powers, {})
    first = {
        name: bare.value(name, registers[p.offset : p.offset + p.encoding.size])
        for name, p in points.items()
    }
    return Model(model_id, address, points, powers, first)


def _find(bases: Sequence[int]) -> Dialogue[int]:
    for base in bases:
        try:
            marker = yield Read(Table.HOLDING, base, len(MARKER))
        except DeviceTimeoutError:
            raise
        except DeviceError:
            continue  # nothing at this address; some devices answer that with no registers at all
        if marker == MARKER:
            return base
    places = ", ".join(str(base) for base in bases)
    raise DeviceError(f"no SunSpec marker at registers {places}: not a SunSpec device")


def _raw(point: Point, registers: Registers) -> float | str | None:
    return point.encoding.decode(registers[point.offset : point.offset + point.encoding.size])
