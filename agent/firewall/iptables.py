"""The same filter for `iptables-restore` and `ip6tables-restore`, for machines without nftables."""

from __future__ import annotations

from collections.abc import Iterator

from agent.firewall.model import CLOSED_PORTS, Admission, Model

_HEAD = """\
# Packet filter of the V2G gateway, IPv{version}. Written by `v2g-ctl firewall`.
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:V2G-UTILITY - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
"""
_ICMP = {
    4: ("-A INPUT -p icmp --icmp-type echo-request -m limit --limit 20/second -j ACCEPT",),
    6: (
        "-A INPUT -p ipv6-icmp --icmpv6-type neighbour-solicitation -j ACCEPT",
        "-A INPUT -p ipv6-icmp --icmpv6-type neighbour-advertisement -j ACCEPT",
        "-A INPUT -p ipv6-icmp --icmpv6-type router-advertisement -j ACCEPT",
        "-A INPUT -p ipv6-icmp --icmpv6-type echo-request -m limit --limit 20/second -j ACCEPT",
    ),
}
_OUTPUT = """\
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A OUTPUT -m owner --uid-owner {user} -j V2G-UTILITY
"""


def iptables_ruleset(model: Model, version: int) -> str:
    """Return the complete filter table.

    Args:
        model: What is admitted.
        version: 4 or 6.
    """
    closed = ",".join(str(port) for port in CLOSED_PORTS)
    rules = [
        *_ICMP[version],
        *(rule for each in model.admissions for rule in _admission(each, version)),
        f"-A INPUT -p tcp -m multiport --dports {closed} -j DROP",
    ]
    destinations = [
        f"-A V2G-UTILITY -d {network} -j ACCEPT"
        for network in model.destinations
        if network.version == version
    ]
    return (
        _HEAD.format(version=version)
        + _lines(rules)
        + _OUTPUT.format(user=model.confined_user)
        + _lines([*destinations, "-A V2G-UTILITY -j REJECT", "COMMIT"])
    )


def _admission(admission: Admission, version: int) -> Iterator[str]:
    ports = ",".join(f"{low}:{high}" if low != high else str(low) for low, high in admission.ports)
    where = f"-i {admission.interface} " if admission.interface else ""
    for network in admission.sources:
        if network.version == version:
            yield (
                f"-A INPUT {where}-s {network} -p {admission.protocol} -m multiport "
                f"--dports {ports} -j ACCEPT"
            )


def _lines(rules: list[str]) -> str:
    return "".join(f"{rule}\n" for rule in rules)
