"""The worker as a process: over a virtual bus, to a control socket."""

import ctypes
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.link import Hub
from agent.messages import (
    DigitalInput,
    Heartbeat,
    Measurement,
    Role,
    Shutdown,
    SubscriptionHealth,
    Validity,
)

SCD = Path(__file__).parents[2] / "scl" / "sample-station.scd"


def configuration(folder: Path, interface: str, ied: str = "V2G1", more: str = "") -> Path:
    (folder / "profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=11.0\n")
    path = folder / "agent.toml"
    path.write_text(
        f'[gateway]\nrun_dir = "run"\npower_profile = "profile.conf"\n'
        f'[scl]\nfile = "{SCD}"\nied = "{ied}"\n'
        f'[process_bus]\ninterface = "{interface}"\n{more}'
    )
    (folder / "run").mkdir()
    return path


def start(module, *arguments, **kw):
    return subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], **kw)


def hear(hub, until, seconds=60.0):
    heard = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        heard += [message for _, message in hub.poll(0.05).received]
        if until(heard):
            return heard
    raise AssertionError(f"heard only {[type(m).__name__ for m in heard][-20:]}")


def sources(heard):
    return {m.source for m in heard if isinstance(m, Measurement)}


def good(kind):
    return lambda heard: any(isinstance(m, kind) and m.quality is Validity.GOOD for m in heard)


def test_the_worker_measures_reports_health_and_ends_when_told(tmp_path):
    bus = f"virtual:{tmp_path}/bus"
    config = configuration(tmp_path, bus)
    hub = Hub(tmp_path / "run" / "control.sock")
    worker = start("agent.processbus.worker", "--config", config)
    unit = start(
        "agent.processbus.simulated", "--interface", bus, "--dip-every", "0", "--goose",
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        heard = hear(hub, good(Measurement))
        heard += hear(hub, good(DigitalInput))
        heard += hear(
            hub,
            lambda h: (
                {m.kind for m in h if isinstance(m, SubscriptionHealth) and m.alive}
                == {"sv", "goose"}
            ),
        )
        heard += hear(hub, lambda h: any(isinstance(m, Heartbeat) for m in h))
        reports = [m for m in heard if isinstance(m, Measurement) and m.source == "MU01"]
        assert reports[-1].f_hz == pytest.approx(50, abs=0.01)
        assert 0 < reports[-1].published_s - reports[-1].wire_s < 5
        assert abs(time.monotonic() - reports[-1].published_s) < 60
        beat = next(m for m in heard if isinstance(m, Heartbeat))
        assert {"frames", "dropped", "malformed", "goose"} <= beat.counters.keys()
        assert hub.send_role(Role.PROCESS_BUS, Shutdown("test")) == 1
        assert worker.wait(20) == 0
    finally:
        for process in (worker, unit):
            process.kill()
            process.wait()
        hub.close()


@pytest.mark.root
def test_the_worker_captures_by_xdp_where_the_settings_say_so(tmp_path, xdp):
    config = configuration(tmp_path, xdp[1], more='capture = "xdp"\n')
    hub = Hub(tmp_path / "run" / "control.sock")
    worker = start("agent.processbus.worker", "--config", config)
    unit = start(
        "agent.processbus.simulated", "--interface", xdp[0], "--dip-every", "0", "--goose",
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        hear(hub, good(Measurement))
        hear(hub, good(DigitalInput))
        heard = hear(hub, lambda h: sum(isinstance(m, Heartbeat) for m in h) >= 2)
        counters = [m for m in heard if isinstance(m, Heartbeat)][-1].counters
        assert 0 < counters["xdp"] < counters["frames"]
        assert counters["dropped"] == 0
    finally:
        for process in (worker, unit):
            process.kill()
            process.wait()
        hub.close()


def test_two_processes_share_a_bus_by_stream_lists(tmp_path):
    """As `docs/process-bus.md` describes it: same `run_dir`, each its own streams."""
    bus = f"virtual:{tmp_path}/bus"
    first = configuration(tmp_path, bus)
    lines = first.read_text()
    second = tmp_path / "bus-2.toml"
    second.write_text(lines + 'sv = ["MU02"]\ngoose = false\n')
    first.write_text(lines + 'sv = ["MU01"]\n')
    hub = Hub(tmp_path / "run" / "control.sock")
    simulated = ("agent.processbus.simulated", "--interface", bus, "--dip-every", "0", "--svid")
    processes = [
        start("agent.processbus.worker", "--config", first),
        start("agent.processbus.worker", "--config", second, "--name", "processbus2"),
        *(start(*simulated, name, stdout=subprocess.DEVNULL) for name in ("MU01", "MU02")),
    ]
    try:
        heard = hear(hub, lambda h: {"MU01", "MU02"} <= sources(h), 180.0)
        heard += hear(hub, lambda h: len({m.name for m in h if isinstance(m, Heartbeat)}) == 2)
        beats = [m for m in heard if isinstance(m, Heartbeat)]
        assert {m.name for m in beats} == {"processbus", "processbus2"}
        assert all(m.counters["streams"] <= 1 for m in beats)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        hub.close()


@pytest.mark.parametrize(
    ("interface", "ied", "code", "says"),
    [
        ("nowhere0", "V2G1", 69, "nowhere0: no such interface (there are:"),
        ("lo", "NOBODY", 78, "V2G1"),
    ],
)
def test_what_cannot_start_says_why_and_ends_with_its_code(tmp_path, interface, ied, code, says):
    config = configuration(tmp_path, interface, ied)
    done = subprocess.run(
        [sys.executable, "-m", "agent.processbus.worker", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def without_raw_frames():
    """Drop CAP_NET_RAW from the bounding set (prctl PR_CAPBSET_DROP), where there is one."""
    ctypes.CDLL(None).prctl(24, 13)


def test_without_permission_the_interfaces_and_the_way_out_are_named(tmp_path):
    config = configuration(tmp_path, "lo")
    done = subprocess.run(
        [sys.executable, "-m", "agent.processbus.worker", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=without_raw_frames,
    )
    assert done.returncode == 69
    assert "CAP_NET_RAW" in done.stderr
    assert "interfaces: " in done.stderr
    assert "Traceback" not in done.stderr
