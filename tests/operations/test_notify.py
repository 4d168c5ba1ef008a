"""sd_notify: what the service manager hears, and when the watchdog is fed."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.notify import Notifier


@pytest.fixture(params=["file", "abstract"])
def manager(request) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A service manager's socket and the environment that it gives a service."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.settimeout(5)
    with tempfile.TemporaryDirectory() as folder, server:
        address = f"{folder}/notify"
        name = f"@v2g-test-{os.getpid()}" if request.param == "abstract" else address
        server.bind("\0" + name[1:] if name.startswith("@") else name)
        yield server, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000"}


def test_ready_status_and_stop_reach_the_manager(manager):
    server, environment = manager
    notifier = Notifier(environment)
    assert notifier.active
    notifier.ready("droop on\nREADY=0 injected")
    notifier.status("50.001 Hz")
    notifier.reloading()
    notifier.stopping()
    received = [server.recv(512).decode() for _ in range(4)]
    assert received[0] == "READY=1\nSTATUS=droop on READY=0 injected"
    assert received[1] == "STATUS=50.001 Hz"
    assert received[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert received[3] == "STOPPING=1"


def test_the_watchdog_is_fed_by_ticks_at_most_four_times_a_period(manager):
    server, environment = manager
    notifier = Notifier(environment)
    assert notifier.watchdog_s == 2.0
    fed = 0
    for tick in range(500):
        if notifier.feed(100.0 + tick * 0.02):
            assert server.recv(64) == b"WATCHDOG=1"
            fed += 1
    assert fed == 20


def test_a_loop_says_ready_at_its_first_turn_only(manager):
    server, environment = manager
    notifier = Notifier(environment)
    for _ in range(3):
        notifier.ready_once()
    assert server.recv(64) == b"READY=1"
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(64)


def test_a_loop_that_stands_still_feeds_nothing(manager):
    _server, environment = manager
    notifier = Notifier(environment)
    assert notifier.feed(100.0)
    assert not notifier.feed(100.0)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "/does/not/exist"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_manager_every_call_does_nothing(environment):
    notifier = Notifier(environment)
    assert not notifier.ready("x")
    assert not notifier.feed(100.0)
    assert not notifier.stopping()


def test_a_manager_that_goes_away_or_does_not_read_stops_nobody(tmp_path: Path):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(tmp_path / "notify"))
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    results = [notifier.status("x" * 100) for _ in range(5000)]
    assert True in results
    assert False in results
    server.close()
    assert not notifier.ready()
