"""What is known of one EVSE; becomes the `EvseStatus` that the control sees."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from agent.messages import EvseStatus, Validity
from agent.ocpp.meter import Reading
from agent.vehicles.stations.capability import DEFAULT, StationModel
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.response import ResponseTimer

PLAUSIBLE = 1.5
"""A power beyond this multiple of the equipment's rating is a fault of the meter."""


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
    departure_utc_s: float | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """Power that EVSE and vehicle permit together; magnitudes in watts."""

    charge_max_w: float
    charge_min_w: float
    discharge_max_w: float
    discharge_min_w: float


@dataclass(slots=True)
class Evse:
    """State of one EVSE and of the vehicle at it.

    Attributes:
        model: Capability table of the station.
        speaks_discharge: The protocol version can order discharge.
        limit_w: Charging limit set by someone else at the station (NotifyChargingLimit).
        mode: Operation mode in force; empty before the first order.
    """

    number: int
    model: StationModel = DEFAULT
    speaks_discharge: bool = False
    plugged: bool = False
    charging: bool = False
    faulted: str = ""
    available: bool = True
    transaction_id: str = ""
    ev_id: str = ""
    ev: EvLimits = field(default_factory=EvLimits)
    limit_w: float | None = None
    reading: Reading = field(default_factory=Reading)
    measured: Instant | None = None
    rejected: int = 0
    setpoint_w: float | None = None
    mode: str = ""
    response: ResponseTimer = field(default_factory=ResponseTimer)
    _envelope: Envelope | None = None

    def equip(self, model: StationModel) -> None:
        """Use another capability table."""
        self.model, self._envelope = model, None

    def need(self, ev: EvLimits) -> None:
        """The vehicle said what it can do."""
        self.ev, self._envelope = ev, None

    def limit(self, limit_w: float | None) -> None:
        """Somebody else at the station limits charging, or no longer."""
        self.limit_w, self._envelope = limit_w, None

    def measure(self, reading: Reading, at: Instant) -> None:
        """Take over the values that `reading` has; implausible power is counted, not used."""
        old = self.reading
        self.rejected += reading.rejected
        p_w = reading.p_w
        if p_w is not None:
            p_w *= self.model.meter_sign
            if abs(p_w) > PLAUSIBLE * max(self.model.charge_max_w, self.model.discharge_max_w):
                self.rejected += 1
            else:
                old.p_w, self.measured = p_w, at
                self.response.measured(p_w, at.mono_s)
        for name in ("q_var", "soc_pct", "export_wh", "import_wh", "f_hz"):
            if getattr(reading, name) is not None:
                setattr(old, name, getattr(reading, name))
        old.voltage_v = reading.voltage_v or old.voltage_v
        old.current_a = reading.current_a or old.current_a

    def begin(self, transaction_id: str) -> bool:
        """A transaction is under way; True when it is another one than before."""
        if transaction_id == self.transaction_id:
            return False
        self.setpoint_w, self.mode = None, ""
        self.transaction_id = transaction_id
        return True

    def end(self) -> None:
        """The vehicle left or its transaction ended."""
        self.transaction_id = self.ev_id = self.mode = ""
        self.plugged = self.charging = False
        self.need(EvLimits())
        self.reading.p_w, self.reading.q_var, self.reading.soc_pct = 0.0, 0.0, None
        self.setpoint_w = None
        self.response.cancel()

    @property
    def can_discharge(self) -> bool:
        """Equipment, version and vehicle all said so; nothing is assumed."""
        return self.model.discharges and self.speaks_discharge and self.ev.bidirectional

    @property
    def envelope(self) -> Envelope:
        """The narrower of the equipment's and the vehicle's limits."""
        if self._envelope is None:
            self._envelope = self._narrower()
        return self._envelope

    def _narrower(self) -> Envelope:
        model, ev = self.model, self.ev
        charge_w = min(model.charge_max_w, _or(ev.charge_max_w, model.charge_max_w))
        charge_w = max(0.0, min(charge_w, _or(self.limit_w, charge_w)))
        discharge_w = min(model.discharge_max_w, _or(ev.discharge_max_w, model.discharge_max_w))
        return Envelope(
            charge_max_w=charge_w,
            charge_min_w=max(model.charge_min_w, ev.charge_min_w),
            discharge_max_w=max(0.0, discharge_w) if self.can_discharge else 0.0,
            discharge_min_w=max(model.discharge_min_w, ev.discharge_min_w),
        )

    @property
    def base_w(self) -> float:
        """Power without our orders: a V2X vehicle waits, any other charges as fast as it can."""
        if self.can_discharge or not self.charging:
            return 0.0
        return -self.envelope.charge_max_w

    @property
    def cannot(self) -> tuple[str, ...]:
        """What the control must not expect of this EVSE, for people to see."""
        missing = []
        if not self.model.orders:
            missing.append("orders")
        if not self.can_discharge:
            missing.append("discharge")
        if not (self.model.reactive and self.can_discharge):
            missing.append("reactive power")
        return tuple(missing)

    def status(
        self,
        station: str,
        protocol: str,
        maker: tuple[str, str],
        online: bool,
        now: Instant,
        *,
        awaited: bool = False,
    ) -> EvseStatus:
        """Return the message for the control; `maker` is vendor and model.

        A station that is `awaited` was served by this process before its restart: it is not
        gone, it has only not come back yet.
        """
        ready = (online or awaited) and self.plugged and bool(self.transaction_id)
        ready = ready and not self.faulted
        envelope, measured = self.envelope, self.measured
        quality = Validity.GOOD if online and not self.faulted else Validity.INVALID
        if awaited and not online:
            quality = Validity.QUESTIONABLE
        orderable = ready and self.model.orders
        return EvseStatus(
            evse_id=f"{station}/{self.number}",
            protocol=protocol,
            online=online,
            plugged=ready,
            t_utc_s=measured.utc_s if measured else now.utc_s,
            published_s=now.mono_s,
            quality=quality,
            p_w=self.reading.p_w if online else None,
            q_var=self.reading.q_var if online else None,
            charge_max_w=envelope.charge_max_w if orderable else 0.0,
            discharge_max_w=envelope.discharge_max_w if orderable else 0.0,
            charge_min_w=envelope.charge_min_w,
            discharge_min_w=envelope.discharge_min_w,
            base_w=self.base_w if ready else 0.0,
            setpoint_w=self.setpoint_w,
            step_w=self.model.step_w,
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
            local_frequency=self.mode == "LocalFrequency",
            cannot=self.cannot,
        )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
