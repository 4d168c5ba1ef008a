"""`[bus]` and `[fleet]`: telemetry on a message bus, and the slow parameters of many gateways."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from agent.config.sections import Section
from agent.config.utility import is_loopback

Positive = Annotated[float, msgspec.Meta(gt=0)]
Uuid = Annotated[str, msgspec.Meta(pattern=r"^$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

_NAMESPACE: Final = uuid.UUID("5d0c0a52-6a5b-5c7e-9a36-0e4c2d0f61a7")
_SCHEMES: Final = {"nats": ("nats", "tls"), "mqtt": ("mqtt", "mqtts")}
_PORTS: Final = {"nats": 4222, "tls": 4222, "mqtt": 1883, "mqtts": 8883}


class Bus(Section, frozen=True, kw_only=True):
    """`[bus]`: telemetry to NATS JetStream, to an MQTT 5 broker, or to both; read-only."""

    nats: str = ""
    """`tls://nats.example:4222`; `nats://` only on this machine; empty: none."""
    mqtt: str = ""
    """`mqtts://mqtt.example:8883`; `mqtt://` only on this machine; empty: none."""
    mrid: Uuid = ""
    """UUID of this gateway on the bus; empty: made from `gateway.name`."""
    ca: Path | None = None
    """Authorities of the broker's certificate, PEM; not set: those of the system."""
    certificate: Path | None = None
    """Our client certificate with its chain, PEM. `key`: its private key."""
    key: Path | None = None
    user: str = ""
    password: Path | None = None
    """File with the password of `user`."""
    create_stream: bool = True
    """Make our JetStream stream where it is missing; off where the operator makes all of them."""
    reading_hz: Annotated[float, msgspec.Meta(gt=0, le=50)] = 10.0
    """Readings of the site as a whole."""
    evse_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 1.0
    """Time between two readings of all EVSEs."""
    status_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 5.0
    """Time between two states of the site and its EVSEs; a change is told with the next EVSE
    reading."""
    commit_s: Annotated[float, msgspec.Meta(ge=0.02, le=60)] = 0.2
    """Messages are written to the disk, and then sent, this often."""
    max_mb: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)] = 500.0
    """Room of the outbox; beyond it the oldest messages are lost, and counted."""
    keep_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0
    """Acknowledged messages stay this long: a broker that lost power may ask for them again."""
    mqtt_settle_s: Annotated[float, msgspec.Meta(ge=1, le=7200)] = 10.0
    """An MQTT message counts as delivered this long after its PUBACK; longer than the broker's
    `autosave_interval`."""
    mqtt_expiry_s: Annotated[float, msgspec.Meta(ge=1, le=4_294_967_294)] = 604_800.0
    """The broker drops a message that nobody fetched for so long."""

    @property
    def enabled(self) -> bool:
        """There is something to do for the bus process."""
        return bool(self.nats or self.mqtt)

    def check(self) -> list[tuple[str, str, str]]:
        """Addresses, files and names fit each other."""
        found: list[tuple[str, str, str]] = []
        for name, schemes in _SCHEMES.items():
            url = getattr(self, name)
            found += [(name, what, hint) for what, hint in _url_findings(url, schemes) if url]
        if (self.certificate is None) != (self.key is None):
            found.append(("certificate", "certificate and key belong together", ""))
        if self.password is not None and not self.user:
            found.append(("password", "needs user", ""))
        return found

    def identity(self, gateway: str) -> str:
        """Return the UUID of this gateway: `mrid`, or one that its name always gives."""
        return self.mrid or str(uuid.uuid5(_NAMESPACE, gateway))


class Fleet(Section, frozen=True, kw_only=True):
    """`[fleet]`: many gateways of one area; needs `bus.nats`.

    What comes from the fleet can only narrow the local envelope of `[grid]` and `[control]`.
    """

    enabled: bool = False
    bucket: Token = "v2g-fleet"
    """JetStream key-value bucket of the area."""
    coordinator: bool = False
    """Share the area's admissible gain and reserve among the gateways; one or a few do."""
    period_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 5.0
    """Time between two reports to the bucket, and between two looks into it."""
    lease_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 600.0
    """A share that the coordinator gives is renewed within this time."""
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 3600.0
    """Without a renewal the last share holds for this long beyond its lease."""
    decay_s: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 3600.0
    """Then it returns within this time to the limits of the local configuration."""
    reserve_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 900.0
    """A reserve must last this long: energy counts as power for this time."""


def endpoint(url: str) -> tuple[str, int, bool]:
    """Return host, port, and whether TLS is wanted, of a checked broker address."""
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    return host, parts.port or _PORTS[parts.scheme], parts.scheme in ("tls", "mqtts")


def _url_findings(url: str, schemes: tuple[str, str]) -> list[tuple[str, str]]:
    plain, secure = schemes
    hint = f"as in {secure}://broker.example:{_PORTS[secure]}"
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return [(str(error), hint)]
    if parts.scheme not in schemes or not host:
        return [("is no address of a broker", hint)]
    if parts.scheme == plain and not is_loopback(host):
        return [(f"{plain}:// would send telemetry in clear", f"{hint}; {plain}:// only locally")]
    return []
