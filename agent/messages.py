"""The contracts between the processes, read first.

Every process speaks these frozen structures and nothing else (`agent.link` carries them). Each has
a value, the source's UTC time, a quality, and the monotonic instant that matters for its age;
CLOCK_MONOTONIC is one clock for all processes of a Linux machine, so ages need no translation.

Signs and units: watts, **positive exports to the grid** (discharge). `_s` fields that end in
`utc_s` are UTC seconds since 1970; `mono_s`, `wire_s`, `sent_s` are CLOCK_MONOTONIC seconds.

A newer message with the same `key` replaces an older one that was not delivered yet.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar, Final

import msgspec

from agent.errors import AlarmCode

PROTOCOL_VERSION: Final = 2
SITE: Final = "site"
"""Target of a `ControlRequest` that means every EVSE of the gateway."""


class Validity(StrEnum):
    """How far a value may be trusted; `held` is the last good value, kept over an event."""

    GOOD = "good"
    HELD = "held"
    QUESTIONABLE = "questionable"
    INVALID = "invalid"


class Role(StrEnum):
    """Who speaks on a link; one process has one role (stations and SECC may have several)."""

    PROCESS_BUS = "processbus"
    IED = "ied"
    STATIONS = "stations"
    SECC = "secc"
    FIELD = "field"
    UTILITY = "utility"
    BUS = "bus"
    HMI = "hmi"
    OPERATOR = "operator"


class Authority(IntEnum):
    """Rank of whoever orders; the lower number wins (arbitration)."""

    SAFETY = 0
    RIDE_THROUGH = 1
    LOCAL_OPERATOR = 2
    BALANCING_AUTHORITY = 3
    SCADA = 4
    CSMS = 5
    MARKET = 6


class RequestKind(StrEnum):
    """What a `ControlRequest` asks for."""

    WATT_SETPOINT = "watt-setpoint"
    """Deliver `value` W at the target (DWGC.WSpt); positive exports."""
    WATT_LIMIT = "watt-limit"
    """Keep |export| at or below `value` W (DWMX.WMaxSpt)."""
    CHARGE_LIMIT = "charge-limit"
    """Keep charging at or below `value` W (positive magnitude)."""
    VAR_SETPOINT = "var-setpoint"
    """Deliver `value` var at the target; positive injects."""
    SETTING = "setting"
    """Change the droop setting named by `setting` to `value` (narrowing only, when remote)."""
    MODE = "mode"
    """Set the operating mode named by `setting`: `on`, `blocked`, `drain`."""
    SIMULATION = "simulation"
    """Take simulated sampled values and GOOSE from now on (`value` 1), or only real ones (0)."""
    STOP = "stop"
    """Everything at the target to zero until the lease ends or `WITHDRAW`."""
    WITHDRAW = "withdraw"
    """End the request named by `setting` (its `request_id`), or all of this origin when empty."""


class RequestStatus(StrEnum):
    """Where a request stands; `completed`, `failed`, `refused` and `expired` are final."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"


