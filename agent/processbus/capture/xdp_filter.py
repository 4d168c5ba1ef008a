"""The XDP program that takes short SV frames out of the driver's hands (Linux ``af_xdp.rst``)."""

from __future__ import annotations

import socket
from typing import Final

from agent.processbus.capture.ebpf import (
    ADD_IMM,
    CALL,
    EXIT,
    JUMP_EQUAL_IMM,
    JUMP_GREATER,
    JUMP_OTHER_IMM,
    LOAD_HALF,
    LOAD_WORD,
    MOV,
    MOV_IMM,
    STORE_DOUBLE,
    Instruction,
    Line,
    assemble,
    load_map,
)
from agent.processbus.frames import (
    ETHERTYPE_SV,
    ETHERTYPE_VLAN,
    ETHERTYPE_VLAN_STACKED,
    MIN_FRAME,
)

STAMP: Final = 8
"""Octets before each frame: CLOCK_MONOTONIC in nanoseconds, in the byte order of the machine."""
_PASS: Final = 2
_KTIME_GET_NS: Final = 5
_REDIRECT_MAP: Final = 51
_ADJUST_META: Final = 54
_RESULT, _CONTEXT, _FRAME, _END, _SCRATCH, _KIND = 0, 6, 7, 8, 1, 3
_AT_FRAME, _AT_END, _AT_STAMP, _AT_QUEUE = 0, 4, 8, 16
"""Places in ``struct xdp_md``."""


def program(sockets: int, longest: int) -> bytes:
    """Return the program: SV frames, tagged or not, go to the socket of their receive queue.

    All other frames, and those of a queue without a socket, go on to the network stack.

    Args:
        sockets: Descriptor of the map from receive queue to socket.
        longest: Octets of the longest frame that is taken.
    """
    return assemble(
        [
            *_look(longest),
            "take",
            *_stamp(),
            *load_map(1, sockets),
            Instruction(LOAD_WORD, 2, _CONTEXT, _AT_QUEUE),
            Instruction(MOV_IMM, 3, immediate=_PASS),
            Instruction(CALL, immediate=_REDIRECT_MAP),
            Instruction(EXIT),
            "pass",
            Instruction(MOV_IMM, _RESULT, immediate=_PASS),
            Instruction(EXIT),
        ]
    )


def _look(longest: int) -> list[Line]:
    """Pass on what is too short, too long or no SV; the verifier wants each bound compared."""
    sv, vlan, stacked = map(socket.htons, (ETHERTYPE_SV, ETHERTYPE_VLAN, ETHERTYPE_VLAN_STACKED))
    return [
        Instruction(MOV, _CONTEXT, 1),
        Instruction(LOAD_WORD, _FRAME, _CONTEXT, _AT_FRAME),
        Instruction(LOAD_WORD, _END, _CONTEXT, _AT_END),
        Instruction(MOV, _SCRATCH, _FRAME),
        Instruction(ADD_IMM, _SCRATCH, immediate=MIN_FRAME),
        Instruction(JUMP_GREATER, _SCRATCH, _END, label="pass"),
        Instruction(MOV, _SCRATCH, _FRAME),
        Instruction(ADD_IMM, _SCRATCH, immediate=longest),
        Instruction(JUMP_GREATER, _END, _SCRATCH, label="pass"),
        Instruction(LOAD_HALF, _KIND, _FRAME, 12),
        Instruction(JUMP_EQUAL_IMM, _KIND, immediate=sv, label="take"),
        Instruction(JUMP_EQUAL_IMM, _KIND, immediate=vlan, label="tagged"),
        Instruction(JUMP_OTHER_IMM, _KIND, immediate=stacked, label="pass"),
        "tagged",
        Instruction(LOAD_HALF, _KIND, _FRAME, 16),
        Instruction(JUMP_OTHER_IMM, _KIND, immediate=sv, label="pass"),
    ]


def _stamp() -> list[Line]:
    """Write the time before the frame; a driver without room for it passes the frame on."""
    return [
        Instruction(MOV, 1, _CONTEXT),
        Instruction(MOV_IMM, 2, immediate=-STAMP),
        Instruction(CALL, immediate=_ADJUST_META),
        Instruction(JUMP_OTHER_IMM, _RESULT, immediate=0, label="pass"),
        Instruction(CALL, immediate=_KTIME_GET_NS),
        Instruction(LOAD_WORD, _FRAME, _CONTEXT, _AT_STAMP),
        Instruction(LOAD_WORD, _END, _CONTEXT, _AT_FRAME),
        Instruction(MOV, _SCRATCH, _FRAME),
        Instruction(ADD_IMM, _SCRATCH, immediate=STAMP),
        Instruction(JUMP_GREATER, _SCRATCH, _END, label="pass"),
        Instruction(STORE_DOUBLE, _FRAME, _RESULT),
    ]
