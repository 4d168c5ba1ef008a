"""Attenuation of the power line on the charging cable, as a modem reports it (ISO 15118-3).

While a vehicle is matched to its outlet (SLAC), the outlet's modem hands one CM_ATTEN_PROFILE.IND
a sound to its host: the attenuation of every carrier group in decibels (table A.4). Whoever does
the matching, modem firmware or a SLAC process beside us, these frames pass our interface; we only
listen. A long or badly shielded cable shows here before sessions start to fail.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.errors import DecodeError

ETHERTYPE: Final = 0x88E1
"""HomePlug AV management messages."""
CM_ATTEN_PROFILE_IND: Final = 0x6086
_HEADER: Final = struct.Struct("<12x2sBH2x6sBB")
"""Addresses, EtherType, version, type (little-endian), fragmentation, vehicle, groups, reserved."""
_MAX_FRAME: Final = 1518
MATCHING_S: Final = 2.0
"""Sounds of one matching come within this time."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Attenuation of one sound: of each carrier group, in decibels."""

    vehicle: str
    groups_db: tuple[int, ...]


def parse_sound(frame: bytes) -> Sound | None:
    """Return the sound in an Ethernet frame; None for other management messages.

    Raises:
        DecodeError: A CM_ATTEN_PROFILE.IND that is cut short or has no groups.
    """
    if len(frame) < _HEADER.size:
        raise DecodeError(f"a management message of {len(frame)} octets")
    ethertype, _version, kind, vehicle, count, _reserved = _HEADER.unpack_from(frame)
    if int.from_bytes(ethertype) != ETHERTYPE or kind != CM_ATTEN_PROFILE_IND:
        return None
    groups = frame[_HEADER.size : _HEADER.size + count]
    if not count or len(groups) < count:
        raise DecodeError(f"{len(groups)} of {count} carrier groups")
    return Sound(vehicle.hex(":"), tuple(groups))


@dataclass(slots=True)
class Attenuation:
    """Mean over the sounds of the latest matching."""

    vehicle: str = ""
    sounds: int = 0
    mean_db: float = float("nan")
    _last_s: float = float("-inf")

    def add(self, sound: Sound, now_s: float) -> None:
        """Count a sound; another vehicle or a pause begins a new matching."""
        if sound.vehicle != self.vehicle or now_s - self._last_s > MATCHING_S:
            self.vehicle, self.sounds, self.mean_db = sound.vehicle, 0, 0.0
        level_db = statistics.fmean(sound.groups_db)
        self.mean_db = (self.mean_db * self.sounds + level_db) / (self.sounds + 1)
        self.sounds += 1
        self._last_s = now_s


class SlacListener:
    """Reads sounds from an interface; needs CAP_NET_RAW.

    Args:
        interface: The modem's interface.
        on_sound: Called with every sound.

    Raises:
        OSError: The system refuses the raw socket (constructor).
    """

    def __init__(self, interface: str, on_sound: Callable[[Sound], None]) -> None:
        self._on_sound = on_sound
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        try:
            self._socket.bind((interface, ETHERTYPE))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.malformed = 0
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        try:
            sound = parse_sound(self._socket.recv(_MAX_FRAME))
        except (DecodeError, OSError):
            self.malformed += 1
            return
        if sound is not None:
            self._on_sound(sound)