class WorkerState(StrEnum):
    """State of a worker process as the daemon sees it."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPED = "stopped"


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Base of all messages; `key` says which older message a newer one replaces."""

    _key_fields: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Identity for latest-value-wins: the type and its identifying fields."""
        return (type(self), *(getattr(self, name) for name in self._key_fields))


class Hello(Message, frozen=True):
    """First message on every link."""

    role: Role
    pid: int
    name: str = ""
    version: int = PROTOCOL_VERSION


class Measurement(Message, frozen=True):
    """One frequency report of one source at the point of connection.

    Attributes:
        source: svID, GOOSE control block reference or meter name.
        t_utc_s: The instant that the estimate describes.
        f_hz: Frequency. `rocof_hz_s`: its rate. `v1_v`: positive-sequence RMS, phase to ground.
        uncertainty_hz: Standard uncertainty of `f_hz`.
        v_phase_v: RMS of phases a, b, c; None where the source has no voltages.
        p_w, q_var: Three-phase power at the transformer, positive exports to the grid.
        smp_synch: SmpSynch of the stream (0 none, 1 local, 2 global; IEC 61850-9-2).
        wire_s: Monotonic arrival of the last frame the estimate needed.
        published_s: Monotonic instant at which the estimate was known.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("source",)

    source: str
    t_utc_s: float
    f_hz: float
    rocof_hz_s: float
    v1_v: float
    quality: Validity
    wire_s: float
    published_s: float
    uncertainty_hz: float = 0.0
    v_phase_v: tuple[float, float, float] | None = None
    p_w: float | None = None
    q_var: float | None = None
    smp_synch: int = 0
    rocof_trip_hz_s: float = 0.0
    """ROCOF averaged for tripping (a step's spike removed)."""
    v1_phase_rad: float | None = None
    """Phase of the positive-sequence voltage at `t_utc_s`; None where there is none."""


class DigitalInput(Message, frozen=True):
    """A two-state input of the process bus: breaker position, islanding, external interlock.

    Attributes:
        name: `breaker_closed`, `islanded` or `interlock`, as the mapping file names it.
        value: The state; on `quality` other than good the control takes the safe side.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("source", "name")

    source: str
    name: str
    value: bool
    quality: Validity
    t_utc_s: float
    published_s: float


class SubscriptionHealth(Message, frozen=True):
    """State of one SV or GOOSE subscription, as LSVS and LGOS show it (IEC 61850-7-4)."""

    _key_fields: ClassVar[tuple[str, ...]] = ("control_block",)

    control_block: str
    kind: str
    """`sv` or `goose`."""
    alive: bool
    nds_com: bool
    simulated: bool
    conf_rev: int
    rx_conf_rev: int
    last_st_num: int = 0
    frames: int = 0
    lost: int = 0
    rejected: int = 0
    reason: str = ""


class EvseStatus(Message, frozen=True):
    """What is known of one EVSE and the vehicle at it.

    Attributes:
        evse_id: `<station>/<evse number>`, or the SECC's interface name.
        online: The station's connection is alive.
        plugged: A vehicle is connected and ready for energy transfer.
        p_w: Power now delivered, positive exports; None while unknown.
        charge_max_w, discharge_max_w: Magnitudes that station and vehicle permit now.
        base_w: What it would take without us (negative: charging); the droop acts around it.
        setpoint_w: Last order the station accepted; None before the first.
        latency_s: Measured time from order to delivered power; NaN before the first.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id",)

    evse_id: str
    protocol: str
    online: bool
    plugged: bool
    t_utc_s: float
    published_s: float
    quality: Validity = Validity.GOOD
    p_w: float | None = None
    q_var: float | None = None
    charge_max_w: float = 0.0
    discharge_max_w: float = 0.0
    charge_min_w: float = 0.0
    discharge_min_w: float = 0.0
    base_w: float = 0.0
    setpoint_w: float | None = None
    step_w: float = 0.0
    soc_pct: float | None = None
    soc_min_pct: float | None = None
    soc_max_pct: float | None = None
    capacity_wh: float | None = None
    soh_pct: float | None = None
    departure_utc_s: float | None = None
    energy_needed_wh: float | None = None
    latency_s: float = float("nan")
    voltage_v: tuple[float, ...] = ()
    current_a: tuple[float, ...] = ()
    energy_export_wh: float | None = None
    energy_import_wh: float | None = None
    ev_id: str = ""
    vendor: str = ""
    model: str = ""
    fault: str = ""
    local_frequency: bool = False
    """The station answers frequency by itself from a curve it was given."""
    cannot: tuple[str, ...] = ()
    """What station or vehicle cannot do, in words: `discharge`, `reactive power`, `orders`."""


