"""A device that a file describes: which requests read it, and what its registers mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.vehicles.field.description import Command, Description, Input, Value
from agent.vehicles.field.dialogue import (
    MAX_READ,
    DeviceError,
    DeviceRefusedError,
    Dialogue,
    Read,
    Registers,
    Table,
    Write,
)
from agent.vehicles.field.limits import Limits, check_order
from agent.vehicles.field.readings import Readings, from_values
from agent.vehicles.field.registers import SIZES, Kind

NOT_THERE: Final = (1, 2)
"""Exceptions of a device that does not have these registers: other models of the family do."""
READ_BACK: Final = 1e-4
"""Share by which a float may come back changed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One request and what lies in its answer."""

    request: Read
    items: tuple[Value | Input, ...]


def plan(description: Description, group: str) -> list[Batch]:
    """Return the fewest requests that read a group within the device's limits."""
    items: list[Value | Input] = [*description.value, *description.input]
    spans = sorted(
        (
            (description.table_of(item), item.address, size_of(item), item)
            for item in items
            if item.group == group
        ),
        key=lambda span: span[:3],
    )
    batches: list[Batch] = []
    for table, address, size, item in spans:
        last = batches[-1] if batches else None
        if last is not None and last.request.table == table:
            end = last.request.address + last.request.count
            count = max(end, address + size) - last.request.address
            near = address - end <= description.max_gap
            if near and count <= min(description.max_registers, MAX_READ):
                request = Read(table, last.request.address, count)
                batches[-1] = Batch(request, (*last.items, item))
                continue
        batches.append(Batch(Read(table, address, size), (item,)))
    return batches


class DescribedDevice:
    """Reads a described device; one value that it refuses costs only that value.

    Args:
        description: Its registers.
        limits: Power that may be ordered, where it is an inverter.
    """

    def __init__(self, description: Description, limits: Limits | None = None) -> None:
        self.description = description
        self.limits = limits or Limits(0.0, 0.0)
        self._plans = {group: plan(description, group) for group in description.groups}
        self._values: dict[str, float | None] = {}
        self._states: dict[str, bool] = {}
        self._beat = 0

    @property
    def cannot(self) -> tuple[str, ...]:
        """What it cannot do, as `EvseStatus.cannot` says it."""
        lacks = []
        if self.description.command_for("p_set_w") is None:
            lacks.append("orders")
        if self.description.command_for("q_set_var") is None:
            lacks.append("reactive power")
        return tuple(lacks)

    @property
    def identity(self) -> tuple[str, str]:
        """Vendor and model."""
        vendor, _, model = self.description.name.partition(" ")
        return vendor, model

    @property
    def periods_s(self) -> tuple[float, ...]:
        """How often each read group is due."""
        return tuple(self.description.groups.values())

    def prepare(self) -> Dialogue[float | None]:
        """Read everything once; return the order that it still carries out, if it says so."""
        readings = yield from self.poll(range(len(self.description.groups)))
        return readings.setpoint_w

    def poll(self, groups: Sequence[int] = (0,)) -> Dialogue[Readings]:
        """Read these groups (by position) and return all values as last read."""
        names = tuple(self.description.groups)
        for position in groups:
            for batch in self._plans[names[position]]:
                yield from self._read(batch)
        if not self._values and not self._states:
            raise DeviceError("the device refuses every register of its description")
        return from_values(self._values, self._states)

    def order(self, p_w: float, q_var: float = 0.0) -> Dialogue[None]:
        """Order power and read it back.

        Raises:
            RefusedError: The device has no such register, or the value is outside its limits.
            DeviceRefusedError: It answered with an exception, or kept another value.
        """
        check_order(p_w, q_var, self.limits, self.cannot)
        yield from self._command("p_set_w", p_w)
        if self.description.command_for("q_set_var") is not None:
            yield from self._command("q_set_var", q_var)
        if self.description.command_for("enable") is not None:
            yield from self._command("enable", 1.0)

    def keep_alive(self, p_w: float | None, q_var: float = 0.0) -> Dialogue[None]:
        """Tell the device that its gateway lives: heartbeat, and the order in force again."""
        if self.description.command_for("heartbeat") is not None:
            self._beat = (self._beat + 1) & 0x7FFF
            yield from self._command("heartbeat", float(self._beat))
        if p_w is not None:
            yield from self._command("p_set_w", p_w)
            if self.description.command_for("q_set_var") is not None:
                yield from self._command("q_set_var", q_var)

    def stop(self) -> Dialogue[None]:
        """Order no power."""
        yield from self._command("p_set_w", 0.0)
        if self.description.command_for("q_set_var") is not None:
            yield from self._command("q_set_var", 0.0)

    def _read(self, batch: Batch) -> Dialogue[None]:
        try:
            registers = yield batch.request
        except DeviceRefusedError as error:
            if error.code not in NOT_THERE:
                raise
            for item in batch.items:
                self._values.pop(item.quantity, None)
                self._states.pop(item.quantity, None)
            return
        for item in batch.items:
            at = item.address - batch.request.address
            self._take(item, registers[at : at + size_of(item)])

    def _take(self, item: Value | Input, registers: Registers) -> None:
        if isinstance(item, Input):
            self._states[item.quantity] = (registers[0] >> item.bit) & 1 == item.active
            return
        raw = self.description.encoding_of(item).decode(registers)
        self._values[item.quantity] = None if raw is None else float(raw) * item.scale

    def _command(self, quantity: str, value: float) -> Dialogue[None]:
        command = self.description.command_for(quantity)
        if command is None:
            return
        registers = self._registers(command, value)
        yield Write(command.address, registers)
        if command.read_back and quantity != "heartbeat":
            kept = yield Read(Table.HOLDING, command.address, len(registers))
            if not self._same(command, kept, registers):
                raise DeviceRefusedError(f"{quantity} = {value:g} was not kept", 3)

    def _registers(self, command: Command, value: float) -> Registers:
        if not command.low <= value <= command.high:
            text = f"{command.quantity} = {value:g} is outside {command.low:g} to {command.high:g}"
            raise DeviceRefusedError(text, 3)
        try:
            return self.description.encoding_of(command).encode(value / command.scale)
        except ValueError as error:
            raise DeviceRefusedError(f"{command.quantity}: {error}", 3) from error

    def _same(self, command: Command, kept: Registers, sent: Registers) -> bool:
        encoding = self.description.encoding_of(command)
        one, other = encoding.decode(kept), encoding.decode(sent)
        if not isinstance(one, int | float) or not isinstance(other, int | float):
            return False
        return abs(one - other) <= (READ_BACK * abs(other) if encoding.kind.is_float else 0)


def size_of(item: Value | Input | Command) -> int:
    """Return how many registers (or bits) an item fills."""
    return 1 if isinstance(item, Input) else SIZES[Kind(item.type)]
