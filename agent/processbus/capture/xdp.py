"""Sampled values that never become packets: an AF_XDP socket (Linux ``af_xdp.rst``).

A program in the driver copies short SV frames into memory that this process shares with the
kernel, before the network stack has spent anything on them. What it does not take goes on to the
stack, where the packet rings find it.

Two rings of numbers belong to that memory: in one the kernel says which slots it has filled, in
the other it is given free ones. Both have one place a slot, and slots are used in turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct
import time
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.errors import UnavailableError
from agent.estimation.arrays import every
from agent.processbus.capture import ebpf
from agent.processbus.capture.xdp_filter import STAMP, program
from agent.processbus.frames import BATCH, Frames, empty_frames, untagged

_AF_XDP: Final = 44
_SOL_XDP: Final = 283
_MMAP_OFFSETS: Final = 1
_RX_RING: Final = 2
_UMEM_REG: Final = 4
_UMEM_FILL_RING: Final = 5
_UMEM_COMPLETION_RING: Final = 6
_STATISTICS: Final = 7
_RX_PAGE: Final = 0
_FILL_PAGE: Final = 0x1_0000_0000
_ANY_ADDRESS: Final = 1
"""XDP_UMEM_UNALIGNED_CHUNK_FLAG: slots need not be half a page apart."""
_COPY: Final = 1 << 1
"""XDP_COPY: of so short a frame the copy costs little, and every driver can do it."""
_XSKMAP: Final = 17
_MOST_QUEUES: Final = 64
_LEAST: Final = 64
"""Places of the ring for sent frames, which the kernel wants and nobody uses."""
_CHUNK: Final = 2048
"""The smallest slot that the kernel accepts. Ours overlap: it writes the stamp and the frame."""
_BEFORE: Final = 16
"""Octets before each frame, so that its stamp lies in the cache line of its first octets."""
_SLOT_BITS: Final = 48
"""An address: the slot's in its lower bits, how far behind it the frame begins above them."""
_SLOT_MASK: Final = (1 << _SLOT_BITS) - 1
_NO_RIGHT: Final = (errno.EPERM, errno.EACCES, errno.ENOBUFS)
"""The last one: more locked memory than the limit."""
_HANDOVER_S: Final = 1.0
"""The kernel frees the queue of a closed socket, or of a process that ended, a little later."""
_WRAP: Final = 0xFFFF_FFFF
SLOT: Final = 256
"""Octets from one frame to the next."""
LONGEST: Final = SLOT - STAMP - _BEFORE
"""Octets of the longest frame that is taken."""


