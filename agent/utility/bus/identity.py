"""Names on the bus: UUIDs of the gateway and its EVSEs, subjects and topics."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

READING: Final = "essmodule.ESSReadingProfile"
STATUS: Final = "essmodule.ESSStatusProfile"
EVSE_READING: Final = "evsemodule.EVSEReadingProfile"
EVSE_STATUS: Final = "evsemodule.EVSEStatusProfile"
PROFILES: Final = (READING, STATUS, EVSE_READING, EVSE_STATUS)
"""Modules and profiles of OpenFMB's operational model that the gateway publishes."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who publishes: `mrid` is the gateway's UUID, the last part of all its subjects."""

    name: str
    mrid: str

    @property
    def stream(self) -> str:
        """Name of the gateway's JetStream stream."""
        return f"V2G-{self.mrid}"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of that stream, and all that the gateway may publish telemetry to."""
        return tuple(self.subject(profile) for profile in PROFILES)

    def subject(self, profile: str) -> str:
        """Return the NATS subject: `openfmb.<module>.<Profile>.<mRID>`."""
        return f"openfmb.{profile}.{self.mrid}"

    def topic(self, profile: str) -> str:
        """Return the MQTT topic: the same with slashes."""
        return self.subject(profile).replace(".", "/")


@lru_cache(maxsize=65_536)
def evse_mrid(gateway: str, evse_id: str) -> str:
    """Return the UUID that this EVSE of this gateway always has."""
    return str(uuid.uuid5(uuid.UUID(gateway), evse_id))
