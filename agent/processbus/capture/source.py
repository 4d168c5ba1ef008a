"""One name for every place that frames come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from agent.errors import UnavailableError
from agent.processbus.capture import bpf
from agent.processbus.capture.ring import Ring, RingSettings
from agent.processbus.capture.virtual import PREFIX, VirtualReceiver
from agent.processbus.capture.xdp import XdpRing
from agent.processbus.frames import (
    ETHERTYPE_GOOSE,
    ETHERTYPE_SV,
    Frames,
    IntArray,
    empty_frames,
    ether_types,
)

FloatArray = NDArray[np.float64]

_SMALL: Final = RingSettings(slot=256, slots=1 << 17)
"""160 ms of a full gigabit: the time that 170 unknown streams take to be learnt and no more."""
MOST_SLOTS: Final = 1 << 19
RING_S: Final = 0.6
"""A process that is kept from its core for so long loses nothing that the SCL announces."""
_LEFT_OVER: Final = RingSettings(slot=256, slots=1 << 15)
"""What the driver's program passes on: frames of other receive queues."""
_LARGE: Final = RingSettings(slot=2048, slots=1 << 13)
_GOOSE: Final = RingSettings(slot=2048, slots=1 << 10)


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What to ask of the interface.

    Attributes:
        promiscuous: Take every multicast; else only `groups`.
        groups: Multicast addresses to join.
        fanout: (group number, sockets) to share SV among processes, or None; takes the next
            group number too.
        hardware_time: Use the NIC's time stamps.
        goose: Also capture GOOSE.
        frames_per_s: SV frames that are expected; the ring is larger for many.
        xdp: Take short SV frames before the network stack sees them. Then nobody else on
            this machine sees them either.
    """

    promiscuous: bool = True
    groups: tuple[bytes, ...] = ()
    fanout: tuple[int, int] | None = None
    hardware_time: bool = False
    goose: bool = True
    frames_per_s: int = 0
    xdp: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What waited: sampled values by ring, and GOOSE.

    Attributes:
        drained: Everything that had come by then is in it.
    """

    sv: tuple[Frames, ...]
    goose: Frames
    drained: bool = True

    def known_until_s(self, now_s: float, bus_s: Callable[[IntArray], FloatArray]) -> float:
        """Bus time up to which nothing that came is missing here.

        Args:
            now_s: Bus time just before these were taken.
            bus_s: Translates time stamps.
        """
        if self.drained or not self.sv:
            return now_s
        newest = [float(bus_s(frames.time_ns[-1:])[0]) for frames in self.sv]
        return min(now_s, *newest)

    def __len__(self) -> int:
        return sum(len(frames) for frames in self.sv) + len(self.goose)


class Source(Protocol):
    """A running capture."""

    def take(self) -> Taken:
        """Return what waits, valid until the next call."""

    def urgent(self) -> list[int]:
        """Descriptors that become readable when something came that should not wait."""

    @property
    def received(self) -> int:
        """Frames taken so far."""

    @property
    def dropped(self) -> int:
        """Frames that the kernel had no room for."""

    @property
    def card_stamped(self) -> int:
        """Frames whose time stamp is the network card's."""

    @property
    def by_xdp(self) -> int:
        """Frames that the network stack never saw."""

    def close(self) -> None:
        """End the capture."""


