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
import socket
import struct
from typing import Final

import numpy as np

from agent.processbus.capture import ebpf
from agent.processbus.capture.ebpf import Instruction

_PROG_RUN: Final = 10
_MAP_ARRAY, _MMAPABLE = 2, 1 << 10
_LIVE_FRAMES, _GENERIC_MODE = 1 << 1, 1 << 1
_MAP_LOOKUP, _REDIRECT = 1, 23
_SIOCETHTOOL, _ETHTOOL_SGRO = 0x8946, 0x2C
BATCH: Final = 64
"""Frames at a time: the receiving veth queue has room for 256."""


def program(interface: int, length: int, count: int, frames_fd: int, state_fd: int) -> bytes:
    """Copy frame number `state` into the packet, count on, redirect it to the interface."""
    octets = [*range(0, length - 7, 8)] + ([length - 8] if length % 8 else [])
    packet, state, stack = 7, 8, 10
    lines: list[ebpf.Line] = [
        Instruction(ebpf.LOAD_WORD, packet, 1, 0),
        Instruction(ebpf.LOAD_WORD, 3, 1, 4),
        Instruction(ebpf.MOV, 4, packet),
        Instruction(ebpf.ADD_IMM, 4, immediate=length),
        Instruction(ebpf.JUMP_GREATER, 4, 3, label="drop"),
        *ebpf.load_map_value(state, state_fd),
        Instruction(ebpf.LOAD_DOUBLE, 1, state),
        Instruction(ebpf.STORE_WORD, stack, 1, -4),
        Instruction(ebpf.ADD_IMM, 1, immediate=1),
        Instruction(ebpf.JUMP_LESS_IMM, 1, immediate=count, label="count"),
        Instruction(ebpf.MOV_IMM, 1),
        "count",
        Instruction(ebpf.STORE_DOUBLE, state, 1),
        *ebpf.load_map(1, frames_fd),
        Instruction(ebpf.MOV, 2, stack),
        Instruction(ebpf.ADD_IMM, 2, immediate=-4),
        Instruction(ebpf.CALL, immediate=_MAP_LOOKUP),
        Instruction(ebpf.JUMP_EQUAL_IMM, 0, label="drop"),
    ]
    for offset in octets:
        lines.append(Instruction(ebpf.LOAD_DOUBLE, 1, 0, offset))
        lines.append(Instruction(ebpf.STORE_DOUBLE, packet, 1, offset))
    lines += [
        Instruction(ebpf.MOV_IMM, 1, immediate=interface),
        Instruction(ebpf.MOV_IMM, 2),
        Instruction(ebpf.CALL, immediate=_REDIRECT),
        Instruction(ebpf.EXIT),
        "drop",
        Instruction(ebpf.MOV_IMM, 0),
        Instruction(ebpf.EXIT),
    ]
    return ebpf.assemble(lines)


def _array(value_size: int, entries: int) -> int:
    return ebpf.create_map(_MAP_ARRAY, value_size, entries, _MMAPABLE)


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
        self._program = ebpf.load_xdp(program(index, length, count, frames, state))
        # A program that is attached somewhere stays in the kernel's dispatcher; each run would
        # put it in and take it out again, and wait for all processors both times.
        self._link = ebpf.attach_xdp(self._program, index, _GENERIC_MODE)
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
        ebpf.ask_kernel(_PROG_RUN, attributes)
