"""A receive ring shared with the kernel: AF_PACKET, TPACKET_V2 (Linux ``packet_mmap.rst``).

Version 2 has slots of equal size, so everything that waits is a run of slots: no system call, no
retire timer, no walk along a chain. Version 3 packs frames more tightly and cost half as much
again per frame when both were measured.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.errors import UnavailableError
from agent.estimation.arrays import every
from agent.processbus.capture import bpf
from agent.processbus.frames import BATCH, Frames, empty_frames, pieces, untagged

_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_RX_RING: Final = 5
_STATISTICS: Final = 6
_VERSION: Final = 10
_TIMESTAMP: Final = 17
_FANOUT: Final = 18
_FANOUT_DATA: Final = 22
_IGNORE_OUTGOING: Final = 23
_TPACKET_V2: Final = 1
_FANOUT_CBPF: Final = 6
_MEMBER_MULTICAST: Final = 0
_MEMBER_PROMISCUOUS: Final = 1
_ETH_P_ALL: Final = 0x0003
_RAW_HARDWARE: Final = 1 << 6
"""SOF_TIMESTAMPING_RAW_HARDWARE: the NIC's own clock, where it stamps frames."""
_BLOCK: Final = 1 << 18
_HEADER: Final = 32
"""Octets of struct tpacket2_hdr."""
_NO_HEADERS: Final = np.zeros((0, _HEADER // 4), dtype=np.uint32)
_STATUS_USER: Final = 0x01
_STATUS_LOSING: Final = 0x04
_STATUS_VLAN_VALID: Final = 0x10
_STATUS_CARD_STAMPED: Final = 1 << 31
"""TP_STATUS_TS_RAW_HARDWARE."""
_OVERHEAD: Final = 80
"""tpacket2_hdr (32), sockaddr_ll (20) and padding before the frame; the last bytes stay unused
because rows are read in whole words."""


@dataclass(frozen=True, slots=True)
class RingSettings:
    """Geometry and membership of one ring.

    Attributes:
        slot: Bytes of one slot; frames up to `slot` - 80 bytes fit.
        slots: How many; all of them are locked memory.
        promiscuous: Take every multicast of the segment; else only `groups`.
        groups: Multicast addresses to join.
        fanout: (group number, sockets in it) to share the frames by APPID, or None.
        hardware_time: Ask the NIC for its time stamps.
    """

    slot: int = 256
    slots: int = 1 << 16
    promiscuous: bool = True
    groups: tuple[bytes, ...] = ()
    fanout: tuple[int, int] | None = None
    hardware_time: bool = False

    @property
    def longest_frame(self) -> int:
        """Longest frame that a slot holds."""
        return self.slot - _OVERHEAD


class Ring:
    """The receive ring of one interface behind one filter.

    Raises:
        UnavailableError: No such interface, or no permission; says which interfaces exist.
    """

    def __init__(self, interface: str, program: bpf.Program, settings: RingSettings) -> None:
        self._settings = settings
        self._socket = packet_socket(interface)
        try:
            self._open(interface, program)
        except OSError as error:
            self._socket.close()
            raise UnavailableError(
                f"{interface}: the receive ring was refused: {error.strerror}"
            ) from error
        size = settings.slot * settings.slots
        self._memory = mmap.mmap(self._socket.fileno(), size)
        self._bytes = np.frombuffer(self._memory, dtype=np.uint8)
        self._status = self._bytes.data.cast("I")
        """The same memory as words: looking at one costs a tenth of an array's."""
        self._words = self._bytes.view("<u4").reshape(settings.slots, settings.slot // 4)
        self._next = 0
        self._held = 0
        self.received = 0
        self.dropped = 0
        self.card_stamped = 0
        """Frames with a time stamp of the network card's; all others have the kernel's."""
        self.drained = True
        """The last `take` left nothing that had come before it."""

    def _open(self, interface: str, program: bpf.Program) -> None:
        sock, settings = self._socket, self._settings
        bpf.attach(sock, program)
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        if settings.hardware_time:
            sock.setsockopt(_SOL_PACKET, _TIMESTAMP, _RAW_HARDWARE)
        sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        geometry = (_BLOCK, settings.slots * settings.slot // _BLOCK, settings.slot, settings.slots)
        sock.setsockopt(_SOL_PACKET, _RX_RING, struct.pack("IIII", *geometry))
        sock.bind((interface, _ETH_P_ALL))
        index = socket.if_nametoindex(interface)
        for kind, address in self._memberships():
            request = struct.pack("iHH8s", index, kind, len(address), address)
            sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)
        if settings.fanout is not None:
            group, parts = settings.fanout
            sock.setsockopt(_SOL_PACKET, _FANOUT, group | _FANOUT_CBPF << 16)
            bpf.with_option(sock, _SOL_PACKET, _FANOUT_DATA, bpf.share_by_appid(parts))

    def _memberships(self) -> list[tuple[int, bytes]]:
        if self._settings.promiscuous:
            return [(_MEMBER_PROMISCUOUS, b"")]
        return [(_MEMBER_MULTICAST, group) for group in self._settings.groups]

    def fileno(self) -> int:
        """Descriptor that is readable while frames wait."""
        return self._socket.fileno()

    def take(self, most: int = BATCH) -> Frames:
        """Return the frames that wait, without copying them; the previous ones are given back.

        The result is valid until the next call.
        """
        self._release()
        first, slot = self._next, self._settings.slot
        most = min(most, self._settings.slots - first)
        header, even = self._filled(most)
        count = self._held = len(header)
        self.drained = count < most
        if not count:
            return empty_frames()
        status = int(header[0, 0] if even else np.bitwise_or.reduce(header[:, 0]))
        if status & _STATUS_LOSING:
            self._count_drops()
        if status & _STATUS_CARD_STAMPED:
            self.card_stamped += int(np.count_nonzero(header[:, 0] & _STATUS_CARD_STAMPED))
        word = header.astype(np.int64)
        begin = first * slot + (int(word[0, 3]) & 0xFFFF)
        start = np.arange(begin, begin + count * slot, slot, dtype=np.int64)
        if not even:
            start += (word[:, 3] & 0xFFFF) - (word[0, 3] & 0xFFFF)
        vlan = untagged(count)
        if status & _STATUS_VLAN_VALID:
            vlan = np.where(word[:, 0] & _STATUS_VLAN_VALID, word[:, 6] & 0xFFFF, vlan)
        return Frames(
            buffer=self._bytes,
            start=start,
            length=word[:, 2],
            time_ns=word[:, 4] * 1_000_000_000 + word[:, 5],
            vlan=vlan,
            even=even,
        )

    def _filled(self, most: int) -> tuple[NDArray[np.uint32], bool]:
        """Headers of the slots in a row that the kernel has filled.

        Returns:
            (n, 8) words of struct tpacket2_hdr, copied; whether status, length and place in the
            slot are the same for all of them, as of merging units of one make.
        """
        count, slot = self._reach(most), self._settings.slot
        if not count:
            return _NO_HEADERS, False
        header = pieces(self._bytes, self._next * slot, slot, count, _HEADER).view("<u4")
        if every(header.view("<u8")[:, :2] == header[0, :4].view("<u8")):
            return header, True
        # Several cores fill slots at once: one may be ready before the one ahead of it.
        ready = (header[:, 0] & _STATUS_USER).astype(bool)
        return (header if every(ready) else header[: int(ready.argmin())]), False

    def _reach(self, most: int) -> int:
        """Number of slots from the next one on that the kernel seems to have filled.

        It fills them in turn: few are looked at, because each is in a cache line of its own.
        """
        status, width = self._status, self._settings.slot // 4
        at = self._next * width
        if not status[at] & _STATUS_USER:
            return 0
        filled, free = 0, 1
        while free < most and status[at + free * width] & _STATUS_USER:
            filled, free = free, 2 * free
        free = min(free, most)
        while free - filled > 1:
            middle = (filled + free) // 2
            if status[at + middle * width] & _STATUS_USER:
                filled = middle
            else:
                free = middle
        return free

    def _release(self) -> None:
        if not self._held:
            return
        self._words[self._next : self._next + self._held, 0] = 0
        self._next = (self._next + self._held) % self._settings.slots
        self.received += self._held
        self._held = 0

    def _count_drops(self) -> None:
        data = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8)
        self.dropped += struct.unpack("II", data)[1]

    def close(self) -> None:
        """Give everything back to the kernel."""
        self._count_drops()
        self._socket.close()


def packet_socket(interface: str) -> socket.socket:
    """Return an unbound raw socket.

    Raises:
        UnavailableError: No such interface, or no permission; says which interfaces exist.
    """
    if not os.path.exists(f"/sys/class/net/{interface}"):  # noqa: PTH110 - not a path of ours
        names = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        raise UnavailableError(f"{interface}: no such interface (there are: {names})")
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES):
            raise
        names = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        raise UnavailableError(
            f"{interface}: raw frames need CAP_NET_RAW (interfaces: {names}; "
            "without it use virtual:PATH or a capture file)"
        ) from error
