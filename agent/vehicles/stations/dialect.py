"""What the handlers of all versions share: the site's policy and the table of handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.messages import Alarm
from agent.ocpp import CallError, ErrorCode, Payload
from agent.vehicles.stations.authorization import Authorizer
from agent.vehicles.stations.capability import StationModels
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.station import Station

EPOCH_2020_S: Final = 1_577_836_800


@dataclass(slots=True)
class Policy:
    """What the site decides for all stations.

    Attributes:
        heartbeat_s: Interval given to every station.
        meter_interval_s: Time between two meter values during a transaction.
        signs_certificates: There is a CA for the stations' certificate requests.
        alarm: Tells the control of an alarm.
    """

    heartbeat_s: int = 60
    meter_interval_s: int = 1
    authorizer: Authorizer = field(default_factory=Authorizer)
    models: StationModels = field(default_factory=StationModels)
    signs_certificates: bool = False
    alarm: Callable[[Alarm], None] = lambda _alarm: None
    _last_transaction: int = field(default=0, repr=False)

    def next_transaction_id(self, now: Instant) -> int:
        """Return a transaction number for 1.6: rises over restarts, fits in 31 bits until 2088."""
        self._last_transaction = max(self._last_transaction + 1, int(now.utc_s) - EPOCH_2020_S)
        return self._last_transaction


@dataclass(frozen=True, slots=True)
class Context:
    """All that a handler may touch."""

    station: Station
    policy: Policy
    at: Instant


@dataclass(frozen=True, slots=True)
class AskUpstream:
    """The CSMS decides; `fallback` makes the answer when it does not in time.

    `adopt` is given the CSMS's answer before the station is.
    """

    fallback: Callable[[], Payload]
    adopt: Callable[[Payload], None] = lambda _payload: None


@dataclass(frozen=True, slots=True)
class SignRequest:
    """The station wants a certificate: answer `answer`, then have the CSR signed."""

    answer: Payload
    csr: str
    certificate_type: str = ""
    request_id: int | None = None


Answer = Payload | AskUpstream | SignRequest
Handler = Callable[[Context, dict[str, Any]], Answer]


def handle(handlers: dict[str, Handler], context: Context, action: str, payload: Payload) -> Answer:
    """Return the answer to a call.

    Raises:
        CallError: NotSupported for an action that this role does not have, or what the handler
            finds wrong.
    """
    handler = handlers.get(action)
    if handler is None:
        raise CallError(ErrorCode.NOT_SUPPORTED, f"{action} is not supported here")
    return handler(context, payload)


def acknowledge(_context: Context, _payload: Payload) -> Payload:
    """Answer a message that needs no action with an empty object."""
    return {}


def accept(_context: Context, _payload: Payload) -> Payload:
    """Answer a message that needs no action with Accepted."""
    return {"status": "Accepted"}


def made_by(context: Context, vendor: str, model: str, serial: str, firmware: str) -> None:
    """Take over who made the station, and with it what is known of such stations."""
    station = context.station
    station.booted = True
    station.vendor, station.model_name = vendor, model
    station.serial_number, station.firmware_version = serial, firmware
    station.become(context.policy.models.find(vendor, model, firmware, station.version.subprotocol))
    station.revision += 1
