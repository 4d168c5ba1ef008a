"""What every simulated station does: a vehicle that obeys orders until they end, and a meter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Protocol

from agent.ocpp import Answered, CallReceived, Payload
from agent.vehicles.simulated.battery import Battery
from agent.vehicles.simulated.profile import ProfileOrder

VEHICLE: Final = "SIMVEHICLE"
VOLTAGE_V: Final = 230.0
Calls = list[tuple[str, Payload]]


class Behaviour(Protocol):
    """What `SimulatedStation` needs of a version."""

    battery: Battery

    def connected(self) -> None:
        """The WebSocket is open, for the first time or again."""

    def called(self, call: CallReceived, now_s: float) -> tuple[Payload, ProfileOrder | None]:
        """Return the answer to a call, and the order in it if there was one."""

    def answered(self, event: Answered, now_s: float) -> None:
        """The gateway answered a call."""

    def advance(self, now_s: float) -> None:
        """Move the vehicle's physics on."""

    def next_s(self, now_s: float) -> float:
        """Monotonic time at which `advance` has something to do."""

    def take_calls(self) -> Calls:
        """Return the calls that wait to be sent."""


class Vehicle(ABC):
    """Vehicle, order and meter, which do not depend on the version."""

    def __init__(self, battery: Battery, idle_w: float) -> None:
        self.battery = battery
        self.meter_interval_s = 1.0
        self._idle_w = idle_w
        self._calls: Calls = []
        self._announced = False
        """The gateway has answered everything that follows a boot."""
        self._ends_s = float("inf")
        self._report_at_s = float("inf")
        self._settling = False

    def take_calls(self) -> Calls:
        """Return the calls that wait to be sent."""
        calls, self._calls = self._calls, []
        return calls

    def connected(self) -> None:
        """Boot; but who has not restarted only says how the connector stands (2.0.1, B04)."""
        self._calls = []
        if self._announced:
            self._say_status()
        else:
            self._boot()

    def advance(self, now_s: float) -> None:
        """Move on; forget an order whose time is over, report when it is due or settled."""
        if now_s >= self._ends_s:
            self._ends_s = float("inf")
            self.battery.order(self._idle_w, now_s)
            self._settling = True
        self.battery.advance(now_s)
        if self._settling and self.battery.settled:
            self._settling = False
            self._measure("ChargingRateChanged", now_s)
        elif now_s >= self._report_at_s:
            self._measure("MeterValuePeriodic", now_s)

    def next_s(self, now_s: float) -> float:
        """Monotonic time at which `advance` has something to do."""
        settled_s = now_s + self.battery.settles_in_s if self._settling else float("inf")
        return min(settled_s, self._report_at_s, self._ends_s)

    def _obey(self, order: ProfileOrder, now_s: float) -> None:
        self.battery.order(order.p_w, now_s)
        self._ends_s = float("inf") if order.duration_s is None else now_s + order.duration_s
        self._settling = True

    def _measure(self, reason: str, now_s: float) -> None:
        self._report_at_s = now_s + self.meter_interval_s
        self._report(reason)

    def _triggered(self, wish: str) -> Payload:
        """Answer a TriggerMessage: a gateway that has forgotten us asks for the boot (F06)."""
        if wish == "BootNotification":
            self._boot()
        return {"status": "Accepted"}

    @abstractmethod
    def _boot(self) -> None:
        """Say who it is."""

    @abstractmethod
    def _say_status(self) -> None:
        """Say that the connector is in use."""

    @abstractmethod
    def _report(self, reason: str) -> None:
        """Say what the meter shows, in the words of the version."""

    def _begin(self, now_s: float) -> None:
        """The transaction runs: without an order the vehicle does what it does by itself."""
        self.battery.order(self._idle_w, now_s)
        self._settling = True


def plain_answer(action: str) -> Payload:
    """Most requests have an answer of one status."""
    return {"status": "Accepted"} if action not in {"GetVariables", "ClearCache"} else {}
