"""Figures of the process bus.

- ``processbus.full_*``: 170 merging units of 4,800 frames/s (a full gigabit) over a veth pair,
  sent by another process from precomputed frames: frames sent and lost by the receiver, CPU
  seconds the receiving process used a second. ``full_sent_share`` says how much of the nominal
  rate the sender reached: below 1, the machine was too slow to send a gigabit and the figures
  hold for what was sent.
- ``processbus.hundred_*``: the same with 100 streams.
- ``processbus.one_*``: one stream; CPU share, and time from the last frame a report needs to the
  report, p50 and p99 in ms.
- ``processbus.NAME_xdp_*``: the same three, captured by AF_XDP; the others by AF_PACKET. Over veth
  the kernel's receive path runs on the sender's core: AF_XDP makes the sender faster too.
- ``processbus.decode_ns_per_frame``: decoder and sample grid alone, CPU time, 170 streams.
- ``processbus.goose_*``: time from the frame's kernel stamp to the message, p50 and p99 in ms.
- ``processbus.cpu_ratio_open61850``: CPU seconds a frame of open61850's decoder over those of
  ours, the same frames of 170 streams.
- ``processbus.*_us_per_frame_N``: CPU time a frame from the wire, of N streams for all: ours
  with estimation and ours decoded to volts and amperes only (each by AF_PACKET, as the peers
  capture, and by AF_XDP), open61850's capture and decoder, and pyiec61850-ng's SVReceiver and
  SVSubscriber (both decode and estimate nothing). Of 170 streams the peers lose most frames; only
  those that they handled count.
- ``processbus.cpu_ratio_PEER_OURS_N``: theirs over ours; OURS is ``estimation``, ``decoding``,
  ``estimation_xdp`` or ``decoding_xdp``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import agent.processbus  # noqa: F401 - first: it settles the number of BLAS threads
from agent.processbus.filters import FilterChoice
from agent.processbus.frames import SLACK, UNTAGGED, Frames
from agent.processbus.pipeline import Pipeline
from agent.processbus.sv.decoder import SvDecoder
from agent.processbus.timeline import FileTimeline
from agent.processbus.tracks import TrackRules
from tests.processbus.generator import second_of_frames
from tests.processbus.live_frames import receive_in_bulk

RATE_HZ = 4800
REPOSITORY = Path(__file__).resolve().parents[2]
STREAM_FRAMES = 20_000
PEER_STREAMS = (4, 170)
PEER_START_S = 4.0
OURS = {
    "estimation": (),
    "decoding": ("--decode-only",),
    "estimation_xdp": ("--xdp",),
    "decoding_xdp": ("--decode-only", "--xdp"),
}
"""What we do with the frames, and how they come; peers decode, captured by AF_PACKET."""
LEAST_FRAMES = 1000


def run(seconds: float = 6.0) -> dict[str, float]:
    """Return every figure; those that need root or a peer are left out where there is none."""
    figures = {"processbus.decode_ns_per_frame": decode_ns_per_frame()}
    figures |= goose_figures()
    figures |= peer_figures()
    with veth() as pair:
        if pair is not None:
            for name, streams in (("full", 170), ("hundred", 100), ("one", 1)):
                figures |= wire_figures(name, streams, seconds, pair)
                figures |= wire_figures(f"{name}_xdp", streams, seconds, pair, ("--xdp",))
            figures |= peer_wire_figures(min(seconds, 4.0), pair)
    return figures


def peer_wire_figures(seconds: float, pair: tuple[str, str]) -> dict[str, float]:
    """Ours and both peers, one after the other, on the same traffic."""
    figures: dict[str, float] = {}
    for streams in PEER_STREAMS:
        ours = {
            name: _ours_us_per_frame(streams, seconds, pair, arguments)
            for name, arguments in OURS.items()
        }
        figures |= {f"{name}_us_per_frame_{streams}": used_us for name, used_us in ours.items()}
        for kind in ("open61850", "libiec61850"):
            theirs_us = _peer_us_per_frame(kind, streams, seconds, pair)
            if theirs_us is None:
                continue
            figures[f"{kind}_us_per_frame_{streams}"] = theirs_us
            for name, ours_us in ours.items():
                figures[f"cpu_ratio_{kind}_{name}_{streams}"] = theirs_us / ours_us
    return {f"processbus.{name}": value for name, value in figures.items()}


def _ours_us_per_frame(
    streams: int, seconds: float, pair: tuple[str, str], arguments: tuple[str, ...]
) -> float:
    figures = wire_figures("ours", streams, seconds, pair, arguments)
    received = max(figures["processbus.ours_frames_received"], 1)
    return figures["processbus.ours_cpu_s"] / received * 1e6


def _peer_us_per_frame(
    kind: str, streams: int, seconds: float, pair: tuple[str, str]
) -> float | None:
    sender, receiver = pair
    receive_in_bulk(receiver)
    cores = sorted(os.sched_getaffinity(0))
    common = ("--streams", str(streams), "--seconds")
    # The peer starts while frames flow; what it loses costs it nothing and counts for nothing.
    sending = _start(
        "generator", cores[-1], "--interface", sender, "--rate", str(RATE_HZ), *common,
        str(seconds + PEER_START_S),
    )  # fmt: skip
    _line(sending)
    listening = _start(
        "peer_receiver", cores[0], "--kind", kind, "--interface", receiver, *common, str(seconds)
    )
    answer = _line(listening) and _line(listening)
    for process in (listening, sending):
        process.wait()
    figures = json.loads(answer) if answer else {"frames": 0}
    # A peer that was late or starved says nothing about a frame's cost.
    return figures["cpu_s_per_frame"] * 1e6 if figures["frames"] >= LEAST_FRAMES else None


@contextlib.contextmanager
def veth() -> Iterator[tuple[str, str] | None]:
    one, other = f"pbb{os.getpid() % 100000}a", f"pbb{os.getpid() % 100000}b"
    add = ["ip", "link", "add", one, "type", "veth", "peer", "name", other]
    if os.geteuid() != 0 or subprocess.run(add, capture_output=True).returncode:
        yield None
        return
    try:
        for name in (one, other):
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield one, other
    finally:
        subprocess.run(["ip", "link", "del", one], check=False)


def wire_figures(
    name: str,
    streams: int,
    seconds: float,
    pair: tuple[str, str],
    arguments: tuple[str, ...] = (),
) -> dict[str, float]:
    """One process sends, another receives, each on its own core where there are two."""
    sender, receiver = pair
    receive_in_bulk(receiver)
    cores = sorted(os.sched_getaffinity(0))
    listening = _start(
        "receiver",
        None,
        "--cpu",
        str(cores[0]),
        "--interface",
        receiver,
        "--seconds",
        str(seconds),
        "--streams",
        str(streams),
        *arguments,
    )
    _line(listening)
    sending = _start(
        "generator", cores[-1], "--interface", sender, "--streams", str(streams),
        "--rate", str(RATE_HZ), "--seconds", str(seconds),
    )  # fmt: skip
    _line(sending)
    told = json.loads(_line(sending))
    received = json.loads(_line(listening))
    for process in (sending, listening):
        process.wait()
    return {
        f"processbus.{name}_frames_sent": told["sent"],
        f"processbus.{name}_sent_share": told["sent"] / (seconds * RATE_HZ * streams),
        f"processbus.{name}_sender_late_ms": told["late_s"] * 1e3,
        **{f"processbus.{name}_{key}": value for key, value in received.items()},
    }


def _start(module: str, core: int | None, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.processbus.{module}", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        preexec_fn=None if core is None else lambda: _alone(core),
    )


def _alone(core: int) -> None:
    """A core and real-time priority, as the worker has on a gateway."""
    os.sched_setaffinity(0, {core})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def batches(rows: np.ndarray, streams: int, start_s: int) -> Iterator[Frames]:
    """Batches of 5 ms of one second of frames, as a ring hands them over."""
    length = rows.shape[1]
    buffer = np.concatenate([rows.reshape(-1), np.zeros(SLACK, np.uint8)])
    size = RATE_HZ // 200 * streams
    for first in range(0, len(rows), size):
        number = np.arange(first, min(first + size, len(rows)), dtype=np.int64)
        at_s = start_s + number // streams / RATE_HZ
        yield Frames(
            buffer,
            number * length,
            np.full(len(number), length),
            (at_s * 1e9).astype(np.int64),
            np.full(len(number), UNTAGGED),
        )


def decode_ns_per_frame(streams: int = 170) -> float:
    """CPU time from frames to the sample grid, estimation not counted."""
    filters = FilterChoice(50, wait=True)
    rows = second_of_frames(streams, RATE_HZ, 50.0)
    pipeline = Pipeline(
        TrackRules(50), filters, FileTimeline(), time.monotonic, decoder=SvDecoder(streams)
    )
    best_s = math.inf
    for second in range(4):
        used_s = 0.0
        for frames in batches(rows, streams, 1_700_000_000 + second):
            begun_s = time.process_time()
            pipeline.feed(frames)
            used_s += time.process_time() - begun_s
            for _ in pipeline.reports(float(frames.time_ns[-1]) / 1e9):
                pass
        best_s = min(best_s, used_s) if second else best_s
    return best_s / len(rows) * 1e9


def goose_figures(count: int = 400) -> dict[str, float]:
    """From the kernel's stamp of a GOOSE frame to the message, over a veth pair."""
    from tests.processbus.goose_latency import latencies_ms

    with veth() as pair:
        if pair is None:
            return {}
        p50, p99 = np.percentile(latencies_ms(*pair, count), (50, 99))
    return {"processbus.goose_p50_ms": float(p50), "processbus.goose_p99_ms": float(p99)}


def peer_figures() -> dict[str, float]:
    """CPU seconds a frame of open61850's decoder over those of ours, 170 streams."""
    try:
        from open61850 import sv
    except ImportError:
        return {}
    rows = second_of_frames(170, RATE_HZ, 50.0)
    sample = [row.tobytes() for row in rows[:STREAM_FRAMES]]
    begun_s = time.process_time()
    for frame in sample:
        sv.decode_sv_frame(frame)
    theirs_s = (time.process_time() - begun_s) / len(sample)
    decoder = SvDecoder(170)
    ours_s = math.inf
    for _ in range(3):
        begun_s = time.process_time()
        for batch in batches(rows, 170, 0):
            for _ in decoder.decode(batch):
                pass
        ours_s = min(ours_s, (time.process_time() - begun_s) / len(rows))
    return {"processbus.cpu_ratio_open61850": theirs_s / ours_s}


if __name__ == "__main__":
    for figure, value in run().items():
        print(f"{figure:45s} {value:12.4g}")