class Setpoint(Message, frozen=True):
    """An order to one EVSE; it expires by itself `lease_s` after `issued_s`.

    Attributes:
        seq: Rises by one for every order of this EVSE.
        wire_s: Arrival of the last sampled-value frame that decided it; 0 where none did.
        reason: `droop`, `request`, `soc`, `ramp`, `loss`, `guard`…
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id",)

    evse_id: str
    seq: int
    p_w: float
    lease_s: float
    issued_s: float
    wire_s: float = 0.0
    q_var: float = 0.0
    reason: str = "droop"


class OrderSent(Message, frozen=True):
    """An order left on the wire towards a station."""

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id", "seq")

    evse_id: str
    seq: int
    p_w: float
    sent_s: float
    wire_s: float


class OrderResult(Message, frozen=True):
    """A station's answer to an order."""

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id", "seq")

    evse_id: str
    seq: int
    accepted: bool
    done_s: float
    reason: str = ""


class ControlRequest(Message, frozen=True):
    """A wish from outside; `control.step` decides what becomes of it.

    Attributes:
        request_id: Unique for ever; a repeated one is answered, not carried out again.
        authority: Rank of the sender. `origin`: who, for the audit (orIdent, CSMS, user).
        target: `SITE`, a group's name or an `evse_id`.
        lease_s: It ends by itself after this time; every order has one.
        duration_s: Bounded test: end and report after this time; 0 for none.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    authority: Authority
    origin: str
    kind: RequestKind
    target: str
    value: float
    lease_s: float
    received_s: float
    t_utc_s: float
    setting: str = ""
    duration_s: float = 0.0
    test: bool = False


class RequestOutcome(Message, frozen=True):
    """What became of a `ControlRequest`.

    Attributes:
        add_cause: AddCause of IEC 61850-7-2 table "additional cause"; 0 is unknown/none.
        delivered_w: Power delivered at the target when the outcome was decided.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id", "status")

    request_id: str
    status: RequestStatus
    reason: str = ""
    add_cause: int = 0
    ordered_w: float = 0.0
    delivered_w: float | None = None
    t_utc_s: float = 0.0


class Alarm(Message, frozen=True):
    """A condition that someone must know of, with what to do about it."""

    _key_fields: ClassVar[tuple[str, ...]] = ("code", "source")

    code: AlarmCode
    active: bool
    source: str
    text: str
    advice: str
    since_utc_s: float
    acknowledged: bool = False


class WorkerHealth(Message, frozen=True):
    """State of one worker; `age_s` is the time since it was last heard."""

    _key_fields: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    role: Role
    state: WorkerState
    pid: int = 0
    restarts: int = 0
    age_s: float = 0.0
    counters: dict[str, float] = msgspec.field(default_factory=dict)


class Heartbeat(Message, frozen=True):
    """A worker is alive; sent at least every second, with its counters."""

    name: str
    mono_s: float
    counters: dict[str, float] = msgspec.field(default_factory=dict)


class EvseView(Message, frozen=True):
    """One EVSE in a `Snapshot`: what it said and what it was told."""

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id",)

    status: EvseStatus
    ordered_w: float
    reason: str
    up_w: float
    """Headroom for more export now. `down_w`: for more import (both magnitudes)."""
    down_w: float

    @property
    def evse_id(self) -> str:
        """Identity of the EVSE."""
        return self.status.evse_id


class LatencyView(Message, frozen=True):
    """Percentiles of the loop's own latency, in milliseconds; NaN before the first order."""

    count: int = 0
    p50_ms: float = float("nan")
    p99_ms: float = float("nan")


class LoopView(Message, frozen=True):
    """The control loop's inside, for HMI, MMS, audit and `v2g-ctl`."""

    mode: str
    nominal_hz: float
    deadband_hz: float
    droop_pu: float
    droop_w: float
    """Power that the droop asks for. `target_w`: after arbitration and limits."""
    target_w: float
    ordered_w: float
    delivered_w: float
    up_w: float
    down_w: float
    gain_w_per_hz: float
    gain_limit_w_per_hz: float
    gain_reason: str
    delay_s: float
    authority: Authority | None
    ticks: int
    missed_ticks: int
    setpoints_sent: int
    reason: str = ""
    own_limit_w_per_hz: float = float("inf")
    """What the delays alone allow, without a region's share of the gain."""