class XdpRing:
    """Short SV frames of an interface's first receive queue, the one for frames without IP.

    Args:
        interface: Its name.
        slots: How many frames may wait; a power of two.

    Raises:
        UnavailableError: No permission, another program at work, or a kernel without AF_XDP.
    """

    def __init__(self, interface: str, slots: int) -> None:
        self._slots = slots
        self._next = self._held = self._lost = 0
        self.received = 0
        self.card_stamped = 0
        self.drained = True
        """The last `take` left nothing that had come before it."""
        with contextlib.ExitStack() as undo:
            try:
                index = socket.if_nametoindex(interface)
                self._socket = undo.enter_context(socket.socket(_AF_XDP, socket.SOCK_RAW, 0))
                self._share_memory()
                self._map_rings()
                self._bind(index)
                self._start(index, undo)
            except OSError as error:
                raise UnavailableError(
                    f"{interface}: no capture in the driver: {_reason(error)}"
                ) from error
            self._end = undo.pop_all()

    def _share_memory(self) -> None:
        size = self._slots * SLOT + _CHUNK
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):
            # Without large pages every second frame costs a walk through the page tables.
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._bytes = np.frombuffer(memory, np.uint8)
        address = self._bytes.ctypes.data
        area = struct.pack("QQIIII", address, size, _CHUNK, _BEFORE, _ANY_ADDRESS, 0)
        self._socket.setsockopt(_SOL_XDP, _UMEM_REG, area)

    def _map_rings(self) -> None:
        sock, slots = self._socket, self._slots
        sock.setsockopt(_SOL_XDP, _UMEM_FILL_RING, slots)
        sock.setsockopt(_SOL_XDP, _UMEM_COMPLETION_RING, _LEAST)
        sock.setsockopt(_SOL_XDP, _RX_RING, slots)
        # Offsets of four rings: producer, consumer, entries, flags of each.
        places = struct.unpack("16Q", sock.getsockopt(_SOL_XDP, _MMAP_OFFSETS, 128))
        (produced, consumed, filled), (given, _, free) = places[0:3], places[8:11]
        rx = mmap.mmap(sock.fileno(), filled + slots * 16, offset=_RX_PAGE)
        fill = mmap.mmap(sock.fileno(), free + slots * 8, offset=_FILL_PAGE)
        self._filled = np.frombuffer(rx, np.uint64, 2 * slots, filled).reshape(slots, 2)
        """Of each frame: its address, its length."""
        self._free = np.frombuffer(fill, np.uint64, slots, free)
        self._produced = memoryview(rx)[produced : produced + 4].cast("I")
        self._consumed = memoryview(rx)[consumed : consumed + 4].cast("I")
        self._given = memoryview(fill)[given : given + 4].cast("I")
        self._free[:] = np.arange(slots) * SLOT
        self._given[0] = slots

    def _bind(self, interface: int) -> None:
        # Python's own bind() knows no such address.
        address = struct.pack("HHIII", _AF_XDP, _COPY, interface, 0, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        patience_s = time.monotonic() + _HANDOVER_S
        while libc.bind(self._socket.fileno(), address, len(address)):
            reason = ctypes.get_errno()
            if reason != errno.EBUSY or time.monotonic() > patience_s:
                raise OSError(reason, os.strerror(reason))
            time.sleep(0.01)

    def _start(self, interface: int, undo: contextlib.ExitStack) -> None:
        sockets = ebpf.create_map(_XSKMAP, 4, _MOST_QUEUES)
        undo.callback(os.close, sockets)
        ebpf.update(sockets, 0, self._socket.fileno())
        loaded = ebpf.load_xdp(program(sockets, LONGEST))
        undo.callback(os.close, loaded)
        undo.callback(os.close, ebpf.attach_xdp(loaded, interface))

    def take(self, most: int = BATCH) -> Frames:
        """Return the frames that wait, without copying them; the previous ones are given back.

        The result is valid until the next call.
        """
        self._release()
        first = self._next % self._slots
        waiting = (self._produced[0] - self._next) & _WRAP
        count = min(waiting, most, self._slots - first)
        self.drained = count == waiting
        if not count:
            return empty_frames()
        self._held = count
        self.received += count
        filled = self._filled[first : first + count]
        even = every(filled - _IN_TURN[:count] == filled[0])
        if even:
            begin = _place(int(filled[0, 0]))
            start = np.arange(begin, begin + count * SLOT, SLOT, dtype=np.int64)
        else:
            start = _place(filled[:, 0]).astype(np.int64)
        frames = Frames(
            buffer=self._bytes,
            start=start,
            length=filled[:, 1].astype(np.int64),
            time_ns=np.empty(count, np.int64),
            vlan=untagged(count),
            even=even,
        )
        (stamp,) = frames.parts((-STAMP, STAMP))
        utc_ns = time.time_ns() - time.monotonic_ns()
        np.add(stamp.view(np.int64)[:, 0], utc_ns, out=frames.time_ns)
        return frames

    def _release(self) -> None:
        if not self._held:
            return
        first = self._next % self._slots
        part = slice(first, first + self._held)
        self._free[part] = self._filled[part, 0] & _SLOT_MASK
        self._next = (self._next + self._held) & _WRAP
        self._consumed[0] = self._next
        self._given[0] = (self._next + self._slots) & _WRAP
        self._held = 0

    @property
    def dropped(self) -> int:
        """Frames that found no free slot."""
        if self._socket.fileno() >= 0:
            data = self._socket.getsockopt(_SOL_XDP, _STATISTICS, 48)
            no_slot, _, _, no_place, _, _ = struct.unpack("6Q", data)
            self._lost = no_slot + no_place
        return self._lost

    def close(self) -> None:
        """Take the program away: frames go to the network stack again."""
        self._lost = self.dropped
        self._end.close()


_IN_TURN: Final = np.zeros((BATCH, 2), dtype=np.uint64)
"""How address and length of frames in consecutive slots differ where all are of one length."""
_IN_TURN[:, 0] = np.arange(BATCH) * SLOT
_Address = TypeVar("_Address", int, NDArray[np.uint64])


def _place(address: _Address) -> _Address:
    return (address & _SLOT_MASK) + (address >> _SLOT_BITS)


def _reason(error: OSError) -> str:
    if error.errno in _NO_RIGHT:
        return "it needs CAP_BPF, CAP_NET_ADMIN and CAP_IPC_LOCK (v2g-ctl firewall --write)"
    if error.errno == errno.EBUSY:
        return "another XDP program is at work"
    return str(error.strerror)
