"""A whole site in one folder: configuration, process bus, merging unit, charging stations.

`make run` and the end-to-end tests use it. Everything in it is the real gateway; only the
merging unit, the stations and the vehicle are simulated, and those speak to it over real sockets.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from agent.errors import UnavailableError
from agent.vehicles.pki import make_demo_pki
from agent.vehicles.simulated.veth import cable, veth_pair

REPOSITORY: Final = Path(__file__).resolve().parent.parent.parent
SAMPLE_SCD: Final = REPOSITORY / "scl" / "sample-station.scd"
STOP_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What the embedded site is made of.

    Attributes:
        stations: OCPP charging stations.
        ocpp_port, mms_port: See `free_port`.
        hmi_port: Of the local page; 0 serves none. `operator`: line of its password file.
        vehicle: Interfaces of a charging cable (EVSE's end, vehicle's end) on which an
            ISO 15118-20 vehicle talks to the gateway directly; None for no vehicle.
    """

    folder: Path
    nominal_hz: int = 50
    stations: int = 4
    ocpp_port: int = 0
    mms_port: int = 0
    filter: str = "default"
    dip_hz: float = 49.80
    dip_length_s: float = 8.0
    host: str = "127.0.0.1"
    vehicle: tuple[str, str] | None = None
    scd: Path = SAMPLE_SCD
    hmi_port: int = 0
    operator: str = ""
    field_ports: tuple[int, int] | None = None
    """Modbus/TCP ports of an inverter and of the analyser before it; None for neither."""


@contextlib.contextmanager
def process_bus_pair() -> Iterator[tuple[str, str, str]]:
    """Yield (receiving end, sending end, kind) of a process bus, and remove it afterwards.

    As root a veth pair; otherwise, or where the kernel refuses, a virtual bus that carries the
    same Ethernet frames.
    """
    names = _names("rx", "tx")
    with contextlib.ExitStack() as stack:
        kind = "veth"
        try:
            stack.enter_context(veth_pair(*names))
        except UnavailableError:
            path = f"virtual:{_virtual_path()}"
            names, kind = (path, path), "virtual"
        yield (*names, kind)


@contextlib.contextmanager
def charging_cable() -> Iterator[tuple[str, str] | None]:
    """Yield the two ends of a virtual charging cable, or None where the kernel refuses it."""
    names = _names("se", "ev")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(cable(*names))
        except UnavailableError:
            yield None
        else:
            yield names


def _names(one: str, other: str) -> tuple[str, str]:
    """Interface names that no second embedded site on this machine has."""
    number = os.getpid() % 10_000_000
    return f"v2g{one}{number}", f"v2g{other}{number}"


def _virtual_path() -> Path:
    return Path(os.environ.get("TMPDIR", "/tmp")) / f"v2g-bus-{os.getpid()}.sock"  # noqa: S108


def free_port(*preferred: int) -> int:
    """Return the first preferred port that is free on every address, or any free one."""
    for port in (*preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("", port))
                return int(probe.getsockname()[1])
    raise UnavailableError("no TCP port is free")


def write_configuration(options: SiteOptions, interface: str) -> Path:
    """Write `agent.toml` and the power profile of the embedded site; return the former."""
    folder = options.folder
    (folder / "power-profile.conf").write_text(
        "MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=11.0\nMIN_SOC_PCT=20\nMAX_SOC_PCT=95\n"
    )
    path = folder / "agent.toml"
    path.write_text(
        f"""[gateway]
name = "V2G1"
run_dir = "run"
state_dir = "state"
log_dir = "log"
power_profile = "power-profile.conf"

[grid]
nominal_hz = {options.nominal_hz}

[control]
# Gateways of one area come back at different times, and slowly; a site on its own need not wait.
random_return_s = 0.0
ramp_share_per_s = 0.5

[scl]
file = "{options.scd}"
ied = "V2G1"

[process_bus]
interface = "{interface}"
filter = "{options.filter}"

[stations]
host = "{options.host}"
port = {options.ocpp_port}
meter_interval_s = 1
# The simulated stations have no passwords; without this, only loopback would be served.
allow_unauthenticated = true

[ied]
host = "{options.host}"
port = {options.mms_port}
{_hmi_section(options)}{_secc_section(options)}{_field_section(options)}"""
    )
    return path


def _hmi_section(options: SiteOptions) -> str:
    if not options.hmi_port:
        return "\n[hmi]\nenabled = false\n\n[history]\nenabled = false\n"
    users = options.folder / "hmi-users.conf"
    users.write_text(f"{options.operator}\n")
    return f"""
[hmi]
port = {options.hmi_port}
users = "{users}"

[history]
evse_period_s = 1.0
"""


