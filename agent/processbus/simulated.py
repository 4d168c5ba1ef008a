"""A merging unit to try things with: `python -m agent.processbus.simulated --interface eth0`.

Publishes 9-2LE frames (80 samples a cycle, 4I4U) in real time. The frequency dips by schedule or
whenever the line `dip` comes on standard input; standard output gets one JSON line at the start
and the end of each dip, with the CLOCK_MONOTONIC time at which the first frame left. With
`--goose` the bay's frequency and breaker position are published too; the lines `open` and
`close` operate the breaker.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.errors import AgentError
from agent.processbus.capture.sender import FrameSender, open_sender
from agent.processbus.goose.publisher import BayPublisher
from agent.processbus.sv.channels import CURRENT_UNIT_A, VOLTAGE_UNIT_V
from agent.processbus.sv.encode import FrameBuilder, SvStream

SAMPLES_PER_CYCLE: Final = 80
BATCH_S: Final = 0.002
_PHASES: Final = np.array([0.0, -2 * np.pi / 3, 2 * np.pi / 3])


@dataclass(slots=True)
class Waveform:
    """A three-phase signal whose frequency changes in steps without a jump of phase.

    Attributes:
        nominal_hz: For the sampling rate. `f_hz`: frequency now.
        v_v: Phase to earth, RMS. `i_a`: phase current, RMS, in phase with the voltage.
        angle_rad: Phase at the next sample.
    """

    nominal_hz: int
    f_hz: float
    v_v: float = 230.0
    i_a: float = 10.0
    angle_rad: float = 0.0

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return SAMPLES_PER_CYCLE * self.nominal_hz

    def next(self, count: int) -> NDArray[np.int64]:
        """Return the next samples as raw counts, (count, 8): Ia Ib Ic In Va Vb Vc Vn."""
        step_rad = 2 * math.pi * self.f_hz / self.rate_hz
        angle = self.angle_rad + step_rad * np.arange(count)
        self.angle_rad = (self.angle_rad + step_rad * count) % (2 * math.pi)
        wave = np.cos(angle[:, np.newaxis] + _PHASES)
        raw = np.zeros((count, 8))
        raw[:, 0:3] = wave * (math.sqrt(2) * self.i_a / CURRENT_UNIT_A)
        raw[:, 4:7] = wave * (math.sqrt(2) * self.v_v / VOLTAGE_UNIT_V)
        return np.rint(raw, out=raw).astype(np.int64)


class MergingUnit:
    """Sends the samples that are due; time is an argument."""

    def __init__(self, stream: SvStream, waveform: Waveform, sender: FrameSender) -> None:
        self._builder = FrameBuilder(stream)
        self._waveform = waveform
        self._sender = sender
        self._sent = 0
        """Samples since 1970 that were sent or left out."""

    def start(self, utc_s: float) -> None:
        """Begin with the first sample after a UTC time."""
        self._sent = math.ceil(utc_s * self._waveform.rate_hz)

    def send_due(self, utc_s: float) -> int:
        """Send every sample taken up to a UTC time; return how many."""
        rate_hz = self._waveform.rate_hz
        due = math.floor(utc_s * rate_hz) + 1 - self._sent
        if due > rate_hz:  # suspended, or the clock was set: go on from now
            self.start(utc_s)
            return 0
        if due <= 0:
            return 0
        smp_cnt = (self._sent + np.arange(due)) % rate_hz
        rows = self._builder.build(smp_cnt, self._waveform.next(due))
        self._sender.send([row.tobytes() for row in rows])
        self._sent += due
        return due


class Dips:
    """Decides when the frequency is low.

    Args:
        every_s: Period of the schedule, 0 for none. `length_s`: how long each lasts.
        start_s: Monotonic time at which the schedule begins.
    """

    def __init__(self, every_s: float, length_s: float, start_s: float) -> None:
        self._every_s = every_s
        self._length_s = length_s
        self._next_s = start_s + every_s if every_s > 0 else math.inf
        self._end_s = -math.inf

    def ask(self, now_s: float) -> None:
        """Begin a dip now, or lengthen the one that is on."""
        self._end_s = now_s + self._length_s

    def low(self, now_s: float) -> bool:
        """Whether the frequency is low."""
        if now_s >= self._next_s:
            self._next_s += self._every_s
            self.ask(now_s)
        return now_s < self._end_s


def _commands(readable: bool) -> tuple[list[str], bool]:
    """Return the lines on standard input, and whether more can come."""
    if not readable or not select.select([0], [], [], 0)[0]:
        return [], readable
    data = os.read(0, 4096)
    return data.decode(errors="replace").split(), bool(data)


def run(arguments: argparse.Namespace) -> None:
    """Publish until the process is ended."""
    waveform = Waveform(arguments.nominal, float(arguments.nominal), arguments.volts)
    sender = open_sender(arguments.interface)
    stream = SvStream(sv_id=arguments.svid, simulated=arguments.simulated)
    unit = MergingUnit(stream, waveform, sender)
    dips = Dips(arguments.dip_every, arguments.dip_length, time.monotonic())
    unit.start(time.time())
    bay = BayPublisher() if arguments.goose else None
    readable, told_hz, closed = True, waveform.f_hz, True
    try:
        while True:
            words, readable = _commands(readable)
            now_s = time.monotonic()
            if "dip" in words:
                dips.ask(now_s)
            waveform.f_hz = arguments.dip_hz if dips.low(now_s) else float(arguments.nominal)
            wire_s = time.monotonic()
            if unit.send_due(time.time()) and waveform.f_hz != told_hz:
                told_hz = waveform.f_hz
                _tell("end" if told_hz == arguments.nominal else "dip", wire_s, told_hz)
            closed = "close" in words or (closed and "open" not in words)
            if bay and (frame := bay.due(waveform.f_hz, closed, now_s, time.time_ns())):
                sender.send([frame])
            time.sleep(BATCH_S)
    finally:
        sender.close()


def _tell(event: str, wire_s: float, f_hz: float) -> None:
    print(json.dumps({"event": event, "wire_s": wire_s, "f_hz": f_hz}), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interface", required=True, help="interface or virtual:PATH")
    parser.add_argument("--nominal", type=int, choices=(50, 60), default=50)
    parser.add_argument("--svid", default="MU01")
    parser.add_argument("--simulated", action="store_true", help="with the simulation bit")
    parser.add_argument("--volts", type=float, default=230.0)
    parser.add_argument("--goose", action="store_true", help="publish the bay's GOOSE too")
    parser.add_argument("--dip-hz", type=float, default=49.80)
    parser.add_argument("--dip-every", type=float, default=20.0, help="seconds, 0 for never")
    parser.add_argument("--dip-length", type=float, default=8.0)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        run(arguments)
    except AgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