class InterfaceSource:
    """Rings of one interface: short SV frames, long SV frames, GOOSE.

    Where short SV frames cannot be taken in the driver, the log says why and the network stack
    delivers them.

    Raises:
        UnavailableError: No such interface, or no permission.
    """

    def __init__(self, interface: str, options: CaptureOptions) -> None:
        slots = slots_for(options.frames_per_s)
        self._express = _express(interface, slots) if options.xdp else None
        short = _with(_LEFT_OVER if self._express else replace(_SMALL, slots=slots), options)
        border = short.longest_frame
        large = _with(_LARGE, options)
        if large.fanout is not None:
            # Rings of one kind share; the two kinds of a process do not.
            large = replace(large, fanout=(large.fanout[0] + 1, large.fanout[1]))
        self._rings: list[Ring | XdpRing] = [
            Ring(interface, bpf.accept(ETHERTYPE_SV, longest=border), short),
            Ring(interface, bpf.accept(ETHERTYPE_SV, longer_than=border), large),
        ]
        if self._express:
            self._rings.append(self._express)
        self._goose = None
        if options.goose:
            settings = _with(_GOOSE, options, share=False)
            self._goose = Ring(interface, bpf.accept(ETHERTYPE_GOOSE), settings)

    def take(self) -> Taken:
        """Return what waits in all rings."""
        taken = tuple(ring.take() for ring in self._rings)
        return Taken(
            tuple(frames for frames in taken if len(frames)),
            self._goose.take() if self._goose else empty_frames(),
            all(ring.drained for ring in self._rings),
        )

    def urgent(self) -> list[int]:
        """GOOSE is to be read at once."""
        return [self._goose.fileno()] if self._goose else []

    @property
    def received(self) -> int:
        """Frames taken so far."""
        return sum(ring.received for ring in self._all())

    @property
    def dropped(self) -> int:
        """Frames that found no free slot."""
        return sum(ring.dropped for ring in self._all())

    @property
    def card_stamped(self) -> int:
        """Frames whose time stamp is the network card's."""
        return sum(ring.card_stamped for ring in self._all())

    @property
    def by_xdp(self) -> int:
        """Frames that the network stack never saw."""
        return self._express.received if self._express else 0

    def close(self) -> None:
        """Close the rings."""
        for ring in self._all():
            ring.close()

    def _all(self) -> list[Ring | XdpRing]:
        return [*self._rings, self._goose] if self._goose else self._rings


def _express(interface: str, slots: int) -> XdpRing | None:
    try:
        return XdpRing(interface, slots)
    except UnavailableError as error:
        logger.warning("{}; its frames come through the network stack", error)
        return None


def slots_for(frames_per_s: int) -> int:
    """Return the slots of the ring for short frames: `RING_S`, from 32 MB up to 128 MB."""
    slots = _SMALL.slots
    while slots < min(RING_S * frames_per_s, MOST_SLOTS):
        slots *= 2
    return slots


def _with(settings: RingSettings, options: CaptureOptions, share: bool = True) -> RingSettings:
    return RingSettings(
        slot=settings.slot,
        slots=settings.slots,
        promiscuous=options.promiscuous,
        groups=options.groups,
        fanout=options.fanout if share else None,
        hardware_time=options.hardware_time,
    )


class VirtualSource:
    """A virtual bus."""

    def __init__(self, path: Path) -> None:
        self._receiver = VirtualReceiver(path)

    def take(self) -> Taken:
        """Return what waits."""
        return split(self._receiver.take())

    def urgent(self) -> list[int]:
        """A sender that connects."""
        return [self._receiver.fileno()]

    @property
    def received(self) -> int:
        """Frames taken so far."""
        return self._receiver.received

    @property
    def dropped(self) -> int:
        """A virtual bus does not know what its senders could not send."""
        return 0

    @property
    def card_stamped(self) -> int:
        """There is no card."""
        return 0

    @property
    def by_xdp(self) -> int:
        """There is no driver."""
        return 0

    def close(self) -> None:
        """Leave the bus."""
        self._receiver.close()


def split(frames: Frames) -> Taken:
    """Return the SV and GOOSE frames of a mixture."""
    if not len(frames):
        return Taken((), frames)
    kinds, _ = ether_types(frames)
    goose = np.flatnonzero(kinds == ETHERTYPE_GOOSE)
    if not len(goose) and (kinds == ETHERTYPE_SV).all():
        return Taken((frames,), frames.select(goose))
    return Taken((frames.select(kinds == ETHERTYPE_SV),), frames.select(goose))


def open_source(name: str, options: CaptureOptions | None = None) -> Source:
    """Open an interface or, for `virtual:PATH`, a virtual bus.

    Raises:
        UnavailableError: It cannot be captured from, with the interfaces that exist.
    """
    if name.startswith(PREFIX):
        return VirtualSource(Path(name.removeprefix(PREFIX)))
    return InterfaceSource(name, options or CaptureOptions())
