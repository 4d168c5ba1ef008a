"""`v2g-monitor` as a user runs it."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agent.cli import monitor
from agent.processbus.sv.encode import SvStream
from tests.processbus.conftest import START_S, Unit, write_capture

KEYS = ["t", "published_t", "stream", "f_hz", "rocof_hz_s", "v1_v", "quality"]


def capture(path, *units, seconds=2.0):
    frames, times = [], []
    for unit in units:
        made = unit.frames(0, int(seconds * unit.rate_hz))
        frames += [made.octets(n) for n in range(len(made))]
        times += made.time_ns.tolist()
    order = np.argsort(times, kind="stable")
    return write_capture(path, [frames[n] for n in order], [times[n] for n in order])


def run(*arguments, timeout=60):
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.monitor", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.parametrize("preset", ["default", "low-latency"])
def test_json_has_exactly_the_promised_keys_and_nothing_else_is_printed(tmp_path, preset):
    file = capture(tmp_path / "a.pcap", Unit(f_hz=50.1))
    done = run("--pcap", file, "--speed", "max", "--json", "--filter", preset)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert all(list(line) == KEYS for line in lines)
    good = [line for line in lines if line["quality"] == "good"]
    delay_s = 0.055 if preset == "default" else 0.039
    assert len(good) > 80
    for line in good:
        assert line["stream"] == "MU01"
        assert line["f_hz"] == pytest.approx(50.1, abs=1e-4)
        assert line["v1_v"] == pytest.approx(230, abs=0.1)
        assert line["published_t"] - line["t"] == pytest.approx(delay_s + 0.0005, abs=1e-4)
    assert all(math.isfinite(line["f_hz"]) for line in lines)


def test_the_first_second_of_a_file_is_not_lost(tmp_path):
    done = run("--pcap", capture(tmp_path / "a.pcap", Unit()), "--speed", "max", "--json")
    first = json.loads(done.stdout.splitlines()[0])
    assert first["t"] == START_S
    good = next(
        line for line in map(json.loads, done.stdout.splitlines()) if line["quality"] == "good"
    )
    assert good["t"] - START_S < 0.2


@pytest.mark.parametrize(("period", "count"), [("50ms", 20), ("20ms", 50), ("100ms", 10)])
def test_sample_rate_is_the_period_of_the_reports(tmp_path, period, count):
    file = capture(tmp_path / "a.pcap", Unit(), seconds=3)
    done = run("--pcap", file, "--speed", "max", "--json", "--sample-rate", period)
    times = [json.loads(line)["t"] for line in done.stdout.splitlines()]
    assert sum(START_S + 1 <= t < START_S + 2 for t in times) == count


def test_sixty_hertz_and_two_streams(tmp_path):
    units = (
        Unit(rate_hz=4800, f_hz=59.95),
        Unit(SvStream(sv_id="MU02", appid=0x4001), rate_hz=4800, f_hz=60.02),
    )
    file = capture(tmp_path / "a.pcap", *units)
    done = run("--pcap", file, "--speed", "max", "--json", "--nominal", "60")
    last = {line["stream"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert last["MU01"]["f_hz"] == pytest.approx(59.95, abs=1e-3)
    assert last["MU02"]["f_hz"] == pytest.approx(60.02, abs=1e-3)


def test_lines_for_people_name_time_stream_and_frequency(tmp_path, capsys):
    file = capture(tmp_path / "a.pcap", Unit(), seconds=1)
    monitor._main(["--pcap", str(file), "--speed", "max"])
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["UTC", "stream", "Hz", "Hz/s", "V", "quality"]
    assert "2023-11-14T22:13:20" in out[-1]
    assert "50.0000" in out[-1]
    assert out[-1].endswith("good")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--interface", "nowhere0"], 69, "there are: "),
        (["--pcap", "/nonexistent.pcap"], 78, "cannot be read"),
        (["--pcap", __file__], 78, "not a pcap"),
        (["--interface", "lo", "--sample-rate", "1ms"], 78, "10ms to 60s"),
        (["--interface", "lo", "--nominal", "55"], 2, "invalid choice"),
    ],
)
def test_bad_arguments_end_with_a_message_and_a_code(arguments, code, says):
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_scd_binds_the_streams_of_the_ied(tmp_path):
    units = (Unit(), Unit(SvStream(sv_id="OTHER", appid=0x4009)))
    file = capture(tmp_path / "a.pcap", *units, seconds=1)
    scd = Path(__file__).parents[2] / "scl" / "sample-station.scd"
    common = ("--pcap", file, "--speed", "max", "--json", "--scd", scd)
    bound = run(*common, "--ied", "V2G1")
    assert {json.loads(line)["stream"] for line in bound.stdout.splitlines()} == {"MU01"}
    unnamed = run(*common)
    assert unnamed.returncode == 78
    assert "V2G1" in unnamed.stderr


def test_a_file_without_sampled_values_says_so(tmp_path):
    path = write_capture(tmp_path / "a.pcap", [bytes(60)] * 5, [1, 2, 3, 4, 5])
    done = run("--pcap", path, "--speed", "max")
    assert done.returncode == 78
    assert "no sampled values" in done.stderr


def test_a_live_virtual_bus_is_shown(tmp_path):
    bus = f"virtual:{tmp_path}/bus"
    unit = subprocess.Popen(
        [sys.executable, "-m", "agent.processbus.simulated", "--interface", bus, "--dip-every", "0"]
    )
    shown = subprocess.Popen(
        [sys.executable, "-m", "agent.cli.monitor", "--interface", bus, "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        end_s = time.monotonic() + 60
        for line in shown.stdout:
            report = json.loads(line)
            if report["quality"] == "good":
                break
            assert time.monotonic() < end_s
        assert list(report) == KEYS
        assert report["f_hz"] == pytest.approx(50, abs=0.01)
        assert abs(time.time() - report["t"]) < 5
        assert report["published_t"] > report["t"]
    finally:
        for process in (shown, unit):
            process.terminate()
            process.wait(10)