def _field_section(options: SiteOptions) -> str:
    if options.field_ports is None:
        return ""
    return f"""
[[field.device]]
name = "inverter1"
role = "inverter"
host = "{options.host}"
port = {options.field_ports[0]}

[[field.device]]
name = "analyser1"
role = "analyser"
type = "janitza-umg604"
host = "{options.host}"
port = {options.field_ports[1]}
evse = "inverter1"
"""


def _secc_section(options: SiteOptions) -> str:
    if options.vehicle is None:
        return ""
    make_demo_pki(options.folder / "pki")
    return f"""
[secc]
pki = "pki"
auth_modes = ["EIM"]

[[secc.evse]]
interface = "{options.vehicle[0]}"
evse_id = "DE*V2G*E1"
kind = "dc"
"""


@dataclass(slots=True)
class Site:
    """The running processes of the embedded site."""

    options: SiteOptions
    config: Path
    sending_end: str
    log: IO[bytes]
    daemon: subprocess.Popen[bytes] | None = None
    merging_unit: subprocess.Popen[bytes] | None = None
    stations: subprocess.Popen[bytes] | None = None
    vehicle: subprocess.Popen[bytes] | None = None
    devices: subprocess.Popen[bytes] | None = None
    bus_events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        """The daemon's control socket."""
        return self.options.folder / "run" / "control.sock"

    @property
    def evses(self) -> int:
        """How many EVSEs the gateway will see."""
        options = self.options
        others = (options.vehicle is not None) + (options.field_ports is not None)
        return options.stations + others

    def start(self) -> None:
        """Start daemon, merging unit, stations and vehicle, as a site comes up."""
        options = self.options
        self.daemon = self._spawn("agent.cli.daemon", "--config", str(self.config))
        self.merging_unit = self._spawn(
            "agent.processbus.simulated",
            *("--interface", self.sending_end, "--nominal", str(options.nominal_hz)),
            *("--dip-hz", str(options.dip_hz), "--dip-length", str(options.dip_length_s)),
            *("--dip-every", "0", "--goose"),
        )
        threading.Thread(target=self._read_bus_events, daemon=True).start()
        self.start_stations()
        if options.vehicle is not None:
            self.vehicle = self._spawn(
                "agent.vehicles.simulated.evcc",
                *("--interface", options.vehicle[1], "--pki", str(options.folder / "pki")),
                *("--service", "DC_BPT", "--period", "0.1", "--cycles", "0"),
            )

        if options.field_ports is not None:
            self.devices = self._spawn(
                "agent.vehicles.simulated.field",
                *("--host", options.host, "--nominal", str(options.nominal_hz)),
                *("--inverter-port", str(options.field_ports[0])),
                *("--analyser-port", str(options.field_ports[1])),
            )

    def start_stations(self) -> None:
        """Start the charging stations, also anew."""
        options = self.options
        self.stations = self._spawn(
            "agent.vehicles.simulated.station",
            *("--url", f"ws://{options.host}:{options.ocpp_port}"),
            *("--count", str(options.stations), "--mix", station_mix(options.stations)),
        )

    def dip(self) -> None:
        """Let the merging unit's frequency dip now."""
        unit = self.merging_unit
        if unit is not None and unit.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                unit.stdin.write(b"dip\n")
                unit.stdin.flush()

    def dips_s(self) -> list[float]:
        """Monotonic wire time of the first frame of each dip so far."""
        return [event["wire_s"] for event in self.bus_events if event["event"] == "dip"]

    def ended(self) -> tuple[str, int] | None:
        """Name and exit code of a process that ended by itself, if one did."""
        for name in ("daemon", "merging_unit", "stations"):
            process: subprocess.Popen[bytes] | None = getattr(self, name)
            if process is not None and (code := process.poll()) is not None:
                return name, code
        return None

    def stop(self) -> None:
        """End everything, the vehicle first, the daemon last."""
        for process in (self.vehicle, self.devices, self.stations, self.merging_unit, self.daemon):
            if process is not None:
                _end(process)

    def _spawn(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        on_time = module == "agent.processbus.simulated"
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if on_time else self.log,
            stderr=self.log,
            preexec_fn=_prepare_on_time if on_time else _die_with_parent,
            cwd=REPOSITORY,
        )

    def _read_bus_events(self) -> None:
        unit = self.merging_unit
        for line in unit.stdout if unit is not None and unit.stdout is not None else ():
            with contextlib.suppress(json.JSONDecodeError, KeyError):
                event = json.loads(line)
                self.bus_events.append({"event": event["event"], "wire_s": event["wire_s"]})


def station_mix(count: int) -> str:
    """Most stations bidirectional, and one each of the two older protocol versions."""
    return f"2.1:{max(1, count - 2)},2.0.1:1,1.6:1"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _prepare_on_time() -> None:
    """A merging unit is on time on a busy machine too, where the system permits it."""
    _die_with_parent()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
