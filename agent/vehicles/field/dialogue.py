"""What is asked of a device, without I/O: generators that yield requests and receive registers.

A dialogue is written once and runs over TCP, TLS and serial lines, and in tests without either::

    def identify(address: int) -> Dialogue[int]:
        (answer,) = yield Read(Table.HOLDING, address, 1)
        return answer

Whoever carries it out throws a `DeviceError` into it when a request fails.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from agent.errors import ProtocolError

MAX_READ: Final = 125
"""Registers of one read (Modbus Application Protocol V1.1b3, 6.3). `MAX_WRITE`: of one write."""
MAX_WRITE: Final = 123


class Table(StrEnum):
    """Which of a device's tables is meant, and so which function code is used."""

    HOLDING = "holding"
    INPUT = "input"
    DISCRETE = "discrete"
    """Two-state inputs, one a bit; they are carried as registers of 0 or 1."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read `count` registers from `address` on (counted from 0, as on the wire)."""

    table: Table
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Write:
    """Write holding registers from `address` on, in one request (function 16)."""

    address: int
    registers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Give the device time; answered with nothing."""

    seconds: float


class DeviceError(ProtocolError):
    """A device that does not do what its protocol says; ends one dialogue, never a worker."""


class DeviceTimeoutError(DeviceError):
    """No answer in time, or no connection."""


class DeviceRefusedError(DeviceError):
    """An exception response: the device understands the request and refuses it.

    Attributes:
        code: Exception code (Modbus Application Protocol V1.1b3, 7): 1 illegal function,
            2 illegal data address, 3 illegal data value, 4 device failure, 6 busy.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


T = TypeVar("T")
Registers = tuple[int, ...]
Request = Read | Write | Pause
Dialogue = Generator[Request, Registers, T]


def read_block(table: Table, address: int, count: int) -> Dialogue[Registers]:
    """Read any number of registers in as few requests as the protocol allows."""
    found: list[int] = []
    while len(found) < count:
        part = min(MAX_READ, count - len(found))
        found += yield Read(table, address + len(found), part)
    return tuple(found)


def carry_out(dialogue: Dialogue[T], answer: Callable[[Request], Sequence[int]]) -> T:
    """Run a dialogue against a function that answers requests at once; for tests and tools."""
    reply: Registers | None = None
    error: DeviceError | None = None
    while True:
        try:
            request = dialogue.throw(error) if error else _advance(dialogue, reply)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            reply, error = tuple(answer(request)), None
        except DeviceError as failure:
            error = failure


def _advance(dialogue: Dialogue[T], reply: Registers | None) -> Request:
    return next(dialogue) if reply is None else dialogue.send(reply)
