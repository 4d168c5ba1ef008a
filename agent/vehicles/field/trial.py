"""A device tried by its file: every register that does not answer as the file says is a remark.

The worker passes over what a device lacks; whoever writes a device file wants to hear of it. Each
item is read, and where its request is refused it is read alone, in the other table too; numbers
that cannot be true are tried with their words the other way round. Nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from agent.vehicles.field.described import Batch, plan, size_of
from agent.vehicles.field.description import Command, Description, Input, Value
from agent.vehicles.field.dialogue import DeviceRefusedError, Dialogue, Read, Registers, Table
from agent.vehicles.field.readings import Readings, from_values
from agent.vehicles.field.registers import Encoding

CODES: Final = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value",
    4: "device failure", 6: "device busy",
}  # fmt: skip
"""Exception codes (Modbus Application Protocol V1.1b3, 7)."""
FREQUENCY_HZ: Final = (40.0, 70.0)
LEAST, MOST = 1e-6, 1e9
"""Magnitudes of a float beyond which its words are in the wrong order, or it is none."""
ROOM: Final = 0.05
"""Share by which powers of one instant may differ: registers are not sampled at the same time."""
ROOM_W: Final = 20.0

Item = Value | Input | Command


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing in which a device differs from its file.

    Attributes:
        key: In the file: ``value[3]``; ``model 704`` of a SunSpec device.
        quantity: What it is about.
        register: Its first register; None where there is none.
        table: Where that lies.
        what: The problem. `hint`: what to do about it.
    """

    key: str
    quantity: str
    register: int | None
    table: str
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a device answered.

    Attributes:
        readings: As the worker would make them.
        remarks: Empty where all is as the file says.
    """

    readings: Readings
    remarks: tuple[Remark, ...]


def examine(description: Description) -> Dialogue[Trial]:
    """Read every item of a file once.

    Raises:
        DeviceError: No answer, or one that does not belong to the request.
    """
    found: dict[str, Registers] = {}
    remarks: list[Remark] = []
    for group in description.groups:
        for batch in plan(description, group):
            yield from _read(description, batch, found, remarks)
    for at, command in enumerate(description.command):
        yield from _read_back(f"command[{at}]", command, remarks)
    values, states = _decoded(description, found)
    readings = from_values(values, states)
    remarks += _values(description, found)
    remarks += _sums(description, readings)
    order = [key for key, _ in _items(description)]
    return Trial(readings, tuple(sorted(remarks, key=lambda r: order.index(r.key))))


def _items(description: Description) -> Iterator[tuple[str, Item]]:
    for name in ("value", "input", "command"):
        for at, item in enumerate(getattr(description, name)):
            yield f"{name}[{at}]", item


def _key(description: Description, wanted: Item) -> str:
    return next(key for key, item in _items(description) if item is wanted)


def _read(
    description: Description, batch: Batch, found: dict[str, Registers], remarks: list[Remark]
) -> Dialogue[None]:
    request = batch.request
    try:
        registers = yield request
    except DeviceRefusedError as error:
        yield from _read_alone(description, batch, error, found, remarks)
        return
    for item in batch.items:
        at = item.address - request.address
        found[item.quantity] = registers[at : at + size_of(item)]


def _read_alone(
    description: Description,
    batch: Batch,
    together: DeviceRefusedError,
    found: dict[str, Registers],
    remarks: list[Remark],
) -> Dialogue[None]:
    """Find out which item of a refused request the device refuses."""
    refused = 0
    for item in batch.items:
        table = description.table_of(item)
        error: DeviceRefusedError | None = together
        if len(batch.items) > 1:
            registers, error = yield from _try(Read(table, item.address, size_of(item)))
            found[item.quantity] = registers
        if error is not None:
            refused += 1
            found.pop(item.quantity, None)
            hint = yield from _elsewhere(item, table)
            remarks.append(_remark(description, item, _refusal(error), hint))
    if not refused:
        last = batch.request.address + batch.request.count - 1
        what = f"registers {batch.request.address} to {last} are refused in one request, "
        what += f"but answered one by one: {_refusal(together)}"
        hint = "lower max_gap (registers that nobody asked for) or max_registers"
        remarks.append(_remark(description, batch.items[0], what, hint))


def _try(request: Read) -> Dialogue[tuple[Registers, DeviceRefusedError | None]]:
    try:
        registers = yield request
    except DeviceRefusedError as error:
        return (), error
    return registers, None


def _elsewhere(item: Value | Input, table: Table) -> Dialogue[str]:
    """Look whether the other table of registers has it."""
    other = {Table.HOLDING: Table.INPUT, Table.INPUT: Table.HOLDING}.get(table)
    if other is not None:
        _, error = yield from _try(Read(other, item.address, size_of(item)))
        if error is None:
            return f'table = "{other}" is answered'
    return "another model or firmware? compare with its manual"


def _refusal(error: DeviceRefusedError) -> str:
    return f"refused with code {error.code} ({CODES.get(error.code, 'unknown')})"


def _read_back(key: str, command: Command, remarks: list[Remark]) -> Dialogue[None]:
    if not command.read_back or command.quantity == "heartbeat":
        return
    _, error = yield from _try(Read(Table.HOLDING, command.address, size_of(command)))
    if error is not None:
        what = f"cannot be read back: {_refusal(error)}"
        hint = "read_back = false, where the manual says that it can only be written"
        place = Table.HOLDING.value
        remarks.append(Remark(key, command.quantity, command.address, place, what, hint))


def _remark(description: Description, item: Value | Input, what: str, hint: str = "") -> Remark:
    place = description.table_of(item).value
    return Remark(_key(description, item), item.quantity, item.address, place, what, hint)


def _decoded(
    description: Description, found: dict[str, Registers]
) -> tuple[dict[str, float | None], dict[str, bool]]:
    values: dict[str, float | None] = {}
    for value in description.value:
        if value.quantity in found:
            values[value.quantity] = _number(value, description, found[value.quantity])
    states = {
        item.quantity: (found[item.quantity][0] >> item.bit) & 1 == item.active
        for item in description.input
        if item.quantity in found
    }
    return values, states


def _number(value: Value, description: Description, registers: Registers) -> float | None:
    raw = description.encoding_of(value).decode(registers)
    return None if raw is None else float(raw) * value.scale


def _values(description: Description, found: dict[str, Registers]) -> Iterator[Remark]:
    """Each number by itself."""
    for value in description.value:
        registers = found.get(value.quantity)
        if registers is None:
            continue
        number = _number(value, description, registers)
        if number is None:
            raw = " ".join(f"{register:04X}" for register in registers)
            hint = "the device does not measure it; or address or type are wrong"
            yield _remark(description, value, f"has no value (registers {raw})", hint)
        elif not _believable(value, number):
            hint = _turned(value, description.encoding_of(value), registers)
            what = f"reads {number:g} {value.unit}"
            yield _remark(description, value, what, hint or "check address, type and scale")


def _believable(value: Value, number: float) -> bool:
    if value.quantity == "f_hz":
        return FREQUENCY_HZ[0] <= number <= FREQUENCY_HZ[1]
    most = MOST if value.unit != "%" else 1000.0
    return number == 0.0 or LEAST <= abs(number) <= most


def _turned(value: Value, encoding: Encoding, registers: Registers) -> str:
    """Say what the value would be with its words the other way round, where that is believable."""
    if len(registers) == 1:
        return ""
    other = replace(encoding, words="little" if encoding.words == "big" else "big")
    raw = other.decode(registers)
    if raw is None:
        return ""
    number = float(raw) * value.scale
    if not (math.isfinite(number) and number and _believable(value, number)):
        return ""
    return f'with words = "{other.words}" it is {number:g} {value.unit}'


def _sums(description: Description, readings: Readings) -> Iterator[Remark]:
    """Powers against each other, and against voltage times current."""
    by_name = {value.quantity: value for value in description.value}
    phases = zip(readings.p_phase_w, readings.v_phase_v, readings.i_phase_a, strict=True)
    for number, (p_w, volts, amperes) in enumerate(phases, start=1):
        if p_w is None or volts is None or amperes is None:
            continue
        most_va = abs(volts * amperes)
        if abs(p_w) > (1.0 + ROOM) * most_va + ROOM_W:
            what = f"reads {p_w:g} W at {volts:g} V and {amperes:g} A, which make {most_va:g} VA"
            hint = "check scale and type of the three"
            yield _remark(description, by_name[f"p_l{number}_w"], what, hint)
    known = [p_w for p_w in readings.p_phase_w if p_w is not None]
    if "p_w" in by_name and readings.p_w is not None and len(known) == 3:
        room_w = ROOM * sum(map(abs, known)) + ROOM_W
        if abs(sum(known) - readings.p_w) > room_w:
            what = f"reads {readings.p_w:g} W where L1 to L3 make {sum(known):g} W"
            yield _remark(description, by_name["p_w"], what, "check scale and sign of the four")
