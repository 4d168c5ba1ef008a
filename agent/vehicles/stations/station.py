"""One charging station as the gateway knows it, whatever version it speaks."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agent.messages import EvseStatus
from agent.ocpp import CallError, ErrorCode, Payload, Version
from agent.ocpp.der_register import DerRegister
from agent.vehicles.stations.capability import DEFAULT, StationModel
from agent.vehicles.stations.evse import Evse
from agent.vehicles.stations.instant import Instant

MAX_EVSES: Final = 64
MAX_FOLLOW_UPS: Final = 32


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A call of ours that some message of the station gave rise to."""

    action: str
    payload: Payload


@dataclass(slots=True)
class Station:
    """Identity, equipment and EVSEs of one station; lives on while it is disconnected.

    Attributes:
        security_profile: The highest with which it ever connected; a lower one is refused.
        changed: Numbers of the EVSEs whose status the control does not know yet.
        settled: The same, where it can wait: the control knows it from an `OrderResult`.
        follow_ups: Calls that wait to be sent to the station.
        seen_utc_s: When it was last connected here; the file of a restarted process tells it.
        awaited_until_s: Monotonic; a station that this process remembers from before its restart
            is expected back until then.
        revision: Counts changes of what must survive a restart of this process.
        der: DER controls that it holds (2.1).
    """

    identity: str
    version: Version
    model: StationModel = DEFAULT
    security_profile: int = 0
    online: bool = False
    booted: bool = False
    asked_to_boot: bool = False
    vendor: str = ""
    model_name: str = ""
    serial_number: str = ""
    firmware_version: str = ""
    evses: dict[int, Evse] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    follow_ups: deque[FollowUp] = field(default_factory=lambda: deque(maxlen=MAX_FOLLOW_UPS))
    seen_utc_s: float = 0.0
    awaited_until_s: float = -math.inf
    revision: int = 0
    der: DerRegister = field(default_factory=DerRegister)

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
        self.evses[number] = Evse(number, self.model, self.version is Version.V21)
        self.revision += 1
        return self.evses[number]

    def touch(self, number: int) -> Evse:
        """Return an EVSE whose status is about to change."""
        evse = self.evse(number)
        self.changed.add(number)
        return evse

    def touch_all(self) -> None:
        """Every EVSE's status is about to change."""
        self.changed.update(self.evses)

    def become(self, model: StationModel) -> None:
        """Use another capability table."""
        self.model = model
        for evse in self.evses.values():
            evse.equip(model)
        self.touch_all()

    def by_transaction(self, transaction_id: str) -> Evse | None:
        """Return the EVSE with this transaction."""
        return next(
            (evse for evse in self.evses.values() if evse.transaction_id == transaction_id), None
        )

    def follow_up(self, action: str, payload: Payload) -> None:
        """Have a call sent after the answer to the present message."""
        self.follow_ups.append(FollowUp(action, payload))

    def status(self, number: int, now: Instant) -> EvseStatus:
        """Return the message for the control."""
        maker = (self.vendor, self.model_name)
        return self.evses[number].status(
            self.identity,
            self.version.label,
            maker,
            self.online,
            now,
            awaited=now.mono_s < self.awaited_until_s,
        )
