"""Frames to subscriptions: every GOOSE frame of the bus passes here, whoever sent it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.errors import DecodeError
from agent.messages import Message, SubscriptionHealth
from agent.processbus.frames import Frames
from agent.processbus.goose.pdu import decode_frame
from agent.processbus.goose.signals import SignalReader
from agent.processbus.timeline import Timeline

BUDGET: Final = 256
"""Frames decoded in one step; a flood beyond it is counted and not looked at."""


@dataclass(slots=True)
class GooseReceiver:
    """All GOOSE subscriptions of one process.

    Attributes:
        readers: One for each control block.
        timeline: Translates time stamps.
    """

    readers: Sequence[SignalReader]
    timeline: Timeline
    rejected: Counter[str] = field(default_factory=Counter)
    frames: int = 0

    def feed(self, frames: Frames, now_s: float, utc_ns: int | None) -> Iterator[Message]:
        """Take frames; yield the signals of every subscription that has new values.

        Args:
            frames: In order of arrival.
            now_s: Monotonic time.
            utc_ns: UTC now, None while this machine's clock is not to be trusted.
        """
        self.frames += len(frames)
        if len(frames) > BUDGET:
            self.rejected["flood"] += len(frames) - BUDGET
        arrivals_s = self.timeline.bus_s(frames.time_ns[:BUDGET])
        by_reference = {r.subscription.expected.control_block: r for r in self.readers}
        for index, bus_s in enumerate(arrivals_s.tolist()):
            try:
                header, message = decode_frame(frames.octets(index), int(frames.vlan[index]))
            except DecodeError:
                self.rejected["malformed"] += 1
                continue
            reader = by_reference.get(message.gocb_ref)
            if reader is None:
                self.rejected["not subscribed"] += 1
                continue
            arrival_s = self.timeline.monotonic_s(bus_s)
            verdict = reader.subscription.take(header, message, arrival_s, utc_ns)
            if (verdict is not None and verdict.taken) or reader.changed(now_s):
                yield from reader.read(arrival_s, now_s)

    def expire(self, now_s: float) -> Iterator[Message]:
        """Yield the signals of subscriptions that are trusted less or more than before."""
        for reader in self.readers:
            if reader.changed(now_s):
                yield from reader.read(now_s, now_s)

    def expiry_s(self) -> float:
        """Monotonic time at which the next message that is still trusted stops being valid."""
        now = [reader.subscription.expiry_s() for reader in self.readers if reader.trusted]
        return min(now, default=math.inf)

    def state(self, now_s: float) -> Iterator[Message]:
        """Yield every signal as it is now."""
        for reader in self.readers:
            yield from reader.read(now_s, now_s)

    def health(self, now_s: float) -> Iterator[SubscriptionHealth]:
        """Yield the state of every subscription."""
        for reader in self.readers:
            yield reader.subscription.health(now_s)
