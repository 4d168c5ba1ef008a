"""What the tests of the process bus share: frames by the second, filters, interfaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from agent.errors import UnavailableError
from agent.messages import Measurement
from agent.processbus.capture.records import pack_records
from agent.processbus.capture.sender import open_sender
from agent.processbus.capture.xdp import XdpRing
from agent.processbus.filters import FilterChoice
from agent.processbus.frames import SLACK, UNTAGGED, Frames
from agent.processbus.pipeline import Pipeline
from agent.processbus.sv.encode import FrameBuilder, SvStream, encode_frame
from agent.processbus.timeline import FileTimeline
from agent.processbus.tracks import TrackRules

START_S = 1_700_000_000
"""A UTC second at which recordings begin."""
SV = encode_frame(SvStream(), [7], [bytes(64)])
SV_TAGGED = encode_frame(SvStream(vlan=0x800A), [8], [bytes(64)])
SV_LONG = encode_frame(SvStream(asdus=8), range(8), [bytes(64)] * 8)
GOOSE = SV.replace(b"\x88\xba", b"\x88\xb8")
OTHER = SV.replace(b"\x88\xba", b"\x08\x00")


def send(name: str, *frames: bytes) -> None:
    """Put frames on an interface or a virtual bus."""
    sender = open_sender(name)
    sender.send(list(frames))
    sender.close()


def frames_of_rows(rows: np.ndarray, time_ns: np.ndarray, vlan: int = UNTAGGED) -> Frames:
    """Frames of one length as a `Frames`."""
    count, length = rows.shape
    buffer = np.concatenate([rows.reshape(-1), np.zeros(SLACK, np.uint8)])
    return Frames(
        buffer,
        np.arange(count, dtype=np.int64) * length,
        np.full(count, length, dtype=np.int64),
        np.asarray(time_ns, dtype=np.int64),
        np.full(count, vlan, dtype=np.int64),
    )


@dataclass
class Unit:
    """A merging unit with a pure sine, whose frames are made by the second."""

    stream: SvStream = field(default_factory=SvStream)
    rate_hz: int = 4000
    f_hz: float = 50.0
    v_v: float = 230.0
    synch: int = 2
    delay_s: float = 0.0005
    first_cnt: int = 0

    def values(self, index: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * self.f_hz * (index / self.rate_hz)
        raw = np.zeros((len(index), self.stream.channels))
        for phase in range(3):
            wave = np.sqrt(2) * np.cos(angle - phase * 2 * np.pi / 3)
            raw[:, phase] = wave * 10_000
            raw[:, 4 + phase] = wave * self.v_v * 100
        return np.rint(raw).astype(np.int64)

    def frames(self, begin: int, end: int, quality: np.ndarray | int = 0) -> Frames:
        """Frames of the samples [begin, end) after START_S."""
        index = np.arange(begin, end)
        cnt = (self.first_cnt + index) % self.rate_hz
        builder = FrameBuilder(self.stream)
        rows = builder.build(cnt, self.values(index), quality, self.synch)
        last = index.reshape(-1, self.stream.asdus)[:, -1]
        at_s = last / self.rate_hz + self.delay_s
        return frames_of_rows(rows, START_S * 10**9 + np.rint(at_s * 1e9).astype(np.int64))


def write_capture(path: Path, frames: list[bytes], time_ns: list[int]) -> Path:
    """A capture file with nanoseconds, little endian."""
    header = bytes.fromhex("4d3cb2a1 0200 0400 00000000 00000000 00000400 01000000")
    path.write_bytes(header + pack_records(frames, time_ns))
    return path


def join(*parts: Frames) -> Frames:
    """Several `Frames` as one, in order of arrival."""
    offset = np.cumsum([0] + [len(part.buffer) for part in parts[:-1]])
    start = np.concatenate([p.start + o for p, o in zip(parts, offset, strict=True)])
    whole = Frames(
        np.concatenate([part.buffer for part in parts]),
        start,
        np.concatenate([part.length for part in parts]),
        np.concatenate([part.time_ns for part in parts]),
        np.concatenate([part.vlan for part in parts]),
    )
    return whole.select(np.argsort(whole.time_ns, kind="stable"))


class Player:
    """Feeds a pipeline in slices of 20 ms and keeps what it says."""

    def __init__(self, filters: FilterChoice, rules: TrackRules | None = None) -> None:
        self.pipeline = Pipeline(
            rules or TrackRules(filters.nominal_hz), filters, FileTimeline(), lambda: 0.0
        )
        self.measurements: list[Measurement] = []

    def play(self, frames: Frames) -> list[Measurement]:
        before = len(self.measurements)
        number = frames.time_ns // 20_000_000
        for piece in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(number)) + 1):
            part = frames.select(piece)
            self.pipeline.feed(part)
            self.measurements += self.pipeline.reports(float(part.time_ns[-1]) / 1e9)
        return self.measurements[before:]

    def wait(self, until_s: float) -> list[Measurement]:
        """Let bus time pass without frames."""
        before = len(self.measurements)
        start_s = START_S + until_s
        for step in range(200):
            self.measurements += self.pipeline.reports(start_s - 2.0 + step * 0.01)
        return self.measurements[before:]


@pytest.fixture(scope="session")
def filters() -> FilterChoice:
    """Filters for 50 Hz, designed once for all tests of a process."""
    return FilterChoice(50, wait=True)


@pytest.fixture
def player(filters: FilterChoice) -> Player:
    return Player(filters)


@pytest.fixture
def unit() -> Unit:
    return Unit()


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    """Two ends of a veth pair, removed at the end."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a veth pair")
    one, other = f"pb{os.getpid() % 100000}a", f"pb{os.getpid() % 100000}b"
    made = subprocess.run(
        ["ip", "link", "add", one, "type", "veth", "peer", "name", other], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"the kernel made no veth pair: {made.stderr.decode().strip()}")
    try:
        for name in (one, other):
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield one, other
    finally:
        subprocess.run(["ip", "link", "del", one], check=False)


@pytest.fixture
def xdp(veth: tuple[str, str]) -> tuple[str, str]:
    """The same pair, where this process may put a program at it."""
    try:
        XdpRing(veth[1], 1024).close()
    except UnavailableError as error:
        if any(reason in str(error) for reason in ("it needs CAP_BPF", "not supported")):
            pytest.skip(str(error))
        raise
    return veth
