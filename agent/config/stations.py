"""`[stations]`: the OCPP listeners for charging stations, who may connect, and who may charge."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from agent.config.sections import Section

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Profile = Literal[0, 1, 2, 3]
MAX_PORT: Final = 65535


class StationListener(Section, frozen=True, kw_only=True):
    """`[[stations.listeners]]`: a further port, for stations with another security profile."""

    port: Port
    host: str = "0.0.0.0"  # noqa: S104 - stations connect from the site's network
    security_profile: Profile = 3


class Stations(Section, frozen=True, kw_only=True):
    """`[stations]`: the OCPP listener for charging stations.

    `security_profile` is OCPP's: 0 nothing, 1 password, 2 TLS and password, 3 TLS with the
    station's own certificate (OCPP 2.0.1 part 2, block A; 1.6 security whitepaper).
    """

    host: str = "0.0.0.0"  # noqa: S104 - stations connect from the site's network
    port: Port = 8080
    security_profile: Profile = 0
    allow_unauthenticated: bool = False
    """Accept profile 0 from other machines; without it, only from this one."""
    listeners: tuple[StationListener, ...] = ()
    workers: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    """Processes that serve stations; the second listens one port above the first, and so on. A
    load balancer in front spreads the stations over them."""
    heartbeat_s: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 60
    handshake_timeout_s: Positive = 10.0
    call_timeout_s: Positive = 10.0
    meter_interval_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 1
    certificate: Path | None = None
    """Our certificate with its chain, PEM. `key`: its private key."""
    key: Path | None = None
    client_ca: Path | None = None
    """Certificate authorities of the stations' certificates, PEM (profile 3)."""
    crl: Path | None = None
    """Revocation lists of those authorities, PEM; read again when the file changes."""
    organization: str = ""
    """O of the stations' certificates; empty accepts any."""
    passwords: Path | None = None
    """`IDENTITY:SALT:SHA256` lines, made by `python -m agent.vehicles.stations.passwords`."""
    ca_command: tuple[str, ...] = ()
    """Program that signs a station's CSR: PEM on standard input, PEM chain on standard output."""
    authorization: Literal["open", "local", "upstream"] = "open"
    """Who decides on an id token: nobody, the local list, or the CSMS with the list as fallback."""
    local_list: Path | None = None
    """Id tokens, one a line, `TOKEN STATUS`; sent to the stations as their local list."""
    max_stations: Count = 10_000
    connects_per_s: Positive = 500.0
    """New connections accepted from one address; a burst of ten times as many is let in."""
    messages_per_s: Positive = 50.0
    """Messages accepted from one station; a burst of ten times as many is let in."""

    def check(self) -> list[tuple[str, str, str]]:
        """Return (key, what, hint) for rules that span several fields."""
        used = self.profiles
        problems = []
        if 0 in used and not (self.allow_unauthenticated or self._only_local):
            problems.append(
                (
                    "security_profile",
                    "0 lets any machine that reaches the port be a station",
                    "use 1 to 3, listen on 127.0.0.1, or set allow_unauthenticated = true",
                )
            )
        if used & {2, 3} and (self.certificate is None or self.key is None):
            problems.append(("certificate", "profiles 2 and 3 need certificate and key", ""))
        if 3 in used and self.client_ca is None:
            problems.append(("client_ca", "profile 3 needs the stations' authorities", ""))
        if used & {1, 2} and self.passwords is None:
            problems.append(("passwords", "profiles 1 and 2 need a password file", ""))
        ports = [port for number in range(self.workers) for port in self.of_worker(number).ports]
        if len(set(ports)) < len(ports):
            hint = "leave room above each port for the other workers"
            problems.append(("workers", "two workers would listen on one port", hint))
        elif max(ports) > MAX_PORT:
            problems.append(("workers", f"the last port would be above {MAX_PORT}", ""))
        if self.authorization == "local" and self.local_list is None:
            problems.append(("local_list", "is needed for authorization = 'local'", ""))
        return problems

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports of the first worker, the main one first."""
        return (self.port, *(each.port for each in self.listeners))

    @property
    def worker_names(self) -> tuple[str, ...]:
        """Names of the processes that serve stations."""
        return ("stations", *(f"stations@{number + 1}" for number in range(1, self.workers)))

    def of_worker(self, number: int) -> Stations:
        """Return the settings as worker `number`, counted from 0, uses them: its own ports."""
        listeners = tuple(
            msgspec.structs.replace(each, port=each.port + number) for each in self.listeners
        )
        return msgspec.structs.replace(self, port=self.port + number, listeners=listeners)

    @property
    def profiles(self) -> set[int]:
        """Security profiles of all listeners."""
        return {self.security_profile, *(each.security_profile for each in self.listeners)}

    @property
    def _only_local(self) -> bool:
        hosts = [self.host] if self.security_profile == 0 else []
        hosts += [each.host for each in self.listeners if each.security_profile == 0]
        return all(_is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
