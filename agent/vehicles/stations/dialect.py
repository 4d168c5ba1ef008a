"""What the handlers of all versions share: the site's policy and the table of handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.ocpp import CallError, ErrorCode, Payload
from agent.vehicles.stations.instant import Instant
from agent.vehicles.stations.station import Station

EPOCH_2020_S = 1_577_836_800


@dataclass(slots=True)
class Policy:
    """What the site decides for all stations.

    Attributes:
        heartbeat_s: Interval given to every station.
        meter_interval_s: Time between two meter values during a transaction.
    """

    heartbeat_s: int = 60
    meter_interval_s: int = 1
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


Handler = Callable[[Context, dict[str, Any]], Payload]


def handle(
    handlers: dict[str, Handler], context: Context, action: str, payload: Payload
) -> Payload:
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
