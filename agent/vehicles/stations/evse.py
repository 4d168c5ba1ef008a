"""What is known of one EVSE; becomes the `EvseStatus` that the control sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.messages import EvseStatus, Validity
from agent.ocpp.meter import Reading
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.response import ResponseTimer


@dataclass(slots=True)
class EvLimits:
    """What the vehicle said it can do (NotifyEVChargingNeeds); magnitudes, None where unsaid.

    `bidirectional` is true once it asked for an energy transfer with BPT.
    """

    charge_max_w: float | None = None
    charge_min_w: float = 0.0
    discharge_max_w: float | None = None
    discharge_min_w: float = 0.0
    bidirectional: bool = False
    capacity_wh: float | None = None
    energy_needed_wh: float | None = None
    target_soc_pct: float | None = None
    departure_utc_s: float | None = None


@dataclass(slots=True)
class Evse:
    """State of one EVSE and of the vehicle at it.

    `charge_max_w` and `discharge_max_w` are the equipment's; the vehicle's are in `ev`.
    """

    number: int
    charge_max_w: float
    discharge_max_w: float
    charge_min_w: float = 0.0
    discharge_min_w: float = 0.0
    step_w: float = 0.0
    plugged: bool = False
    charging: bool = False
    faulted: str = ""
    available: bool = True
    transaction_id: str = ""
    ev_id: str = ""
    ev: EvLimits = field(default_factory=EvLimits)
    reading: Reading = field(default_factory=Reading)
    measured: Instant | None = None
    setpoint_w: float | None = None
    local_frequency: bool = False
    response: ResponseTimer = field(default_factory=ResponseTimer)

    def measure(self, reading: Reading, at: Instant) -> None:
        """Take over the values that `reading` has."""
        old = self.reading
        for name in ("p_w", "q_var", "soc_pct", "export_wh", "import_wh", "f_hz"):
            if getattr(reading, name) is not None:
                setattr(old, name, getattr(reading, name))
        old.voltage_v = reading.voltage_v or old.voltage_v
        old.current_a = reading.current_a or old.current_a
        if reading.p_w is not None:
            self.measured = at
            self.response.measured(reading.p_w, at.mono_s)

    def begin(self, transaction_id: str) -> None:
        """A transaction begins: what was known of an earlier vehicle is forgotten."""
        if transaction_id != self.transaction_id:
            self.setpoint_w = None
            self.transaction_id = transaction_id

    def end(self) -> None:
        """The vehicle left or its transaction ended."""
        self.transaction_id = self.ev_id = ""
        self.plugged = self.charging = self.local_frequency = False
        self.ev = EvLimits()
        self.reading.p_w, self.reading.q_var, self.reading.soc_pct = 0.0, 0.0, None
        self.setpoint_w = None
        self.response.cancel()

    @property
    def can_discharge(self) -> bool:
        """Both the equipment and the vehicle said so; nothing is assumed."""
        return self.discharge_max_w > 0.0 and self.ev.bidirectional

    @property
    def charge_limit_w(self) -> float:
        """The smaller of the equipment's and the vehicle's charging power."""
        return min(self.charge_max_w, _or(self.ev.charge_max_w, self.charge_max_w))

    @property
    def discharge_limit_w(self) -> float:
        """The smaller of the equipment's and the vehicle's discharging power."""
        if not self.can_discharge:
            return 0.0
        return min(self.discharge_max_w, _or(self.ev.discharge_max_w, self.discharge_max_w))

    @property
    def base_w(self) -> float:
        """Power without our orders: a V2X vehicle waits, any other charges as fast as it can."""
        if self.can_discharge or not self.charging:
            return 0.0
        return -self.charge_limit_w

    def status(
        self, station: str, protocol: str, maker: tuple[str, str], online: bool, now: Instant
    ) -> EvseStatus:
        """Return the message for the control; `maker` is vendor and model."""
        ready = online and self.plugged and bool(self.transaction_id) and not self.faulted
        measured = self.measured
        return EvseStatus(
            evse_id=f"{station}/{self.number}",
            protocol=protocol,
            online=online,
            plugged=ready,
            t_utc_s=measured.utc_s if measured else now.utc_s,
            published_s=now.mono_s,
            quality=Validity.GOOD if online and not self.faulted else Validity.INVALID,
            p_w=self.reading.p_w if online else None,
            q_var=self.reading.q_var if online else None,
            charge_max_w=self.charge_limit_w if ready else 0.0,
            discharge_max_w=self.discharge_limit_w if ready else 0.0,
            charge_min_w=max(self.charge_min_w, self.ev.charge_min_w),
            discharge_min_w=max(self.discharge_min_w, self.ev.discharge_min_w),
            base_w=self.base_w if ready else 0.0,
            setpoint_w=self.setpoint_w,
            step_w=self.step_w,
            soc_pct=self.reading.soc_pct,
            capacity_wh=self.ev.capacity_wh,
            departure_utc_s=self.ev.departure_utc_s,
            energy_needed_wh=self.ev.energy_needed_wh,
            latency_s=self.response.latency_s,
            voltage_v=self.reading.voltage_v,
            current_a=self.reading.current_a,
            energy_export_wh=self.reading.export_wh,
            energy_import_wh=self.reading.import_wh,
            ev_id=self.ev_id,
            vendor=maker[0],
            model=maker[1],
            fault=self.faulted,
            local_frequency=self.local_frequency,
        )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
