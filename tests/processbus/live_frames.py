"""Frames from inside the kernel: BPF_PROG_RUN in live-frame mode (Linux ``bpf_prog_run.rst``).

A transmit ring costs 2 µs a frame here, more than a full gigabit leaves. An XDP program that
fills recycled pages from a map and redirects them to the interface needs a fraction of that, and
one system call sends thousands. The frames still cross the veth pair: its other end receives them
through NAPI, which wants generic receive offload to be on there.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import socket
import struct
from typing import Final, NamedTuple

import numpy as np

_SYSCALL: Final = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), -1)
_MAP_CREATE, _PROG_LOAD, _PROG_RUN, _LINK_CREATE = 0, 5, 10, 28
_MAP_ARRAY, _MMAPABLE = 2, 1 << 10
_PROG_XDP, _LIVE_FRAMES = 6, 1 << 1
_MAP_LOOKUP, _REDIRECT = 1, 23
_PSEUDO_FD, _PSEUDO_VALUE = 1, 2
_ATTACH_XDP, _GENERIC_MODE = 37, 1 << 1
_SIOCETHTOOL, _ETHTOOL_SGRO = 0x8946, 0x2C
BATCH: Final = 64
"""Frames at a time: the receiving veth queue has room for 256."""


class Insn(NamedTuple):
    """One eBPF instruction."""

    code: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0

    def pack(self) -> bytes:
        return struct.pack("<BBhi", self.code, self.dst | self.src << 4, self.off, self.imm)


_MOV_REG, _MOV_IMM, _ADD_IMM = 0xBF, 0xB7, 0x07
_LOAD_WORD, _LOAD_DOUBLE, _STORE_WORD, _STORE_DOUBLE = 0x61, 0x79, 0x63, 0x7B
_CALL, _EXIT, _JUMP_GREATER, _JUMP_LESS_IMM, _JUMP_EQUAL_IMM = 0x85, 0x95, 0x2D, 0xA5, 0x15


def program(interface: int, length: int, count: int, frames_fd: int, state_fd: int) -> bytes:
    """Copy frame number `state` into the packet, count on, redirect it to the interface."""
    octets = [*range(0, length - 7, 8)] + ([length - 8] if length % 8 else [])
    copy = [
        insn
        for offset in octets
        for insn in (Insn(_LOAD_DOUBLE, 1, 0, offset), Insn(_STORE_DOUBLE, 7, 1, offset))
    ]
    find = [
        Insn(0x18, 8, _PSEUDO_VALUE, 0, state_fd),
        Insn(0),
        Insn(_LOAD_DOUBLE, 1, 8, 0),
        Insn(_STORE_WORD, 10, 1, -4),
        Insn(_ADD_IMM, 1, imm=1),
        Insn(_JUMP_LESS_IMM, 1, off=1, imm=count),
        Insn(_MOV_IMM, 1, imm=0),
        Insn(_STORE_DOUBLE, 8, 1, 0),
        Insn(0x18, 1, _PSEUDO_FD, 0, frames_fd),
        Insn(0),
        Insn(_MOV_REG, 2, 10),
        Insn(_ADD_IMM, 2, imm=-4),
        Insn(_CALL, imm=_MAP_LOOKUP),
    ]
    send = [
        Insn(_MOV_IMM, 1, imm=interface),
        Insn(_MOV_IMM, 2, imm=0),
        Insn(_CALL, imm=_REDIRECT),
        Insn(_EXIT),
    ]
    rest = len(copy) + len(send)
    code = [
        Insn(_LOAD_WORD, 7, 1, 0),
        Insn(_LOAD_WORD, 3, 1, 4),
        Insn(_MOV_REG, 4, 7),
        Insn(_ADD_IMM, 4, imm=length),
        Insn(_JUMP_GREATER, 4, 3, len(find) + 1 + rest),
        *find,
        Insn(_JUMP_EQUAL_IMM, 0, off=rest),
        *[Insn(i.code, i.dst, 0 if i.code == _LOAD_DOUBLE else i.src, i.off) for i in copy],
        *send,
        Insn(_MOV_IMM, 0, imm=0),
        Insn(_EXIT),
    ]
    return b"".join(insn.pack() for insn in code)


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(_SYSCALL, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def _array(value_size: int, entries: int) -> int:
    return _bpf(_MAP_CREATE, struct.pack("IIIII", _MAP_ARRAY, 4, value_size, entries, _MMAPABLE))


def receive_in_bulk(interface: str) -> None:
    """Switch generic receive offload on: NAPI of a veth end without a program of its own."""
    value = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_SGRO, 1))
    request = struct.pack("16sP8x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


class LiveFrames:
    """Sends a fixed sequence of frames over and over, as many at a time as asked.

    Args:
        interface: Where they leave.
        rows: (frames, length).

    Raises:
        OSError: The kernel has no such mode, or this process not the right.
    """

    def __init__(self, interface: str, rows: np.ndarray) -> None:
        count, length = rows.shape
        value = -(-length // 8) * 8
        frames, state = _array(value, count), _array(8, 1)
        with mmap.mmap(frames, value * count) as memory:
            place = np.frombuffer(memory, np.uint8).reshape(count, value)
            place[:, :length] = rows
            del place
        self._state = mmap.mmap(state, mmap.PAGESIZE)
        index = socket.if_nametoindex(interface)
        self._program = _load(program(index, length, count, frames, state))
        # A program that is attached somewhere stays in the kernel's dispatcher; each run would
        # put it in and take it out again, and wait for all processors both times.
        attach = struct.pack("IIII", self._program, index, _ATTACH_XDP, _GENERIC_MODE)
        self._link = _bpf(_LINK_CREATE, attach)
        self._packet = ctypes.create_string_buffer(length)
        self._length = length

    def seek(self, number: int) -> None:
        """Go on with a frame of the sequence."""
        self._state[:8] = struct.pack("Q", number)

    def send(self, count: int) -> None:
        """Send the next frames."""
        if not count:
            return
        attributes = struct.pack(
            "IIIIQQIIIIQQIII", self._program, 0, self._length, 0, ctypes.addressof(self._packet),
            0, count, 0, 0, 0, 0, 0, _LIVE_FRAMES, 0, BATCH,
        )  # fmt: skip
        _bpf(_PROG_RUN, attributes)


def _load(code: bytes) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(1 << 16)
    attributes = struct.pack(
        "IIQQIIQ", _PROG_XDP, len(code) // 8, ctypes.addressof(instructions),
        ctypes.addressof(licence), 1, len(log), ctypes.addressof(log),
    )  # fmt: skip
    try:
        return _bpf(_PROG_LOAD, attributes)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {log.value.decode()[-400:]}") from error
