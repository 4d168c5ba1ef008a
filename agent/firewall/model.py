"""Who may reach what, as `[firewall]` and the services' ports mean it.

Everything that comes in is dropped except answers, the machine's own traffic, neighbour discovery,
ping, and the peers that `[firewall]` names, each at the ports of its service. SSH is for `admin`
alone and HTTP on port 80 for nobody. What goes out is free, except for the process that speaks to
the balancing authority: it reaches those addresses only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.config import Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MMS_PORTS: Final = (102, 3782)
"""ISO transport over TCP (RFC 1006), and the same in TLS (IEC 62351-3)."""
SSH_PORT: Final = 22
CLOSED_PORTS: Final = (22, 80)
"""Counted apart when somebody tries them from outside."""
SDP_PORT: Final = 15118
"""SECC discovery over UDP (ISO 15118-2 and -20, clause on SDP)."""
V2G_PORTS: Final = (49152, 65535)
"""Where vehicles find the SECC's TCP port (dynamic ports of IANA)."""
LINK_LOCAL: Final = ipaddress.ip_network("fe80::/10")
UTILITY_USER: Final = "v2g-utility"


@dataclass(frozen=True, slots=True)
class Admission:
    """Sources that may open connections to ports, on one interface or on all (empty name)."""

    name: str
    protocol: str
    ports: tuple[tuple[int, int], ...]
    sources: tuple[Network, ...]
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """The whole filter.

    Attributes:
        admissions: What may come in.
        confined_user: The user whose processes may open connections to `destinations` only.
    """

    admissions: tuple[Admission, ...]
    destinations: tuple[Network, ...]
    confined_user: str = UTILITY_USER


def firewall_model(settings: Settings) -> Model:
    """Return the filter that a configuration means."""
    firewall = settings.firewall
    stations = settings.stations
    workers = (stations.of_worker(number) for number in range(stations.workers))
    station_ports = sorted(port for worker in workers for port in worker.ports)
    mms_ports = sorted({settings.ied.port, *MMS_PORTS}) if settings.ied.enabled else []
    plain = [
        _tcp("IEC 61850 clients", mms_ports, firewall.scada),
        _tcp("charging stations", station_ports, firewall.stations),
        _tcp("dispatch and OCPI", _port(settings.utility.api_port), firewall.balancing_authority),
        _tcp("local page", _page_port(settings), firewall.hmi),
        _tcp("administration", [SSH_PORT], firewall.admin),
    ]
    vehicles = (each for evse in settings.secc.evse for each in _vehicles(evse.interface))
    admissions = [each for each in plain if each.sources and each.ports]
    return Model((*admissions, *vehicles), networks(firewall.balancing_authority))


def _port(port: int | None) -> list[int]:
    return [] if port is None else [port]


def _page_port(settings: Settings) -> list[int]:
    shown = settings.hmi.enabled and not settings.hmi.is_local
    return [settings.hmi_port] if shown else []


def _tcp(name: str, ports: Iterable[int], sources: Iterable[str]) -> Admission:
    return Admission(name, "tcp", tuple((port, port) for port in ports), networks(sources))


def _vehicles(interface: str) -> tuple[Admission, Admission]:
    """SECC discovery and the session behind it."""
    sources = (LINK_LOCAL,)
    return (
        Admission("vehicles: SDP", "udp", ((SDP_PORT, SDP_PORT),), sources, interface),
        Admission("vehicles: session", "tcp", (V2G_PORTS,), sources, interface),
    )


def networks(entries: Iterable[str]) -> tuple[Network, ...]:
    """Return checked entries of `[firewall]`, those inside others left out; IPv4 first."""
    found = [ipaddress.ip_network(entry) for entry in entries]
    v4 = (network for network in found if isinstance(network, ipaddress.IPv4Network))
    v6 = (network for network in found if isinstance(network, ipaddress.IPv6Network))
    return (*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6))
