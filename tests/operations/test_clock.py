"""The wall clock's state: the kernel's own figures, and steps against the monotonic clock."""

from __future__ import annotations

import subprocess

import pytest

from agent.clock import STA_NANO, STA_UNSYNC, TIME_ERROR, StepDetector, interpret, read_clock

HOUR_S = 3600.0


def test_the_kernel_answers_without_privilege_and_agrees_with_timedatectl():
    state = read_clock()
    assert state.synchronised == (not state.reason)
    shown = subprocess.run(
        ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode == 0:
        assert state.synchronised or shown.stdout.strip() == "no" or "error" in state.reason


def test_a_disciplined_clock_is_synchronised_and_its_figures_are_in_seconds():
    state = interpret(0, STA_NANO, -1500, 2_000, 30, 37, "PTP")
    assert (state.synchronised, state.reason) == (True, "")
    assert state.offset_s == pytest.approx(-1.5e-6)
    assert state.max_error_s == pytest.approx(2e-3)
    assert state.estimated_error_s == pytest.approx(30e-6)
    assert (state.tai_offset_s, state.source) == (37, "PTP")


def test_microseconds_without_sta_nano():
    assert interpret(0, 0, 1500, 0, 0, 0, "").offset_s == pytest.approx(1.5e-3)


@pytest.mark.parametrize(
    ("state", "status", "max_error_us"),
    [(TIME_ERROR, 0, 0), (0, STA_UNSYNC, 0), (0, 0, 16_000_000)],
)
def test_an_undisciplined_or_uncertain_clock_is_not_synchronised(state, status, max_error_us):
    found = interpret(state, status, 0, max_error_us, 0, 0, "kernel")
    assert not found.synchronised
    assert found.reason


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("run/systemd/timesync/synchronized", "systemd-timesyncd"),
        ("run/chrony/chronyd.pid", "chrony"),
        ("run/ptp4l", "PTP"),
        ("run/other", "kernel"),
    ],
)
def test_the_time_service_is_named(tmp_path, file, source):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert read_clock(tmp_path).source == source


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, 0.2, -0.2])
def test_a_step_is_found_once_with_its_size(step_s):
    detector = StepDetector()
    assert detector.observe(1e9, 10.0) == 0.0
    assert detector.observe(1e9 + 1.0 + step_s, 11.0) == pytest.approx(step_s)
    assert detector.observe(1e9 + 2.0 + step_s, 12.0) == 0.0


def test_slewing_is_no_step():
    detector = StepDetector()
    assert not any(detector.observe(1e9 + s * (1 + 500e-6), float(s)) for s in range(1000))
