"""The sections of `agent.toml`: what can be set, its unit, its limits and its default."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from agent.config.bus import Bus, Fleet
from agent.config.field import Field
from agent.config.firewall import Firewall
from agent.config.hmi import History, Hmi
from agent.config.metrics import Metrics
from agent.config.profile import PowerProfile
from agent.config.reported import ReportedFrequency
from agent.config.secc import Secc
from agent.config.sections import Section
from agent.config.stations import Stations
from agent.config.utility import Dispatch, Ocpi, Utility

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
HMI_PORT: Final = 8080
HMI_PORT_BESIDE: Final = 8081


class Gateway(Section, frozen=True, kw_only=True):
    """`[gateway]`: identity and places on disk."""

    name: Name = "V2G1"
    run_dir: Path = Path("/run/v2g")
    state_dir: Path = Path("/var/lib/v2g")
    log_dir: Path = Path("/var/log/v2g")
    power_profile: Path = Path("/etc/v2g/power-profile.conf")
    mappings: Path | None = None
    """Folder of mapping files; the ones shipped with the package where not set."""


class Grid(Section, frozen=True, kw_only=True):
    """`[grid]`: the network at the point of connection."""

    nominal_hz: Literal[50, 60] = 50
    nominal_v: Positive = 230.0
    """Phase to ground, RMS, as `Measurement.v1_v`."""
    inertia_s: Positive = 4.0
    """H of the synchronous area on its base, for the stability limit."""
    area_power_w: Positive = 1e10
    """Base power of the area; the fleet's share of it bounds the gain."""
    fleet_scale: Positive = 1.0
    """Power of all gateways that answer alike in this area, over the power of this one."""


class Scl(Section, frozen=True, kw_only=True):
    """`[scl]`: the station's description and which IED in it we are."""

    file: Path = Path("/etc/v2g/scl/station.scd")
    ied: Name = "V2G1"
    access_point: str = ""
    """Empty: the only one that has a server."""


class ProcessBus(Section, frozen=True, kw_only=True):
    """`[process_bus]`: where sampled values and GOOSE come from."""

    interface: Annotated[str, msgspec.Meta(min_length=1, max_length=104)] = "eth0"
    """A network interface, or `virtual:PATH` for a virtual bus at that Unix socket."""
    capture: Literal["packet", "xdp"] = "packet"
    """AF_PACKET, or AF_XDP for short SV frames: they never reach the network stack, a full gigabit
    fits one core, and nobody else on this machine sees them. The unit needs more rights for it."""
    filter: Literal["default", "low-latency"] = "default"
    reports_per_s: Literal[10, 25, 50, 100] = 50
    sv: tuple[str, ...] = ()
    """svIDs to use; empty: those that the SCL binds for our IED."""
    goose: bool = True
    """Read GOOSE; false in the further processes of a bus that needs more than one core."""
    simulation: bool = False
    """Accept frames with the simulation bit (LPHD.Sim)."""
    export_sign: Literal[1, -1] = 1
    """1 where current that flows as the transformers count it exports to the grid, else -1."""
    promiscuous: bool = True
    """Take every multicast of the segment; else only the addresses that the SCL names."""
    hardware_time: bool = False
    """Use the time stamps of the network card; its clock must follow UTC (phc2sys)."""
    cpu: int | None = None
    """Core of the worker; None leaves it to the system."""
    events_mb: NotNegative = 500.0
    """Room for recorded events below `state_dir`; the oldest go first, 0 records none."""
    events_days: Positive = 365.0
    """Events older than this are removed."""

    def check(self) -> list[tuple[str, str, str]]:
        """A capture by XDP is alone at its interface and has a clock of its own."""
        if self.capture == "packet":
            return []
        found, both = [], 'cannot stand beside capture = "xdp"'
        if self.sv:
            found.append(("sv", f"{both}: no other process would get its streams", ""))
        if self.hardware_time:
            found.append(("hardware_time", f"{both}: the card's stamps do not reach it", ""))
        return found


Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Point = tuple[float, float]


class ScheduleEntry(Section, frozen=True, kw_only=True):
    """`[[control.schedule]]`: the site's power in a part of the UTC day; rank: market."""

    start_s: Annotated[float, msgspec.Meta(ge=0, lt=86400)]
    """Seconds since midnight UTC."""
    end_s: Annotated[float, msgspec.Meta(gt=0, le=86400)]
    value_w: float
    """Positive exports."""

    def check(self) -> list[tuple[str, str, str]]:
        """An entry ends after it starts."""
        if self.end_s > self.start_s:
            return []
        return [("end_s", "must be later than start_s", "split an entry at midnight UTC")]