class FieldReading(Message, frozen=True):
    """What a meter or analyser measured; `control.step` does not see it, tools and pages do.

    Attributes:
        device: Name of the device. `evse_id`: whose power it measures; empty for none.
        p_phase_w, v_phase_v, i_phase_a: L1, L2, L3; None where the device does not say.
        published_s: Monotonic instant of the answer.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("device",)

    device: str
    t_utc_s: float
    published_s: float
    quality: Validity
    evse_id: str = ""
    p_w: float | None = None
    q_var: float | None = None
    f_hz: float | None = None
    p_phase_w: tuple[float | None, float | None, float | None] = (None, None, None)
    v_phase_v: tuple[float | None, float | None, float | None] = (None, None, None)
    i_phase_a: tuple[float | None, float | None, float | None] = (None, None, None)
    dc_injection_a: float | None = None


class Verification(Message, frozen=True):
    """How far an EVSE's own report is from what an independent device measures.

    The report is taken as gain × (power `lag_s` earlier) + offset. `_u` fields are half the width
    of a 95 % confidence interval; NaN where the record does not determine the quantity.

    Attributes:
        variance: RMS of report minus measurement, lag removed, over RMS of the measurement.
        verdict: `pass`, `fail` or `inconclusive`.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("device", "evse_id")

    device: str
    evse_id: str
    t_utc_s: float
    window_s: float
    samples: int
    gain: float
    gain_u: float
    offset_w: float
    offset_u_w: float
    lag_s: float
    lag_u_s: float
    variance: float
    verdict: str


class Snapshot(Message, frozen=True):
    """The state after one tick.

    `evses` holds those that changed since the last snapshot, and all of them once a second
    (`complete` is then true).
    """

    t_utc_s: float
    mono_s: float
    measurement: Measurement | None
    loop: LoopView
    evses: tuple[EvseView, ...]
    complete: bool
    alarms: tuple[Alarm, ...]
    workers: tuple[WorkerHealth, ...]
    subscriptions: tuple[SubscriptionHealth, ...] = ()
    requests: tuple[ControlRequest, ...] = ()
    software_latency: LatencyView = LatencyView()
    settings: dict[str, float] = msgspec.field(default_factory=dict)
    clock_synchronised: bool = False
    clock_source: str = ""
    clock_reason: str = ""
    """Why the clock is not synchronised; empty where it is."""
    audit_seq: int = 0
    """Last record of the audit log that is on the disk. `audit_mac`: its code, hexadecimal."""
    audit_mac: str = ""
    sources: tuple[Measurement, ...] = ()
    """Newest report of every source; in complete snapshots only."""
    verifications: tuple[Verification, ...] = ()
    simulation: bool = False
    """Simulated sampled values and GOOSE are taken (LPHD.Sim)."""


class AuditEvent(Message, frozen=True):
    """Something a worker saw that the audit log must keep; the control writes it.

    Attributes:
        source: Name of the worker. `number`: rises by one with every event of it.
        kind: `association`, `refusal`, `setting` or `mode` (`agent.audit.Kind`).
        subject: Who: address and identity of the peer.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("source", "number")

    source: str
    number: int
    kind: str
    subject: str
    text: str
    t_utc_s: float


class StatusQuery(Message, frozen=True):
    """An operator's tool asks for one complete `Snapshot`, or for all of them (`watch`)."""

    watch: bool = False


class Acknowledge(Message, frozen=True):
    """An operator has seen active alarms; answered with a `RequestOutcome`.

    Attributes:
        code: Alarms with this code only; None for every code.
        source: Alarms of this source only; empty for every source.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    origin: str
    code: AlarmCode | None = None
    source: str = ""


class Reload(Message, frozen=True):
    """An operator asks to read the configuration again; answered with a `RequestOutcome`.

    Attributes:
        workers: Start every worker anew, also where its settings are the same: for changed SCL,
            mapping or certificate files.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    origin: str
    workers: bool = False


