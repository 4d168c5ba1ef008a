"""IEC/IEEE 60255-118-1:2018, clause 6, through encoded SV frames and through capture files."""

import struct

import numpy as np
import pytest

from agent.estimation import Settings
from agent.processbus.frames import Frames
from agent.processbus.monitor import MonitorOptions, file_reports
from agent.processbus.sv.channels import VOLTAGE_UNIT_V, default_channels
from agent.processbus.sv.decoder import SvDecoder
from agent.processbus.sv.encode import FrameBuilder, SvStream
from tests.estimation import suite
from tests.processbus.conftest import START_S, frames_of_rows, join


def counts(voltages):
    """Raw 9-2LE values of (3, n) voltages, (n, 8)."""
    raw = np.zeros((voltages.shape[1], 8))
    raw[:, 4:7] = voltages.T / VOLTAGE_UNIT_V
    return np.rint(raw).astype(np.int64)


class Wire:
    """What a merging unit, a process bus and the decoder do to samples."""

    def __init__(self):
        self._decoder = SvDecoder(parse_budget=1000)
        self._cnt = 0

    def __call__(self, samples):
        decoded = np.empty_like(samples)
        index = np.arange(samples.shape[2])
        for number, voltages in enumerate(samples):
            builder = FrameBuilder(SvStream(sv_id=f"MU{number:03d}"))
            rows = builder.build((self._cnt + index) % 4000, counts(voltages))
            (block,) = self._decoder.decode(frames_of_rows(rows, index))
            channels = default_channels(block.data.shape[1])
            decoded[number] = channels.values(block.data)[0][:, :3].T
        self._cnt += len(index)
        return decoded


@pytest.mark.parametrize(
    ("f0", "preset", "name"),
    [
        (50, "low-latency", "ramp ±1 Hz/s over ±2"),
        (60, "default", "amplitude and phase modulation 0.1 up to 5 Hz"),
    ],
)
def test_a_sample_of_the_limits_holds_through_frames(f0, preset, name):
    chosen = [case for case in suite.cases(f0) if case.name.startswith(name)]
    assert chosen
    judge(f0, 80 * f0, preset, chosen)


RATES = ((50, 4000), (50, 4800), (50, 14400), (60, 4800), (60, 5760), (60, 14400))


@pytest.mark.soak
@pytest.mark.parametrize("preset", ["default", "low-latency"])
@pytest.mark.parametrize(("f0", "rate_hz"), RATES)
def test_every_limit_holds_through_frames(f0, rate_hz, preset, record_property):
    """Two to ten minutes a combination."""
    worst = judge(f0, rate_hz, preset, suite.cases(f0))
    record_property(f"{f0} Hz, {rate_hz}/s, {preset}: largest share of a limit", round(worst, 3))


def judge(f0, rate_hz, preset, chosen):
    """Assert every limit; the largest share of one that was used."""
    settings = Settings(
        nominal_hz=f0, samples_per_second=rate_hz, reports_per_second=f0, filter=preset
    )
    worst = 0.0
    for case in chosen:
        errors = suite.errors(settings, case, transport=Wire())
        for name, limits in bound_by(case, preset):
            assert errors.within(limits), (case.name, name, errors)
            worst = max(worst, share(errors, limits))
    return worst


def bound_by(case, preset):
    """Class M binds both filters, class P the low-latency one."""
    if case.class_m is not None:
        yield "M", case.class_m
    if case.class_p is not None and preset == "low-latency":
        yield "P", case.class_p


def share(errors, limits):
    used = errors.fe_hz / limits.fe_hz
    return used if limits.rfe_hz_s is None else max(used, errors.rfe_hz_s / limits.rfe_hz_s)


