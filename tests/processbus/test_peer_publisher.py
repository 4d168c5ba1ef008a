"""Frames that libiec61850 encodes, from the wire into a capture file, and what we measure."""

import json
import subprocess
import sys

import numpy as np
import pytest

from agent.processbus.capture.source import CaptureOptions, InterfaceSource
from tests.processbus.conftest import START_S, write_capture
from tests.processbus.peer_publisher import RATE_HZ

pytestmark = pytest.mark.peer


@pytest.fixture(params=[False, True], ids=["packet", "xdp"])
def published(request, veth, tmp_path):
    """Two seconds of 49.87 Hz; each frame with the time at which a merging unit would send it."""
    pytest.importorskip("pyiec61850")
    if request.param:
        request.getfixturevalue("xdp")
    source = InterfaceSource(veth[1], CaptureOptions(goose=False, xdp=request.param))
    publisher = subprocess.Popen(
        [sys.executable, "-m", "tests.processbus.peer_publisher",
         "--interface", veth[0], "--seconds", "2", "--f-hz", "49.87"]
    )  # fmt: skip
    frames, ended = [], False
    while not ended:
        ended = publisher.poll() is not None
        while len(taken := source.take()):
            frames += [part.octets(n) for part in taken.sv for n in range(len(part))]
    source.close()
    assert publisher.returncode == 0
    assert source.by_xdp == (len(frames) if request.param else 0)
    times = START_S * 10**9 + np.arange(len(frames)) * 10**9 // RATE_HZ + 500_000
    return write_capture(tmp_path / "peer.pcap", frames, times.tolist()), len(frames)


def test_the_monitor_measures_what_libiec61850_published(published):
    path, count = published
    assert count == 2 * RATE_HZ
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.monitor", "--pcap", path, "--speed", "max", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    good = [line for line in lines if line["quality"] == "good"]
    assert len(good) > 80
    for line in good:
        assert line["stream"] == "PEERMU01"
        assert line["f_hz"] == pytest.approx(49.87, abs=1e-4)
        assert line["v1_v"] == pytest.approx(230.0, abs=0.1)
