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


@pytest.mark.soak
@pytest.mark.parametrize("preset", ["default", "low-latency"])
@pytest.mark.parametrize(("f0", "rate_hz"), [(50, 4000), (50, 4800), (60, 4800), (60, 5760)])
def test_every_limit_holds_through_frames(f0, rate_hz, preset):
    judge(f0, rate_hz, preset, suite.cases(f0))


def judge(f0, rate_hz, preset, chosen):
    settings = Settings(
        nominal_hz=f0, samples_per_second=rate_hz, reports_per_second=f0, filter=preset
    )
    for case in chosen:
        errors = suite.errors(settings, case, transport=Wire())
        if case.class_m is not None:
            assert errors.within(case.class_m), (case.name, "M", errors)
        if case.class_p is not None and preset == "low-latency":
            assert errors.within(case.class_p), (case.name, "P", errors)


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
    rows = frames.rows(slice(None), length)
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
        waveforms = case.waveforms[:2]
        limits = case.class_m or case.class_p
        path = tmp_path / "case.pcap"
        # A steady interharmonic takes the event gate a second to learn: judged from 1.5 s on.
        begin_s, end_s = case.judged_s
        if case.name.startswith("out"):
            begin_s, end_s = begin_s + 0.5, end_s + 0.5
        write_pcap(path, recording(waveforms, 80 * f0, end_s + 0.2))
        options = MonitorOptions(pcap=path, nominal_hz=f0, period_s=1 / f0, real_time=False)
        seen = 0
        for report, _ in file_reports(options):
            t_s = np.array([report.t_utc_s - START_S])
            if not begin_s <= t_s[0] <= end_s:
                continue
            waveform = waveforms[int(report.source[2:])]
            assert abs(report.f_hz - waveform.true_f_hz(t_s)[0]) <= limits.fe_hz, case.name
            if limits.rfe_hz_s is not None:
                error = abs(report.rocof_hz_s - waveform.true_rocof_hz_s(t_s)[0])
                assert error <= limits.rfe_hz_s, case.name
            seen += 1
        expected = (end_s - begin_s) * f0 * len(waveforms)
        assert seen >= 0.9 * expected
