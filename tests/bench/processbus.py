"""Figures of the process bus.

- ``processbus.full_*``: 170 merging units of 4,800 frames/s (a full gigabit) over a veth pair,
  sent by another process from precomputed frames: frames sent and lost by the receiver, CPU
  seconds the receiving process used a second. ``full_sent_share`` says how much of the nominal
  rate the sender reached: below 1, the machine was too slow to send a gigabit and the figures
  hold for what was sent.
- ``processbus.hundred_*``: the same with 100 streams.
- ``processbus.one_*``: one stream; CPU share, and time from the last frame a report needs to the
  report, p50 and p99 in ms.
- ``processbus.decode_ns_per_frame``: decoder and sample grid alone, CPU time, 170 streams.
- ``processbus.goose_*``: time from the frame's kernel stamp to the message, p50 and p99 in ms.
- ``processbus.cpu_ratio_*``: CPU seconds a frame of peers over ours, one stream, same recording:
  ``open61850`` (its decoder over the same frames), ``pyiec61850`` (its SVSubscriber on the veth).
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

from agent.processbus.capture.source import CaptureOptions, InterfaceSource
from agent.processbus.filters import FilterChoice
from agent.processbus.frames import SLACK, UNTAGGED, Frames
from agent.processbus.pipeline import Pipeline
from agent.processbus.sv.decoder import SvDecoder
from agent.processbus.timeline import FileTimeline, LiveTimeline
from agent.processbus.tracks import TrackRules
from tests.processbus.generator import second_of_frames

RATE_HZ = 4800
REPOSITORY = Path(__file__).resolve().parents[2]
STREAM_FRAMES = 20_000


def run(seconds: float = 6.0) -> dict[str, float]:
    """Return every figure; those that need root or a peer are left out where there is none."""
    filters = FilterChoice(50, wait=True)
    filters.design(RATE_HZ)
    figures = {"processbus.decode_ns_per_frame": decode_ns_per_frame(filters)}
    figures |= goose_figures()
    figures |= peer_figures()
    with veth() as pair:
        if pair is not None:
            for name, streams in (("full", 170), ("hundred", 100), ("one", 1)):
                figures |= wire_figures(name, streams, seconds, filters, *pair)
    return figures


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
    name: str, streams: int, seconds: float, filters: FilterChoice, sender: str, receiver: str
) -> dict[str, float]:
    """Receive a generator's frames in this process."""
    generator = subprocess.Popen(
        [sys.executable, "-m", "tests.processbus.generator", "--interface", sender,
         "--streams", str(streams), "--rate", str(RATE_HZ), "--seconds", str(seconds)],
        stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert generator.stdout is not None
    generator.stdout.readline()
    source = InterfaceSource(receiver, CaptureOptions(goose=False))
    timeline = LiveTimeline(time.monotonic, time.time)
    pipeline = Pipeline(TrackRules(50), filters, timeline, time.monotonic)
    latencies_ms: list[float] = []
    cpu_s, begun_s = time.process_time(), time.monotonic()
    while generator.poll() is None:
        for frames in source.take().sv:
            pipeline.feed(frames)
        latencies_ms += [
            (report.published_s - report.wire_s) * 1000
            for report in pipeline.reports(timeline.now_s())
        ]
        wait_s = pipeline.due_s(timeline.now_s()) - timeline.now_s()
        time.sleep(min(max(wait_s, 0.0005), 0.004))
    lasted_s, cpu_s = time.monotonic() - begun_s, time.process_time() - cpu_s
    source.take()
    source.close()
    sent = json.loads(generator.stdout.readline())["sent"]
    settled = latencies_ms[len(latencies_ms) // 4 :] or [math.nan]
    p50, p99 = np.percentile(settled, (50, 99))
    return {
        f"processbus.{name}_frames_sent": sent,
        f"processbus.{name}_sent_share": sent / lasted_s / (streams * RATE_HZ),
        f"processbus.{name}_frames_lost": source.dropped,
        f"processbus.{name}_cpu_share": cpu_s / lasted_s,
        f"processbus.{name}_latency_p50_ms": float(p50),
        f"processbus.{name}_latency_p99_ms": float(p99),
    }


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


def decode_ns_per_frame(filters: FilterChoice, streams: int = 170) -> float:
    """CPU time from frames to the sample grid, estimation not counted."""
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
    """CPU seconds a frame of open61850's decoder over those of ours, one stream."""
    try:
        from open61850 import sv
    except ImportError:
        return {}
    rows = second_of_frames(1, RATE_HZ, 50.0)
    frames = [row.tobytes() for row in rows]
    decode = getattr(sv, "decode_sv_frame", None)
    if decode is None:
        return {}
    begun_s = time.process_time()
    for frame in frames:
        decode(frame)
    theirs_s = (time.process_time() - begun_s) / len(frames)
    decoder = SvDecoder()
    whole = list(batches(rows, 1, 0))
    for _ in range(2):
        begun_s = time.process_time()
        for batch in whole:
            for _ in decoder.decode(batch):
                pass
        ours_s = (time.process_time() - begun_s) / len(frames)
    return {"processbus.cpu_ratio_open61850": theirs_s / ours_s}


if __name__ == "__main__":
    for figure, value in run().items():
        print(f"{figure:45s} {value:12.4g}")
