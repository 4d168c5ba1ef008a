"""EVSEs and stations: what is known of them, what they are ordered and asked."""

from __future__ import annotations

from typing import ClassVar

from agent.messages.base import Message
from agent.messages.words import Validity


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
