"""`[hmi]` and `[history]`: the local page, and the telemetry kept on the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from agent.config.sections import Section
from agent.config.utility import is_loopback

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(ge=60, le=86400)]


class Hmi(Section, frozen=True, kw_only=True):
    """`[hmi]`: the local page. Whoever reaches it may look; operators log in to order.

    On an address beyond this machine it is served with TLS only, and to users of `users` only.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port | None = None
    """Not set: 8080, or 8081 where a listener of `[stations]` has 8080."""
    certificate: Path | None = None
    """Our server certificate with its chain, PEM. `key`: its private key."""
    key: Path | None = None
    users: Path | None = None
    """Password file, written by `v2g-ctl user`; without it nobody can log in."""
    frames_per_s: Annotated[int, msgspec.Meta(ge=1, le=20)] = 10
    """Updates of the page a second."""
    max_viewers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 64
    """Pages that are open at the same time."""
    idle_s: Seconds = 1800.0
    """A login ends after this time without an order. `session_s`: after this time anyway."""
    session_s: Seconds = 28800.0
    lockout_tries: Annotated[int, msgspec.Meta(ge=3, le=20)] = 5
    """Wrong passwords in a row that lock a name for `lockout_s`."""
    lockout_s: Annotated[float, msgspec.Meta(ge=10, le=86400)] = 300.0

    def check(self) -> list[tuple[str, str, str]]:
        """Beyond this machine: TLS and users."""
        found: list[tuple[str, str, str]] = []
        if (self.certificate is None) != (self.key is None):
            found.append(("certificate", "certificate and key belong together", ""))
        if not self.enabled or self.is_local:
            return found
        if self.certificate is None:
            hint = "set certificate and key, or host = '127.0.0.1'"
            found.append(("certificate", "beyond this machine the page needs TLS", hint))
        if self.users is None:
            hint = "v2g-ctl user NAME --role viewer --file /etc/v2g/pki/hmi/users"
            found.append(("users", "beyond this machine the page needs users with roles", hint))
        return found

    @property
    def is_local(self) -> bool:
        """Only this machine reaches the page."""
        return is_loopback(self.host)


class History(Section, frozen=True, kw_only=True):
    """`[history]`: telemetry kept on the gateway (SQLite), bounded in size and age."""

    enabled: bool = True
    max_mb: Annotated[float, msgspec.Meta(ge=8, le=1_000_000)] = 1000.0
    """Room for it below `state_dir`; the oldest goes first."""
    days: Annotated[float, msgspec.Meta(gt=0, le=36500)] = 90.0
    """What is older is removed."""
    measurements_per_s: Annotated[float, msgspec.Meta(ge=1, le=100)] = 10.0
    """Frequency and power; at most as many as `process_bus.reports_per_s`."""
    evse_period_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 10.0
    """Each EVSE is sampled this often."""