def recording(waveforms, rate_hz, seconds) -> Frames:
    """All waveforms as streams of one bus."""
    t_s = np.arange(int(seconds * rate_hz)) / rate_hz
    parts = []
    for number, waveform in enumerate(waveforms):
        stream = SvStream(sv_id=f"MU{number:03d}", source=bytes([2, 0, 0, 0, 0, number]))
        cnt = np.arange(len(t_s)) % rate_hz
        rows = FrameBuilder(stream).build(cnt, counts(waveform.voltages(t_s)))
        time_ns = START_S * 10**9 + np.rint(t_s * 1e9).astype(np.int64) + 300_000 + number
        parts.append(frames_of_rows(rows, time_ns))
    return join(*parts)


def write_pcap(path, frames: Frames) -> None:
    """As others write it: microseconds, little endian."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    lengths = set(frames.length.tolist())
    (length,) = lengths
    rows = frames.parts((0, length))[0]
    records = np.empty((len(rows), 16 + length), dtype=np.uint8)
    fields = np.stack(
        [
            frames.time_ns // 10**9,
            frames.time_ns % 10**9 // 1000,
            frames.length,
            frames.length,
        ],
        axis=1,
    ).astype("<u4")
    records[:, :16] = fields.view(np.uint8)
    records[:, 16:] = rows
    path.write_bytes(head + records.tobytes())


@pytest.mark.parametrize("f0", [50, 60])
def test_ramps_and_out_of_band_hold_through_a_capture_file(tmp_path, f0):
    chosen = [
        case for case in suite.cases(f0) if case.name.startswith(("ramp ±1 Hz/s over ±2", "out"))
    ]
    assert len(chosen) == 2
    for case in chosen:
        (_, limits), *_ = bound_by(case, "low-latency")
        errors = errors_of_file(tmp_path, f0, "default", case, case.waveforms[:2])
        assert errors.within(limits), (case.name, errors)


@pytest.mark.soak
@pytest.mark.parametrize("preset", ["default", "low-latency"])
@pytest.mark.parametrize("f0", [50, 60])
def test_every_limit_holds_through_a_capture_file(tmp_path, f0, preset, record_property):
    """The whole suite as `v2g-monitor --pcap` reads it; about ten minutes a combination."""
    worst = 0.0
    for case in suite.cases(f0):
        for name, limits in bound_by(case, preset):
            for first in range(0, len(case.waveforms), STREAMS):
                some = case.waveforms[first : first + STREAMS]
                errors = errors_of_file(tmp_path, f0, preset, case, some)
                assert errors.within(limits), (case.name, name, errors)
                worst = max(worst, share(errors, limits))
    record_property(f"{f0} Hz, {preset}: largest share of a limit", round(worst, 3))


STREAMS = 8
"""Streams of one file, so that it stays below a hundred megabytes."""


def errors_of_file(tmp_path, f0, preset, case, waveforms):
    """Errors of what the monitor says of a file with some waveforms of a case."""
    path = tmp_path / "case.pcap"
    # A steady interharmonic takes the event gate a second to learn: judged from 1.5 s on.
    begin_s, end_s = case.judged_s
    if case.name.startswith("out"):
        begin_s, end_s = begin_s + 0.5, end_s + 0.5
    write_pcap(path, recording(waveforms, 80 * f0, end_s + 0.2))
    options = MonitorOptions(
        pcap=path, nominal_hz=f0, period_s=1 / f0, filter=preset, real_time=False
    )
    seen, fe_hz, rfe_hz_s = 0, 0.0, 0.0
    for report, _ in file_reports(options):
        t_s = np.array([report.t_utc_s - START_S])
        if not begin_s <= t_s[0] <= end_s:
            continue
        waveform = waveforms[int(report.source[2:])]
        fe_hz = max(fe_hz, abs(report.f_hz - waveform.true_f_hz(t_s)[0]))
        rfe_hz_s = max(rfe_hz_s, abs(report.rocof_hz_s - waveform.true_rocof_hz_s(t_s)[0]))
        seen += 1
    assert seen >= 0.9 * (end_s - begin_s) * f0 * len(waveforms)
    return suite.Errors(fe_hz, rfe_hz_s)
