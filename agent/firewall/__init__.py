"""One packet filter made from the settings, in three forms: nftables, iptables, systemd."""

from agent.firewall.iptables import iptables_ruleset
from agent.firewall.model import Admission, Model, firewall_model
from agent.firewall.nftables import nft_ruleset
from agent.firewall.units import ied_goose_drop_in, unit_drop_in, unit_networks, xdp_drop_in

__all__ = [
    "Admission",
    "Model",
    "firewall_model",
    "ied_goose_drop_in",
    "iptables_ruleset",
    "nft_ruleset",
    "unit_drop_in",
    "unit_networks",
    "xdp_drop_in",
]