class Control(Section, frozen=True, kw_only=True):
    """`[control]`: the droop and its limits. Names follow IEEE 1547-2018 and IEC 61850-7-420."""

    preset: str = ""
    """Frequency service; empty: `FCR-CE` at 50 Hz, `IEEE1547-III` at 60 Hz."""
    ride_through: str = ""
    """Trip and ride-through settings; empty: `EN50549` at 50 Hz, `IEEE1547-III` at 60 Hz."""
    db_uf_hz: NotNegative | None = None
    """Deadband below nominal; None: the preset's. `db_of_hz`: above."""
    db_of_hz: NotNegative | None = None
    k_uf: Share | None = None
    """Droop in per unit of frequency for full power; None: the preset's. `k_of`: above."""
    k_of: Share | None = None
    curve_uf: tuple[Point, ...] = ()
    """HzWCrv: points (Hz below nominal, share of rated power) instead of deadband and droop.
    `curve_of`: above nominal."""
    curve_of: tuple[Point, ...] = ()
    disagreement: Literal["hold", "nearest-nominal", "mean"] = "hold"
    """What decides when sources contradict each other and none has a majority: nothing (hold, then
    to zero), the one nearest to nominal (least power), or their mean."""
    olrt_s: NotNegative | None = None
    """Open-loop response time; None: the preset's."""
    local_frequency: bool = False
    """Let OCPP 2.1 stations answer frequency by themselves, from the curve that they are told."""
    charge_curve: tuple[Point, ...] = ()
    """Points (SoC in %, share of charging power) of the vehicles; empty: what they report."""
    discharge_curve: tuple[Point, ...] = ()
    contract_up_w: Positive | None = None
    """Power that the droop sells upward; None: all there is. `contract_down_w`: downward."""
    contract_down_w: Positive | None = None
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=0.2)] = 0.2
    ramp_to_zero_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2.0
    lease_s: Annotated[float, msgspec.Meta(ge=2, le=3600)] = 60.0
    """Dead-man of every setpoint sent to a station."""
    min_change_w: NotNegative = 50.0
    """A setpoint that differs by less from the one in force is not sent."""
    min_interval_s: NotNegative = 0.25
    """Shortest time between two orders of one EVSE, except in an event."""
    stability_factor: Annotated[float, msgspec.Meta(ge=1, le=10)] = 2.0
    """K ≤ πH/(factor·τ)."""
    default_delay_s: Positive = 1.0
    """Delay from order to power of an EVSE that was not measured yet."""
    message_budget_per_s: Positive = 5000.0
    ramp_share_per_s: Share = 0.1
    """Remote orders move the fleet by at most this share of its power a second."""
    reversals_per_min: Annotated[int, msgspec.Meta(ge=1, le=60)] = 6
    """Remote orders may turn the fleet's direction this often."""
    random_return_s: NotNegative = 5.0
    """After a trip, an interlock or a stop the fleet returns after a random time up to this."""
    safe_state: Literal["stop", "charge"] = "stop"
    """What a trip or an interlock leaves to vehicles: no power at all, or their own charging."""
    reactive: Literal["off", "volt-var", "power-factor", "var"] = "off"
    power_factor: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 1.0
    """Magnitude 0.90 to 1; positive injects vars (lagging load's need), negative absorbs them."""
    var_share: Annotated[float, msgspec.Meta(ge=-0.44, le=0.44)] = 0.0
    """Constant reactive power as a share of rated power; positive injects."""
    volt_watt: bool = False
    pid_kp: NotNegative = 0.0
    """PID on delivered against ordered power at the point of connection; all zero: off."""
    pid_ki: NotNegative = 0.0
    pid_kd: NotNegative = 0.0
    schedule: tuple[ScheduleEntry, ...] = ()

    def check(self) -> list[tuple[str, str, str]]:
        """The power factor stays between 0.90 lag and 0.90 lead; curves rise."""
        findings: list[tuple[str, str, str]] = []
        if abs(self.power_factor) < 0.9:
            findings.append(("power_factor", "must be 0.90 to 1 or -1 to -0.90", ""))
        for name in ("curve_uf", "curve_of"):
            points = getattr(self, name)
            starts = not points or (points[0][0] >= 0.0 and points[0][1] == 0.0)
            if not (starts and _rises(points) and all(0.0 <= y <= 1.0 for _, y in points)):
                what = "needs rising points from share 0, with shares up to 1"
                findings.append((name, what, "for example [[0.01, 0.0], [0.2, 1.0]]"))
        for name in ("charge_curve", "discharge_curve"):
            points = getattr(self, name)
            if not all(b[0] > a[0] for a, b in pairwise(points)):
                findings.append((name, "needs points of rising SoC", ""))
        return findings


def _rises(points: tuple[Point, ...]) -> bool:
    """Two points or none; x rises, y never falls."""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    return len(points) != 1 and all(x > 0.0 and y >= 0.0 for x, y in steps)


IedRole = Literal[
    "VIEWER",
    "OPERATOR",
    "ENGINEER",
    "INSTALLER",
    "SECADM",
    "SECAUD",
    "RBACMNT",
    "ENGINEER_OPERATOR",
]
"""Roles of IEC 62351-8; ENGINEER_OPERATOR is both, for sites without certificates."""


