"""The filter for `nft -f`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.firewall.model import CLOSED_PORTS, Admission, Model, Network

_HEAD = """\
#!/usr/sbin/nft -f
# Packet filter of the V2G gateway. Written by `v2g-ctl firewall`; loading it replaces the older one
# in one step. Other tables are not touched.
table inet v2g
delete table inet v2g
table inet v2g {
  counter management_dropped { }
  counter invalid_dropped { }
  counter others_dropped { }
  counter utility_dropped { }

  chain input {
    type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    ct state invalid counter name invalid_dropped drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    icmpv6 type echo-request limit rate 20/second accept
    icmp type echo-request limit rate 20/second accept
"""
_OUTPUT = """\
    counter name others_dropped
  }

  chain output {
    type filter hook output priority filter; policy accept;
    oif "lo" accept
    ct state established,related accept
    meta skuid "%s" jump utility
  }

  chain utility {
"""
_TAIL = """\
    counter name utility_dropped reject
  }
}
"""


def nft_ruleset(model: Model) -> str:
    """Return the whole ruleset as text."""
    closed = ", ".join(str(port) for port in CLOSED_PORTS)
    rules = [
        *_admissions(model.admissions),
        f"tcp dport {{ {closed} }} counter name management_dropped drop",
    ]
    destinations = [
        f"{family} daddr {_set(found)} accept" for family, found in _by_family(model.destinations)
    ]
    return _HEAD + _indent(rules) + _OUTPUT % model.confined_user + _indent(destinations) + _TAIL


def _admissions(admissions: Iterable[Admission]) -> Iterator[str]:
    for admission in admissions:
        ports = ", ".join(
            f"{low}-{high}" if low != high else str(low) for low, high in admission.ports
        )
        where = f'iifname "{admission.interface}" ' if admission.interface else ""
        for family, sources in _by_family(admission.sources):
            yield (
                f"{where}{family} saddr {_set(sources)} {admission.protocol} dport {{ {ports} }} "
                f'accept comment "{admission.name}"'
            )


def _by_family(networks: Iterable[Network]) -> Iterator[tuple[str, list[Network]]]:
    known = list(networks)
    for family, version in (("ip", 4), ("ip6", 6)):
        if found := [network for network in known if network.version == version]:
            yield family, found


def _set(networks: Iterable[Network]) -> str:
    return "{ " + ", ".join(str(network) for network in networks) + " }"


def _indent(rules: Iterable[str]) -> str:
    return "".join(f"    {rule}\n" for rule in rules)