class Shutdown(Message, frozen=True):
    """The daemon ends; workers that it started finish what is on the wire and stop.

    Attributes:
        again: The settings changed: every worker that hears this ends, and is started again.
    """

    reason: str
    again: bool = False


class Simulation(Message, frozen=True):
    """To the process bus: take simulated sampled values and GOOSE, or only real ones (LPHD.Sim)."""

    accept: bool


class ModeOrder(Message, frozen=True):
    """Puts one EVSE into an operation mode that works without further orders (OCPP 2.1, block Q).

    Attributes:
        mode: `CentralSetpoint`, `CentralFrequency`, `LocalFrequency`, `ExternalSetpoint`,
            `ExternalLimits`, `LocalLoadBalancing`, `ChargingOnly` or `Idle`.
        p_w: Setpoint (export positive) in the central modes.
        charge_limit_w, discharge_limit_w: Magnitudes, where the mode permits them.
        baseline_w: Export on top of which the curves count.
        freq_watt: Points (Hz, W of export) of the curve that the station follows by itself.
        signal_watt: Points (signal, W of export) that give `GridSignal` its meaning.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("evse_id",)

    evse_id: str
    seq: int
    mode: str
    lease_s: float
    issued_s: float
    p_w: float = 0.0
    charge_limit_w: float | None = None
    discharge_limit_w: float | None = None
    baseline_w: float = 0.0
    freq_watt: tuple[tuple[float, float], ...] = ()
    signal_watt: tuple[tuple[int, float], ...] = ()


class GridSignal(Message, frozen=True):
    """The signal of an automatic frequency restoration reserve, for all stations (AFRRSignal)."""

    _key_fields: ClassVar[tuple[str, ...]] = ()

    signal: int
    t_utc_s: float


class StationCall(Message, frozen=True):
    """An OCPP call that passes between a station and someone behind the control.

    Attributes:
        request_id: Unique for ever; comes back in the `StationAnswer`.
        station: Identity of the station that calls, or is called.
        payload: The call's payload as JSON, in the station's own version.
        from_station: The station asks (Authorize…); else it is asked (GetVariables…).
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    station: str
    action: str
    payload: bytes
    from_station: bool = False
    protocol: str = ""


class StationAnswer(Message, frozen=True):
    """What became of a `StationCall`: the answer's payload, or `error` with its code."""

    _key_fields: ClassVar[tuple[str, ...]] = ("request_id",)

    request_id: str
    station: str
    payload: bytes = b"{}"
    error: str = ""
    from_station: bool = False


class Batch(Message, frozen=True):
    """Several messages of one turn in one datagram; `Connection.receive` takes it apart again."""

    messages: tuple[EvseStatus | OrderSent | OrderResult | Setpoint | ModeOrder, ...]


AnyMessage = (
    Hello
    | Measurement
    | DigitalInput
    | SubscriptionHealth
    | EvseStatus
    | Setpoint
    | OrderSent
    | OrderResult
    | ControlRequest
    | RequestOutcome
    | Alarm
    | WorkerHealth
    | Heartbeat
    | FieldReading
    | Verification
    | Snapshot
    | AuditEvent
    | StatusQuery
    | Acknowledge
    | Reload
    | Shutdown
    | Simulation
    | ModeOrder
    | GridSignal
    | StationCall
    | StationAnswer
    | Batch
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: Message) -> bytes:
    """Return the bytes of one message."""
    return _encoder.encode(message)


def decode(data: bytes | memoryview) -> AnyMessage:
    """Return the message in `data`.

    Raises:
        msgspec.DecodeError: The bytes are not one of the messages above.
    """
    return _decoder.decode(data)