class Ied(Section, frozen=True, kw_only=True):
    """`[ied]`: the IEC 61850 server."""

    enabled: bool = True
    host: str = "0.0.0.0"  # noqa: S104 - the station bus
    port: Port = 102
    engine: Literal["open61850", "libiec61850"] = "open61850"
    files: Path | None = None
    """Folder that the MMS file services show; needs `engine = "libiec61850"`."""
    goose_interface: str = ""
    """Interface on which the SCL's GSEControls of this IED are published; empty: none."""
    evses: dict[str, str] = msgspec.field(default_factory=dict)
    """Logical device instance → EVSE; every other EVSE takes the first free one and keeps it."""
    groups: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Logical device instance of a group → names or patterns (``north/*``) of its EVSEs."""
    order_lease_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 300.0
    """Lease of an order from SCADA whose logical node has no reversion time."""
    stale_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    """Without a snapshot for this long, values become questionable and old."""
    max_associations: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 64
    max_associations_per_address: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 64
    handshake_timeout_s: Positive = 5.0
    """From TCP connect to the MMS association."""
    report_buffer_kb: Annotated[int, msgspec.Meta(ge=16, le=65536)] = 256
    """What one buffered report control block keeps for a client that is away."""
    idle_timeout_s: NotNegative = 0.0
    """An association without a request for this long is closed; 0: never."""
    session_max_s: NotNegative | None = None
    """An association is closed after this time; 0: never. Not set: a day with TLS (IEC 62351-3),
    for ever without."""
    allow: tuple[str, ...] = ()
    """Networks that may connect (``192.0.2.0/24``); empty: all."""
    plain: bool | None = None
    """Serve MMS without TLS on `port`; not set: only while there is no `certificate`."""
    plain_role: IedRole = "ENGINEER_OPERATOR"
    """Role of whoever connects without TLS."""
    tls_port: Port = 3782
    certificate: Path | None = None
    """PEM of this IED; with `private_key` and `ca` it turns TLS on."""
    private_key: Path | None = None
    ca: Path | None = None
    """PEM of the authorities that sign clients. `crl`: their revocation lists."""
    crl: Path | None = None
    tls_least: Literal["1.2", "1.3"] = "1.2"
    source: tuple[ReportedFrequency, ...] = ()
    """Frequencies that other IEDs report, for the vote."""
    roles: dict[str, IedRole] = msgspec.field(default_factory=dict)
    """Common name of a client's certificate → role; others need the role in the certificate."""

    def check(self) -> list[tuple[str, str, str]]:
        """TLS needs all three files; networks must be networks."""
        findings: list[tuple[str, str, str]] = []
        named = {"certificate": self.certificate, "private_key": self.private_key, "ca": self.ca}
        if self.files is not None and self.engine != "libiec61850":
            hint = "engine = 'libiec61850', or no files"
            findings.append(("files", "the open61850 engine has no file services", hint))
        missing = [name for name, path in named.items() if path is None]
        if missing and len(missing) < len(named):
            findings.append((missing[0], "is missing", "TLS needs certificate, private_key, ca"))
        if any(source.tls for source in self.source) and missing:
            findings.append(("source", "tls needs a certificate", "set ied.certificate and more"))
        names = [source.name for source in self.source]
        if len(set(names)) < len(names):
            findings.append(("source", "two sources have one name", "give each its own"))
        for network in self.allow:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                findings.append(("allow", str(error), "for example 192.0.2.0/24"))
        return findings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was configured, checked; `path` is the file it came from."""

    path: Path
    gateway: Gateway = Gateway()
    grid: Grid = Grid()
    scl: Scl = Scl()
    process_bus: ProcessBus = ProcessBus()
    control: Control = Control()
    stations: Stations = Stations()
    ied: Ied = Ied()
    firewall: Firewall = Firewall()
    hmi: Hmi = Hmi()
    history: History = History()
    metrics: Metrics = Metrics()
    secc: Secc = Secc()
    field: Field = Field()
    utility: Utility = Utility()
    dispatch: Dispatch = Dispatch()
    ocpi: Ocpi = Ocpi()
    bus: Bus = Bus()
    fleet: Fleet = Fleet()
    power: PowerProfile = PowerProfile()

    @property
    def control_socket(self) -> Path:
        """Where the daemon listens for workers and tools."""
        return self.gateway.run_dir / "control.sock"

    @property
    def hmi_port(self) -> int:
        """Where the local page is: 8080 unless charging stations are expected there."""
        if self.hmi.port is not None:
            return self.hmi.port
        return HMI_PORT_BESIDE if HMI_PORT in self._station_ports else HMI_PORT

    @property
    def _station_ports(self) -> set[int]:
        return {self.stations.port, *(each.port for each in self.stations.listeners)}

    def check(self) -> list[tuple[str, str, str]]:
        """Return (key, what, hint) for rules that span several tables."""
        if self.hmi.enabled and self.hmi.port in self._station_ports:
            hint = "leave hmi.port out, or choose another"
            return [("hmi.port", "a listener of [stations] has this port", hint)]
        return []
