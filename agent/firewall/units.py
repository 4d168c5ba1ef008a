"""systemd's address lists: the same peers once more, enforced for each unit by the kernel (BPF)."""

from __future__ import annotations

from collections.abc import Iterable

from agent.config import Settings
from agent.firewall.model import Network, networks


def unit_networks(settings: Settings) -> dict[str, tuple[Network, ...]]:
    """Return the addresses that each worker's unit may exchange packets with."""
    firewall = settings.firewall
    return {
        "v2g-ied.service": networks(firewall.scada),
        "v2g-stations.service": networks(firewall.stations),
        "v2g-utility.service": networks(firewall.balancing_authority),
        "v2g-field.service": networks(firewall.field),
        "v2g-bus.service": networks(firewall.bus),
        "v2g-hmi.service": networks(firewall.hmi),
    }


def unit_drop_in(allowed: Iterable[Network]) -> str:
    """Return the drop-in that adds addresses to a unit's IPAddressAllow=."""
    addresses = " ".join(str(network) for network in allowed)
    return f"# Written by `v2g-ctl firewall --write`.\n[Service]\nIPAddressAllow={addresses}\n"


def ied_goose_drop_in(settings: Settings) -> str:
    """Return the drop-in that lets the IED publish GOOSE; empty where it does not.

    Raw frames need a capability and an address family that the unit has not otherwise.
    """
    if not (settings.ied.enabled and settings.ied.goose_interface):
        return ""
    return _rights("[ied] goose_interface is set", "CAP_NET_RAW", "AF_PACKET")


def xdp_drop_in(settings: Settings) -> str:
    """Return the drop-in that lets the process bus capture by XDP; empty where it does not.

    The kernel asks for CAP_NET_ADMIN to put a program at an interface, CAP_BPF to load it, and
    CAP_IPC_LOCK for memory that it shares.
    """
    if settings.process_bus.capture != "xdp":
        return ""
    rights = _rights("[process_bus] capture is xdp", "CAP_NET_ADMIN CAP_BPF CAP_IPC_LOCK", "AF_XDP")
    return f"{rights}SystemCallFilter=bpf\n"


def _rights(setting: str, capabilities: str, family: str) -> str:
    return (
        f"# Written by `v2g-ctl firewall --write`: {setting}.\n[Service]\n"
        f"CapabilityBoundingSet={capabilities}\nAmbientCapabilities={capabilities}\n"
        f"RestrictAddressFamilies={family}\n"
    )
