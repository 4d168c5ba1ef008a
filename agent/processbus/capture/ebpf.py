"""eBPF without a compiler: instructions with labels, and bpf(2) to load and attach a program.

A program here makes a handful of decisions. A compiler and its run-time library would be by far
the larger part (Linux ``bpf/standardization/instruction-set.rst``, ``bpf(2)``).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

_SYSCALL: Final = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), -1)
_MAP_CREATE: Final = 0
_MAP_UPDATE: Final = 2
_PROGRAM_LOAD: Final = 5
_LINK_CREATE: Final = 28
_KIND_XDP: Final = 6
_ATTACH_XDP: Final = 37
_LOG: Final = 1 << 16
_LAST_WORDS: Final = 400
"""Characters at the end of the verifier's log: they say what it did not like."""

MOV: Final = 0xBF
MOV_IMM: Final = 0xB7
ADD_IMM: Final = 0x07
LOAD_HALF: Final = 0x69
LOAD_WORD: Final = 0x61
LOAD_DOUBLE: Final = 0x79
STORE_WORD: Final = 0x63
STORE_DOUBLE: Final = 0x7B
JUMP_GREATER: Final = 0x2D
JUMP_LESS_IMM: Final = 0xA5
JUMP_EQUAL_IMM: Final = 0x15
JUMP_OTHER_IMM: Final = 0x55
CALL: Final = 0x85
EXIT: Final = 0x95
_LOAD_64_BITS: Final = 0x18
_OF_MAP: Final = 1
_OF_MAP_VALUE: Final = 2


class Instruction(NamedTuple):
    """One instruction; registers are 0 to 10.

    Attributes:
        code: Operation. `to`, `of`: Destination and source register.
        offset: Of the memory that is read or written.
        immediate: Constant, or the number of the helper that is called.
        label: Where a jump goes to.
    """

    code: int
    to: int = 0
    of: int = 0
    offset: int = 0
    immediate: int = 0
    label: str = ""


Line = Instruction | str
"""An instruction, or the label of the one after it."""


def load_map(register: int, descriptor: int) -> list[Line]:
    """Put a map into a register: one instruction in the room of two."""
    return [Instruction(_LOAD_64_BITS, register, _OF_MAP, 0, descriptor), Instruction(0)]


def load_map_value(register: int, descriptor: int) -> list[Line]:
    """Put the address of an array's first value into a register."""
    return [Instruction(_LOAD_64_BITS, register, _OF_MAP_VALUE, 0, descriptor), Instruction(0)]


def assemble(lines: Iterable[Line]) -> bytes:
    """Return the lines as ``struct bpf_insn[]``.

    Raises:
        KeyError: A jump to a label that is nowhere.
    """
    instructions: list[Instruction] = []
    places: dict[str, int] = {}
    for line in lines:
        if isinstance(line, str):
            places[line] = len(instructions)
        else:
            instructions.append(line)
    packed = bytearray()
    for number, (code, to, of, offset, immediate, label) in enumerate(instructions):
        # A jump counts from the instruction behind it.
        distance = places[label] - number - 1 if label else offset
        packed += struct.pack("<BBhi", code, to | of << 4, distance, immediate)
    return bytes(packed)


def ask_kernel(command: int, attributes: bytes) -> int:
    """Make one call of bpf(2).

    Raises:
        OSError: The kernel refused.
    """
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(_SYSCALL, command, buffer, len(attributes)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def create_map(kind: int, value_size: int, entries: int, flags: int = 0) -> int:
    """Return the descriptor of a new map whose keys are 32-bit numbers."""
    return ask_kernel(_MAP_CREATE, struct.pack("IIIII", kind, 4, value_size, entries, flags))


def update(descriptor: int, key: int, value: int) -> None:
    """Put a 32-bit value into a map."""
    words = ctypes.create_string_buffer(struct.pack("II", key, value))
    at = ctypes.addressof(words)
    ask_kernel(_MAP_UPDATE, struct.pack("IxxxxQQQ", descriptor, at, at + 4, 0))


def load_xdp(code: bytes) -> int:
    """Return the descriptor of a program that the kernel has verified.

    Raises:
        OSError: No permission, or the verifier's last words.
    """
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG)
    attributes = struct.pack(
        "IIQQIIQ", _KIND_XDP, len(code) // 8, ctypes.addressof(instructions),
        ctypes.addressof(licence), 1, len(log), ctypes.addressof(log),
    )  # fmt: skip
    try:
        return ask_kernel(_PROGRAM_LOAD, attributes)
    except OSError as error:
        reason = log.value.decode(errors="replace")[-_LAST_WORDS:]
        raise OSError(error.errno, f"{error.strerror} {reason}".strip()) from error


def attach_xdp(program: int, interface: int, mode: int = 0) -> int:
    """Return a link: the program works at an interface as long as a process holds it open.

    Args:
        program: Its descriptor.
        interface: Its index.
        mode: 0 for the driver's own where it has one, else the kernel's.

    Raises:
        OSError: EBUSY where another program is at work.
    """
    return ask_kernel(_LINK_CREATE, struct.pack("IIII", program, interface, _ATTACH_XDP, mode))
