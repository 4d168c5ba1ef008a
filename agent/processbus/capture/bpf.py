"""Classic BPF programs that let only SV and GOOSE frames into a ring (Linux ``filter.rst``)."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from agent.processbus.frames import (
    ETHERTYPE_VLAN,
    ETHERTYPE_VLAN_STACKED,
)

_SO_ATTACH_FILTER: Final = 26
_LOAD_HALF: Final = 0x28
_LOAD_LENGTH: Final = 0x80
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER: Final = 0x25
_RETURN: Final = 0x06
_RETURN_A: Final = 0x16
_MODULO: Final = 0x94
_WHOLE_FRAME: Final = 0x40000
_FROM_MAC_HEADER: Final = 0xFFE00000
"""SKF_LL_OFF: a fan-out program sees the frame from its payload on."""


class Instruction(NamedTuple):
    """One instruction: code, jumps when true and false, operand."""

    code: int
    if_true: int
    if_false: int
    operand: int


Program = tuple[Instruction, ...]


def accept(ethertype: int, longest: int = 0, longer_than: int = 0) -> Program:
    """Accept frames of an EtherType, tagged or not.

    The kernel takes the outer tag out before the filter runs, except where frames are looped
    back with the tag in place: both are accepted.

    Args:
        ethertype: SV or GOOSE.
        longest: Longest frame accepted, 0 for any.
        longer_than: Frames up to this length are left to another ring.
    """
    program = [
        Instruction(_LOAD_HALF, 0, 0, 12),
        Instruction(_JUMP_EQUAL, 4, 0, ethertype),
        Instruction(_JUMP_EQUAL, 1, 0, ETHERTYPE_VLAN),
        Instruction(_JUMP_EQUAL, 0, 5, ETHERTYPE_VLAN_STACKED),
        Instruction(_LOAD_HALF, 0, 0, 16),
        Instruction(_JUMP_EQUAL, 0, 3, ethertype),
        Instruction(_LOAD_LENGTH, 0, 0, 0),
        Instruction(_JUMP_GREATER, 1, 0, longest or _WHOLE_FRAME),
        Instruction(_JUMP_GREATER, 1, 0, longer_than),
        Instruction(_RETURN, 0, 0, 0),
        Instruction(_RETURN, 0, 0, _WHOLE_FRAME),
    ]
    return tuple(program)


def share_by_appid(parts: int) -> Program:
    """Fan-out: the APPID decides which socket of a group gets a frame."""
    return (
        Instruction(_LOAD_HALF, 0, 0, _FROM_MAC_HEADER + 14),
        Instruction(_MODULO, 0, 0, parts),
        Instruction(_RETURN_A, 0, 0, 0),
    )


def pack(program: Sequence[Instruction]) -> bytes:
    """Return the program as ``struct sock_filter[]``."""
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Attach a program to a socket."""
    with_option(sock, socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def with_option(
    sock: socket.socket, level: int, option: int, program: Sequence[Instruction]
) -> None:
    """Set a socket option that takes a ``struct sock_fprog``."""
    code = ctypes.create_string_buffer(pack(program))
    argument = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    sock.setsockopt(level, option, argument)
