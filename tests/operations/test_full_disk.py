"""A gateway whose log has no room: it runs, says so, refuses from afar, mends by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.audit import verify
from agent.link import Link
from agent.messages import Authority, ControlRequest, RequestKind, RequestOutcome, Role

HANG_LIMIT_S = 30.0


def wait_for(condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + HANG_LIMIT_S
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mount = tmp_path / "log"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    (mount / "ballast").write_bytes(bytes(64 << 10))
    yield mount
    subprocess.run(["umount", mount], check=True)


@pytest.fixture
def configuration(small_disk: Path) -> Path:
    folder = small_disk.parent
    (folder / "power-profile.conf").write_text("")
    path = folder / "agent.toml"
    path.write_text(
        '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        'power_profile = "power-profile.conf"\n[stations]\nhost = "127.0.0.1"\n'
    )
    return path


@pytest.mark.root
def test_a_full_disk_refuses_remote_orders_only_and_mends_without_a_restart(
    configuration: Path, small_disk: Path
):
    socket = configuration.parent / "run" / "control.sock"
    with subprocess.Popen(
        [sys.executable, "-m", "agent.cli.daemon", "--external-workers", "--config", configuration]
    ) as daemon:
        try:
            wait_for(socket.exists)
            scada = Link(socket, Role.IED, "scada")
            wait_for(scada.connect)
            wait_for(lambda: "0x33" in alarms(configuration))
            scada.send(order("r1"))
            refusals: list[RequestOutcome] = []
            wait_for(lambda: bool(refusals.extend(outcomes(scada)) or refusals))
            assert "audit" in refusals[0].reason
            (small_disk / "ballast").unlink()
            wait_for(lambda: "0x33" not in alarms(configuration))
        finally:
            daemon.terminate()
    assert daemon.returncode == 0
    key = (configuration.parent / "state" / "audit.key").read_bytes()
    assert verify(small_disk, key).findings == []


def alarms(configuration: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.ctl", "alarms", "--json", "--config", configuration],
        capture_output=True,
        text=True,
        check=True,
    )
    return {alarm["code"] for alarm in json.loads(done.stdout)}


def order(request_id: str) -> ControlRequest:
    return ControlRequest(
        request_id, Authority.SCADA, "scada", RequestKind.STOP, "site", 0.0, 30.0,
        time.monotonic(), time.time(),
    )  # fmt: skip


def outcomes(link: Link) -> list[RequestOutcome]:
    return [message for message in link.receive() if isinstance(message, RequestOutcome)]
