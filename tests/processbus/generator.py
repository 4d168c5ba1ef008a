"""A full process bus from one core, frames made beforehand.

`python -m tests.processbus.generator --interface IF --streams 170 --rate 4800 --seconds 60`
prints one JSON line with what it sent. All streams carry the same 50 Hz sine, in step. Frames
leave by `live_frames`, or by an AF_PACKET transmit ring where the kernel refuses that; the ring
reaches about half a gigabit on a core.
"""

from __future__ import annotations

import argparse
import json
import mmap
import socket
import struct
import time
from typing import Protocol

import numpy as np

from agent.processbus.sv.encode import FrameBuilder, SvStream
from tests.processbus.live_frames import LiveFrames

SOL_PACKET, TX_RING, VERSION, LOSS, QDISC_BYPASS = 263, 13, 10, 14, 20
SLOT, SLOTS, BLOCK = 256, 1 << 14, 1 << 18
DATA = 32
SEND_REQUEST = 1
WIRE_OVERHEAD = 24
"""Preamble, FCS and gap of a frame; no burst leaves faster than a gigabit carries it."""
LATEST_S = 0.05


def second_of_frames(streams: int, rate_hz: int, f_hz: float) -> np.ndarray:
    """All frames of one second, (samples * streams, length), in order of sending."""
    index = np.arange(rate_hz)
    raw = np.zeros((rate_hz, 8))
    for phase in range(3):
        wave = np.sqrt(2) * np.cos(2 * np.pi * (f_hz * index / rate_hz - phase / 3))
        raw[:, phase], raw[:, 4 + phase] = 10_000 * wave, 23_000 * wave
    raw = np.rint(raw).astype(np.int64)
    rows = [
        FrameBuilder(
            SvStream(
                sv_id=f"MU{n:03d}", appid=0x4000 + n, source=bytes([2, 0, 0, 0, n >> 8, n & 255])
            )
        ).build(index, raw)
        for n in range(streams)
    ]
    return np.stack(rows, axis=1).reshape(rate_hz * streams, -1)


class Sender(Protocol):
    """Sends a fixed sequence of frames over and over."""

    def seek(self, number: int) -> None:
        """Go on with a frame of the sequence."""

    def send(self, count: int) -> None:
        """Send the next frames."""


class TransmitRing:
    """Sends rows of octets with one system call for many."""

    def __init__(self, interface: str, rows: np.ndarray) -> None:
        self._rows, self._number = rows, 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(SOL_PACKET, VERSION, 1)
        self._socket.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
        geometry = struct.pack("IIII", BLOCK, SLOT * SLOTS // BLOCK, SLOT, SLOTS)
        self._socket.setsockopt(SOL_PACKET, TX_RING, geometry)
        self._memory = mmap.mmap(self._socket.fileno(), SLOT * SLOTS)
        self._slots = np.frombuffer(self._memory, dtype=np.uint8).reshape(SLOTS, SLOT)
        self._words = self._slots.view("<u4")
        self._socket.bind((interface, 0))
        self._next = 0

    def seek(self, number: int) -> None:
        """Go on with a frame of the sequence."""
        self._number = number

    def send(self, count: int) -> None:
        """Send the next frames."""
        length = self._rows.shape[1]
        while count:
            piece = min(count, SLOTS - self._next, len(self._rows) - self._number)
            place = slice(self._next, self._next + piece)
            self._slots[place, DATA : DATA + length] = self._rows[self._number :][:piece]
            self._words[place, 1] = length
            self._words[place, 0] = SEND_REQUEST
            self._next = (self._next + piece) % SLOTS
            self._number = (self._number + piece) % len(self._rows)
            count -= piece
            self._socket.send(b"")


def open_fastest(interface: str, rows: np.ndarray) -> Sender:
    """Return the fastest sender that this kernel lets us have."""
    try:
        return LiveFrames(interface, rows)
    except OSError:
        return TransmitRing(interface, rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interface", required=True)
    parser.add_argument("--streams", type=int, default=170)
    parser.add_argument("--rate", type=int, default=4800)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--burst-ms", type=float, default=1.0)
    parser.add_argument("--f-hz", type=float, default=50.0)
    arguments = parser.parse_args()
    frames = second_of_frames(arguments.streams, arguments.rate, arguments.f_hz)
    sender = open_fastest(arguments.interface, frames)
    length = frames.shape[1]
    del frames
    period = max(1, round(arguments.rate * arguments.burst_ms / 1000))
    print(json.dumps({"ready": True}), flush=True)
    index = int(np.ceil(time.time() * arguments.rate))
    end = index + int(arguments.seconds * arguments.rate)
    begun, late_s, cpu_s = index, 0.0, time.process_time()
    sender.seek(index % arguments.rate * arguments.streams)
    burst_s = (length + WIRE_OVERHEAD) * 8e-9 * arguments.streams * period
    free_s, skipped = time.time(), 0
    while index < end:
        due_s = (index + period) / arguments.rate
        wait_s = max(due_s, free_s) - time.time()
        late_s = max(late_s, time.time() - due_s)
        if wait_s > 0:
            time.sleep(wait_s)
        elif time.time() - due_s > LATEST_S:
            # This processor was away: those samples were never on the wire.
            now = int(time.time() * arguments.rate)
            skipped += now - index
            index = now
            sender.seek(index % arguments.rate * arguments.streams)
        free_s = max(free_s, time.time() - burst_s) + burst_s
        count = min(period, max(end - index, 0))
        sender.send(count * arguments.streams)
        index += count
    lasted_s = time.time() - begun / arguments.rate
    time.sleep(0.2)
    sent = (index - begun - skipped) * arguments.streams
    used_s = time.process_time() - cpu_s
    figures = {"sent": sent, "lasted_s": lasted_s, "late_s": late_s, "cpu_s": used_s}
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
