"""Receive a generator's frames as the worker does, alone in a process, and print figures as JSON.

`python -m tests.processbus.receiver --interface IF --seconds 10` after its line `ready`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import select
import time

import agent.processbus  # noqa: F401 - first: it settles the number of BLAS threads
from agent import heap
from agent.estimation import Settings, design_all
from agent.messages import Measurement
from agent.processbus.bus import ProcessBusReader
from agent.processbus.capture.source import CaptureOptions, InterfaceSource
from agent.processbus.filters import FilterChoice
from agent.processbus.frames import Frames
from agent.processbus.goose.receiver import GooseReceiver
from agent.processbus.pipeline import Pipeline
from agent.processbus.priority import prepare_memory, settle_on_core
from agent.processbus.sv.channels import default_channels
from agent.processbus.timeline import LiveTimeline
from agent.processbus.tracks import TrackRules

SETTLE_S = 1.0
DRAIN_S = 0.2
"""So long after the end the sender's last frames are waited for: they count as received."""
PRIORITY = 50


class Decoding(Pipeline):
    """Decodes to volts and amperes, and goes no further."""

    def feed(self, frames: Frames) -> None:
        for block in self.decoder.decode(frames):
            channels = default_channels(block.data.shape[1])
            assert channels is not None
            channels.values(block.data)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else math.nan


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interface", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=4800)
    parser.add_argument("--streams", type=int, default=1, help="as the SCL would announce")
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--xdp", action="store_true", help="capture by AF_XDP")
    parser.add_argument("--decode-only", action="store_true", help="no grid, no estimation")
    arguments = parser.parse_args()
    prepare_memory()
    # All filters beforehand: a worker designs them beside its work in its first seconds.
    filters = FilterChoice(50, wait=True)
    filters.design(arguments.rate)
    design_all(Settings(nominal_hz=50, samples_per_second=arguments.rate))
    settle_on_core(arguments.cpu)
    with contextlib.suppress(PermissionError):
        # Above whatever else runs on a machine that is not a gateway.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    timeline = LiveTimeline(time.monotonic, time.time)
    kind = Decoding if arguments.decode_only else Pipeline
    pipeline = kind(TrackRules(50), filters, timeline, time.monotonic)
    options = CaptureOptions(
        goose=False, frames_per_s=arguments.streams * arguments.rate, xdp=arguments.xdp
    )
    source = InterfaceSource(arguments.interface, options)
    reader = ProcessBusReader(source, pipeline, GooseReceiver([], timeline), timeline)
    heap.keep_what_lives()
    print("ready", flush=True)
    patience_s = time.monotonic() + 60
    while not source.received and time.monotonic() < patience_s:
        for _ in reader.step():
            pass
        time.sleep(0.001)
    begun_s, cpu_s = time.monotonic(), time.process_time()
    latencies_ms: list[float] = []
    while (now_s := time.monotonic()) < begun_s + arguments.seconds:
        settled = now_s > begun_s + SETTLE_S
        latencies_ms += [
            (m.published_s - m.wire_s) * 1000
            for m in reader.step()
            if isinstance(m, Measurement) and settled
        ]
        select.select([], [], [], reader.pause_s())
    cpu_s, lasted_s = time.process_time() - cpu_s, time.monotonic() - begun_s
    drained_s = time.monotonic() + DRAIN_S
    while time.monotonic() < drained_s:
        for _ in reader.step():
            pass
        time.sleep(0.001)
    reader.close()
    for group in pipeline.groups:
        group.settle_counters()
    figures = {
        "frames_received": source.received,
        "frames_lost": source.dropped,
        "frames_by_xdp": source.by_xdp,
        "cpu_s": cpu_s,
        "cpu_share": cpu_s / lasted_s,
        "reports": len(latencies_ms),
        "latency_p50_ms": percentile(latencies_ms, 0.5),
        "latency_p99_ms": percentile(latencies_ms, 0.99),
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
