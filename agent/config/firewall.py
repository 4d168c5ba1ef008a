"""`[firewall]`: who may reach the gateway over IP. An empty list admits nobody."""

from __future__ import annotations

import ipaddress

from agent.config.sections import Section


class Firewall(Section, frozen=True, kw_only=True):
    """Networks and addresses (IPv4 or IPv6, with or without a prefix length) of each peer."""

    scada: tuple[str, ...] = ()
    """IEC 61850 clients: SCADA, HMIs, engineering tools."""
    stations: tuple[str, ...] = ()
    """Networks of the charging stations."""
    balancing_authority: tuple[str, ...] = ()
    """CSMS, balancing authority and market: the only addresses that the utility process meets."""
    field: tuple[str, ...] = ()
    """Inverters and meters that are asked over Modbus TCP."""
    bus: tuple[str, ...] = ()
    """Brokers of the message bus: the only addresses that its process meets."""
    hmi: tuple[str, ...] = ()
    """Who may open the local page from another machine."""
    admin: tuple[str, ...] = ()
    """Who may log in (SSH, port 22). Ports 22 and 80 are closed to everyone else."""

    def check(self) -> list[tuple[str, str, str]]:
        """Every entry must be an address or a network."""
        found: list[tuple[str, str, str]] = []
        for key in self.__struct_fields__:
            found += [
                (key, f"{entry!r} is not an address or a network", hint)
                for entry in getattr(self, key)
                if (hint := _problem(entry)) is not None
            ]
        return found


def _problem(entry: str) -> str | None:
    try:
        ipaddress.ip_network(entry)
    except ValueError as error:
        return "host bits are set" if "host bits" in str(error) else "for example 192.0.2.0/24"
    return None
