"""The models of one device: scaled values out of registers, registers out of scaled values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.errors import RefusedError
from agent.vehicles.field.dialogue import (
    MAX_READ,
    DeviceError,
    DeviceRefusedError,
    Dialogue,
    Read,
    Table,
    Write,
)
from agent.vehicles.field.registers import Raw
from agent.vehicles.field.sunspec.layout import Point

MAX_POWER: Final = 10
"""Scale factors are −10 to 10 (SunSpec Device Information Model, 4.4)."""
ILLEGAL_VALUE: Final = 3


@dataclass(frozen=True, slots=True)
class Model:
    """One model instance of a device.

    Attributes:
        model_id: Its number: 701, 704…
        address: Of its ID register.
        points: What the device has of it, by name.
        powers: Its scale factors, which do not change while a device runs.
        first: All its values as they were when it was discovered.
    """

    model_id: int
    address: int
    points: Mapping[str, Point]
    powers: Mapping[str, int]
    first: Mapping[str, float | str | None]

    def has(self, *names: str) -> bool:
        """Whether the device implements all these points.

        A point whose value reads "not implemented" is not, but a writable one may only never
        have been written.
        """
        return all(
            name in self.points
            and (self.first.get(name) is not None or self.points[name].writable)
            and self._scalable(self.points[name])
            for name in names
        )

    def value(self, name: str, registers: Sequence[int]) -> float | str | None:
        """Return one scaled value out of the registers of the whole point."""
        point = self.points[name]
        raw = point.encoding.decode(registers)
        if raw is None or isinstance(raw, str):
            return raw
        power = self._power(point)
        return None if power is None else _scaled(raw, power)

    def registers(self, name: str, value: Raw) -> tuple[int, ...]:
        """Return the registers that carry a value, rounded to what the scale factor can say.

        Raises:
            ValueError: The device has no such point, or it does not fit.
        """
        point = self.points.get(name)
        power = None if point is None else self._power(point)
        if point is None or power is None:
            raise ValueError(f"model {self.model_id} of this device has no usable {name}")
        if isinstance(value, str):
            return point.encoding.encode(value)
        return point.encoding.encode(value if power == 0 else value / 10.0**power)

    def write(self, values: Mapping[str, Raw]) -> list[Write]:
        """Return the fewest requests that write these values: neighbours share one.

        Raises:
            ValueError: A value that cannot be written to this device.
        """
        parts = sorted(
            (self.address + self.points[name].offset, self.registers(name, value))
            for name, value in values.items()
            if name in self.points or self._refuse(name)
        )
        joined: list[Write] = []
        for address, registers in parts:
            last = joined[-1] if joined else None
            if last is not None and last.address + len(last.registers) == address:
                joined[-1] = Write(last.address, last.registers + registers)
            else:
                joined.append(Write(address, registers))
        return joined

    def read(self, names: Sequence[str]) -> Dialogue[dict[str, float | str | None]]:
        """Read these points, in as few requests as they lie together."""
        wanted = sorted(
            (self.points[name] for name in names if name in self.points), key=lambda p: p.offset
        )
        values: dict[str, float | str | None] = dict.fromkeys(names)
        for block in blocks(wanted):
            start = block[0].offset
            end = block[-1].offset + block[-1].encoding.size
            found = yield Read(Table.HOLDING, self.address + start, end - start)
            for point in block:
                at = point.offset - start
                values[point.name] = self.value(point.name, found[at : at + point.encoding.size])
        return values

    def send(self, values: Mapping[str, Raw]) -> Dialogue[None]:
        """Write these values.

        Raises:
            DeviceRefusedError: One cannot be written to this device, or it answers so.
        """
        try:
            requests = self.write(values)
        except ValueError as error:
            raise DeviceRefusedError(str(error), ILLEGAL_VALUE) from error
        for request in requests:  # noqa: UP028 - a list would not take what is sent into it
            yield request

    def keep(self, wanted: Mapping[str, float]) -> Dialogue[None]:
        """Write what differs, enabling last, and see that it was kept; nothing is written twice.

        Raises:
            RefusedError: The device has no such point.
            DeviceError: It kept something else.
        """
        lacking = [name for name in wanted if not self.has(name)]
        if lacking:
            text = f"model {self.model_id} of the device has no {', '.join(lacking)}"
            raise RefusedError(text)
        before = yield from self.read(tuple(wanted))
        changed = {n: v for n, v in wanted.items() if not self.same(n, before[n], v)}
        if not changed:
            return
        enabling = {n: v for n, v in changed.items() if n.endswith("Ena")}
        for values in ({n: v for n, v in changed.items() if n not in enabling}, enabling):
            yield from self.send(values)
        after = yield from self.read(tuple(wanted))
        wrong = [n for n, v in wanted.items() if not self.same(n, after[n], v)]
        if wrong:
            names = ", ".join(f"{name} = {after[name]}" for name in wrong)
            raise DeviceError(f"model {self.model_id} did not keep what was written: {names}")

    def same(self, name: str, kept: float | str | None, wanted: float) -> bool:
        """Whether a value that was read is the one wanted, within half a step of its register."""
        point = self.points[name]
        step = 10.0 ** (self.powers.get(point.scale, 0) if point.scale else point.power)
        return isinstance(kept, float) and abs(kept - wanted) <= 0.51 * step

    def _refuse(self, name: str) -> bool:
        raise ValueError(f"model {self.model_id} of this device has no {name}")

    def _scalable(self, point: Point) -> bool:
        return self._power(point) is not None

    def _power(self, point: Point) -> int | None:
        return self.powers.get(point.scale) if point.scale else point.power


@dataclass(frozen=True, slots=True)
class Device:
    """What a device says of itself.

    Attributes:
        base: Where its chain of models starts.
        models: The first instance of each model, by number.
        unknown: Numbers of models that have no published definition.
    """

    base: int
    models: Mapping[int, Model]
    unknown: tuple[int, ...] = ()

    def identity(self, name: str) -> str:
        """A text of the common model: ``Mn`` manufacturer, ``Md`` model, ``SN`` serial number."""
        common = self.models.get(1)
        value = common.first.get(name) if common else None
        return value if isinstance(value, str) else ""


def blocks(points: Sequence[Point], gap: int = 16) -> list[list[Point]]:
    """Group points, sorted by offset, into reads that skip at most `gap` registers."""
    found: list[list[Point]] = []
    for point in points:
        last = found[-1] if found else None
        if last is not None:
            end = last[-1].offset + last[-1].encoding.size
            length = point.offset + point.encoding.size - last[0].offset
            if point.offset - end <= gap and length <= MAX_READ:
                last.append(point)
                continue
        found.append([point])
    return found


def _scaled(raw: int | float, power: int) -> float:
    # Dividing gives the nearest float of the decimal number; multiplying by 0.1 does not.
    return float(raw) * 10.0**power if power >= 0 else float(raw) / 10.0**-power
