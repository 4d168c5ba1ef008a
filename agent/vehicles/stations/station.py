"""One charging station as the gateway knows it, whatever version it speaks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agent.messages import EvseStatus
from agent.ocpp import CallError, ErrorCode, Payload, Version
from agent.vehicles.stations.capability import StationModel
from agent.vehicles.stations.evse import Evse
from agent.vehicles.stations.instant import Instant

MAX_EVSES: Final = 64
MAX_FOLLOW_UPS: Final = 32


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A call of ours that some message of the station gave rise to."""

    action: str
    payload: Payload
    purpose: str = ""


@dataclass(slots=True)
class Station:
    """Identity, equipment and EVSEs of one station; lives on while it is disconnected.

    Attributes:
        changed: Numbers of the EVSEs whose status the control does not know yet.
        follow_ups: Calls that wait to be sent to the station.
    """

    identity: str
    version: Version
    model: StationModel
    online: bool = False
    booted: bool = False
    vendor: str = ""
    model_name: str = ""
    serial_number: str = ""
    firmware_version: str = ""
    evses: dict[int, Evse] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    follow_ups: deque[FollowUp] = field(default_factory=lambda: deque(maxlen=MAX_FOLLOW_UPS))

    def evse(self, number: int) -> Evse:
        """Return an EVSE, made on its first mention.

        Raises:
            CallError: No station has an EVSE of this number.
        """
        found = self.evses.get(number)
        if found is not None:
            return found
        if not 1 <= number <= MAX_EVSES:
            raise CallError(
                ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"EVSE {number} is not 1 to {MAX_EVSES}"
            )
        evse = Evse(
            number,
            charge_max_w=self.model.charge_max_w,
            discharge_max_w=self.model.discharge_max_w if self.can_discharge else 0.0,
            charge_min_w=self.model.charge_min_w,
            discharge_min_w=self.model.discharge_min_w,
            step_w=self.model.step_w,
        )
        self.evses[number] = evse
        return evse

    @property
    def can_discharge(self) -> bool:
        """The version has words for discharge and the equipment's table permits it."""
        return self.version is Version.V21 and self.model.discharges

    def touch(self, number: int) -> Evse:
        """Return an EVSE whose status is about to change."""
        evse = self.evse(number)
        self.changed.add(number)
        return evse

    def by_transaction(self, transaction_id: str) -> Evse | None:
        """Return the EVSE with this transaction."""
        return next(
            (evse for evse in self.evses.values() if evse.transaction_id == transaction_id), None
        )

    def follow_up(self, action: str, payload: Payload, purpose: str = "") -> None:
        """Have a call sent after the answer to the present message."""
        self.follow_ups.append(FollowUp(action, payload, purpose))

    def status(self, number: int, now: Instant) -> EvseStatus:
        """Return the message for the control."""
        maker = (self.vendor, self.model_name)
        return self.evses[number].status(self.identity, self.version.label, maker, self.online, now)
