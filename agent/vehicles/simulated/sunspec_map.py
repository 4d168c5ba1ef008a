"""The registers of a simulated SunSpec device, laid out from the published definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.vehicles.field.registers import Kind, Raw
from agent.vehicles.field.sunspec.discovery import END_ID, MARKER, build
from agent.vehicles.field.sunspec.layout import definition, lay_out
from agent.vehicles.field.sunspec.model import Model

LONGEST: Final = 1000
"""Registers that no model of ours exceeds."""


class RegisterMap:
    """A chain of models in a block of registers that starts at `base`.

    Args:
        models: Values by point, for each model number; what is not given is not implemented.
            Scale factors are given like other points.
        base: Address of the marker.
    """

    def __init__(self, models: Mapping[int, Mapping[str, Raw]], base: int = 40_000) -> None:
        self.base = base
        self.registers: list[int] = list(MARKER)
        self.models: dict[int, Model] = {}
        for number, values in models.items():
            address = base + len(self.registers)
            body = _body(number, values)
            self.models[number] = build(number, address, tuple(body))
            self.registers += body
        self.registers += [END_ID, 0]

    def get(self, number: int, name: str) -> float:
        """Return a value; NaN where it is not implemented."""
        model = self.models[number]
        at, size = self._place(model, name)
        value = model.value(name, self.registers[at : at + size])
        return value if isinstance(value, float) else float("nan")

    def put(self, number: int, name: str, value: float) -> None:
        """Change a value."""
        model = self.models[number]
        at, size = self._place(model, name)
        self.registers[at : at + size] = model.registers(name, value)

    def written(self, address: int, count: int) -> set[tuple[int, str]]:
        """Return which points a write to these registers touches, as (model, point)."""
        return {
            (number, point.name)
            for number, model in self.models.items()
            for point in model.points.values()
            if model.address + point.offset < address + count
            and address < model.address + point.offset + point.encoding.size
        }

    def writable(self, address: int, count: int) -> bool:
        """Whether all points there may be written."""
        touched = self.written(address, count)
        return bool(touched) and all(
            self.models[number].points[name].writable for number, name in touched
        )

    def _place(self, model: Model, name: str) -> tuple[int, int]:
        point = model.points[name]
        return model.address - self.base + point.offset, point.encoding.size


def _body(number: int, values: Mapping[str, Raw]) -> list[int]:
    """Return the registers of one model, header included."""
    document = definition(number)
    if document is None:
        raise ValueError(f"there is no SunSpec model {number}")
    registers = [0] * LONGEST
    for _ in range(2):  # the first pass finds the counts, the second the groups that they repeat
        points = lay_out(document, registers)
        for name, point in points.items():
            absent = point.encoding.absent
            raw = (
                [0] * point.encoding.size if absent is None else _words(absent, point.encoding.size)
            )
            if name in values and not point.scale:
                raw = list(point.encoding.encode(values[name]))
            registers[point.offset : point.offset + point.encoding.size] = raw
    points = lay_out(document, registers)
    for name, value in values.items():
        point = points[name]
        if point.scale and not isinstance(value, str):
            power = int(values[point.scale])
            registers[point.offset : point.offset + point.encoding.size] = point.encoding.encode(
                value if point.encoding.kind is Kind.STRING else value / 10.0**power
            )
    length = max(point.offset + point.encoding.size for point in points.values())
    registers[0], registers[1] = number, length - 2
    return registers[:length]


def _words(value: int, size: int) -> list[int]:
    return [value >> 16 * (size - 1 - at) & 0xFFFF for at in range(size)]
