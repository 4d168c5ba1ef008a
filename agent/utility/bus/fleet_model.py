"""What gateways and coordinator tell each other through the key-value bucket, as JSON.

Keys: `area` (an operator's, slow), `gateway.<mRID>` (each gateway's own report), `share.<mRID>`
(what the coordinator grants it) and `ledger` (the coordinator's account of all grants).
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec

from agent import strict_json

AREA: Final = "area"
LEDGER: Final = "ledger"
GATEWAY: Final = "gateway."
SHARE: Final = "share."

Magnitude = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
ValueT = TypeVar("ValueT", bound="Value")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the bucket's values; unknown fields are left alone, so that versions may differ."""


class Area(Value, frozen=True):
    """The synchronous area, as its operator states it.

    Attributes:
        inertia_s: H on `power_w`. `power_w`: base power of the area now.
        reserve_up_w, reserve_down_w: Reserve (FCR) that the gateways together hold.
        lease_s: Beyond it the coordinator goes back to its own configuration.
        t_utc_s: When it was stated.
    """

    inertia_s: Positive
    power_w: Positive
    reserve_up_w: Magnitude | None = None
    reserve_down_w: Magnitude | None = None
    lease_s: Positive = 3600.0
    t_utc_s: float = 0.0


class Report(Value, frozen=True):
    """What one gateway can do now, and by which grant it goes.

    Attributes:
        up_w, down_w: Power that may be given or taken (magnitudes).
        up_wh, down_wh: Energy behind it.
        rated_w: Power of the whole fleet behind the gateway.
        delay_s: From a frequency change to power, weighted by power.
        wanted_w_per_hz: Slope that its droop would have.
        local_w_per_hz: Slope that it would have without the fleet.
        gain_w_per_hz: Slope in force. `version`: the newest grant that it has put into force.
    """

    name: str
    t_utc_s: float
    up_w: Magnitude = 0.0
    down_w: Magnitude = 0.0
    up_wh: Magnitude = 0.0
    down_wh: Magnitude = 0.0
    rated_w: Magnitude = 0.0
    delay_s: Positive = 1.0
    wanted_w_per_hz: Magnitude = 0.0
    local_w_per_hz: Magnitude = 0.0
    gain_w_per_hz: Magnitude = 0.0
    delivered_w: float = 0.0
    f_hz: float | None = None
    version: int = 0


class Share(Value, frozen=True):
    """What one gateway may use; it can only narrow the gateway's own limits.

    Attributes:
        version: Rises with every change.
        lease_s: How long it is meant to hold without being renewed.
        inertia_s: H of the area.
        gain_w_per_hz: Part of the area's admissible gain.
        reserve_up_w, reserve_down_w: Part of the area's reserve; None where there is no such.
        t_utc_s: When it was last renewed.
    """

    version: int
    lease_s: Positive
    inertia_s: Positive
    gain_w_per_hz: Magnitude
    reserve_up_w: Magnitude | None = None
    reserve_down_w: Magnitude | None = None
    t_utc_s: float = 0.0


class Grant(Value, frozen=True):
    """One line of the ledger: what a gateway may still be using.

    Attributes:
        gain_w_per_hz: The newest grant's gain. `version`: its version.
        held_w_per_hz: The most that it may be using until it confirms the newest grant.
        t_utc_s: When it was last heard.
    """

    version: int
    gain_w_per_hz: Magnitude
    held_w_per_hz: Magnitude
    t_utc_s: float


class Ledger(Value, frozen=True):
    """The coordinator's account; written first, shares after it, so it never says too little.

    Attributes:
        admissible_w_per_hz: Gain that the area admits. `granted_w_per_hz`: the sum of all held.
        inertia_s, power_w: The area that it was computed for.
        overcommitted: Gateways that cannot be reached hold more than the area admits.
    """

    t_utc_s: float
    inertia_s: Positive
    power_w: Positive
    admissible_w_per_hz: Magnitude
    granted_w_per_hz: Magnitude
    overcommitted: bool = False
    grants: dict[str, Grant] = {}


def encode(value: Value) -> bytes:
    """Return the JSON of a value."""
    return msgspec.json.encode(value)


def decode(kind: type[ValueT], data: bytes | None) -> ValueT | None:
    """Return a value; None for nothing, or for what is not one."""
    if not data:
        return None
    try:
        return strict_json.decode(data, kind)
    except msgspec.DecodeError:
        return None
