"""A meter or analyser that a device file describes, as a Modbus device with values of our choice.

Its registers are exactly those of the file, so the file and the worker can be tried without the
device; like a real one it refuses registers that it does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.vehicles.field.described import plan
from agent.vehicles.field.description import Description
from agent.vehicles.field.dialogue import Table

Values = Mapping[str, float]


@dataclass(slots=True)
class SimulatedAnalyser:
    """One device.

    Attributes:
        description: Its registers.
        values: Asked at every request: quantity or input → value; 0 for what is not named.
    """

    description: Description
    values: Callable[[], Values]
    _spans: dict[Table, list[tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in self.description.groups:
            for batch in plan(self.description, group):
                request = batch.request
                span = (request.address, request.address + request.count)
                self._spans.setdefault(request.table, []).append(span)

    def device(self, unit: int = 1) -> SimDevice:
        """Return it as a device that pymodbus serves."""
        last = max(end for spans in self._spans.values() for _, end in spans)
        words = SimData(0, values=[0] * last, datatype=DataType.REGISTERS)
        bits = SimData(0, values=[False] * last, datatype=DataType.BITS)
        return SimDevice(id=unit, simdata=([bits], [bits], [words], [words]), action=self.act)

    async def act(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Serve one request: pymodbus calls it before it reads the registers."""
        table = {2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}.get(function_code)
        spans = self._spans.get(table, []) if table is not None else []
        if set_values is not None or not _covered(address, count, spans):
            return ExcCodes.ILLEGAL_ADDRESS
        values = self.values()
        for value in self.description.value:
            if self.description.table_of(value) is table:
                raw = values.get(value.quantity, 0.0) / value.scale
                registers = self.description.encoding_of(value).encode(raw)
                at = value.address - start_address
                current_registers[at : at + len(registers)] = registers
        for each in self.description.input:
            if each.table == table:
                state = bool(values.get(each.quantity, 0.0)) == bool(each.active)
                at, bit = each.address - start_address, each.bit
                if table is Table.DISCRETE:  # pymodbus keeps sixteen of them in one number
                    at, bit = divmod(at, 16)
                mask = 1 << bit
                kept = int(current_registers[at]) & ~mask
                current_registers[at] = kept | (mask if state else 0)
        return None


def _covered(address: int, count: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= address and address + count <= end for start, end in spans)
