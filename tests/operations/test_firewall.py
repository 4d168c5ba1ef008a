"""The packet filter: what it admits, tried with real packets in both of its forms."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.config import load_settings
from agent.errors import ConfigurationError
from agent.firewall import (
    Model,
    firewall_model,
    iptables_ruleset,
    nft_ruleset,
    unit_drop_in,
    unit_networks,
)

CONFIGURATION = """
[gateway]
power_profile = "power-profile.conf"
[stations]
host = "127.0.0.1"
[firewall]
scada = ["10.77.0.2", "fd77::2"]
stations = ["10.77.1.0/24"]
balancing_authority = ["10.77.0.9"]
admin = ["10.77.9.0/24"]
[[secc.evse]]
interface = "bus"
"""
GATEWAY, GATEWAY6 = "10.77.0.1", "fd77::1"
SCADA, STRANGER, STATION, ADMIN = "10.77.0.2", "10.77.0.3", "10.77.1.5", "10.77.9.1"
SCADA6, STRANGER6 = "fd77::2", "fd77::3"


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    (tmp_path / "power-profile.conf").write_text("")
    path = tmp_path / "agent.toml"
    path.write_text(CONFIGURATION)
    return path


@pytest.fixture
def model(configuration: Path) -> Model:
    made = firewall_model(load_settings(configuration))
    return dataclasses.replace(made, confined_user="nobody")


def load(site, model: Model, form: str) -> None:
    tools = {"nftables": ["nft"], "iptables": ["iptables-restore", "ip6tables-restore"]}
    missing = [tool for tool in tools[form] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed")
    texts = {
        "nftables": [("nft", "-f", nft_ruleset(model))],
        "iptables": [
            ("iptables-restore", "", iptables_ruleset(model, 4)),
            ("ip6tables-restore", "", iptables_ruleset(model, 6)),
        ],
    }
    for tool, option, text in texts[form]:
        command = ["ip", "netns", "exec", site.gateway, tool, *([option, "-"] if option else [])]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.root
@pytest.mark.parametrize("form", ["nftables", "iptables"])
def test_only_configured_peers_get_in_each_at_its_service(site, model, form):
    everything = [
        (source, target, port)
        for source, target in (
            (SCADA, GATEWAY), (SCADA6, GATEWAY6), (STATION, GATEWAY), (ADMIN, GATEWAY),
            (STRANGER, GATEWAY), (STRANGER6, GATEWAY6),
        )
        for port in (22, 80, 102, 3782, 8080, 9000)
    ]  # fmt: skip
    assert set(site.probe(*everything)) == {"open"}, "without a filter all of it is open"
    load(site, model, form)
    load(site, model, form)
    results = zip(everything, site.probe(*everything), strict=True)
    assert {probe for probe, result in results if result == "open"} == {
        (SCADA, GATEWAY, 102),
        (SCADA, GATEWAY, 3782),
        (SCADA6, GATEWAY6, 102),
        (SCADA6, GATEWAY6, 3782),
        (STATION, GATEWAY, 8080),
        (ADMIN, GATEWAY, 22),
    }


@pytest.mark.root
@pytest.mark.parametrize("form", ["nftables", "iptables"])
def test_vehicles_reach_the_secc_over_link_local_addresses_only(site, model, form):
    load(site, model, form)
    shown = site.inside("ip", "-6", "-o", "addr", "show", "dev", "bus", "scope", "link").stdout
    link_local = shown.split()[3].split("/")[0] + "%bus"
    assert site.probe(
        ("", link_local, 15118, "udp"),
        ("", link_local, 50000),
        (STRANGER6, GATEWAY6, 15118, "udp"),
        (STRANGER6, GATEWAY6, 50000),
        ("", link_local, 22),
    ) == ["open", "open", "dropped", "dropped", "dropped"]


@pytest.mark.root
@pytest.mark.parametrize("form", ["nftables", "iptables"])
def test_the_utility_process_reaches_the_balancing_authority_only(site, model, form):
    load(site, model, form)
    targets = [
        ("", "10.77.0.9", 9999),
        ("", SCADA, 9999),
        ("", SCADA6, 9999),
        ("", "127.0.0.1", 22),
    ]
    confined = site.probe(*targets, where=site.gateway, user="nobody")
    assert [result == "open" for result in confined] == [True, False, False, True]
    assert site.probe(*targets, where=site.gateway) == ["open"] * 4


@pytest.mark.root
def test_a_ping_with_a_large_payload_passes_for_the_mtu_check(site, model):
    if shutil.which("ping") is None:
        pytest.skip("ping is not installed")
    load(site, model, "nftables")
    done = subprocess.run(
        ["ip", "netns", "exec", site.outside, "ping", "-s", "1500", "-c", "1", "-W", "2", GATEWAY],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


@pytest.mark.root
def test_dropped_logins_are_counted(site, model):
    load(site, model, "nftables")
    site.probe((STRANGER, GATEWAY, 22), (STRANGER, GATEWAY, 80))
    shown = site.inside("nft", "list", "counter", "inet", "v2g", "management_dropped").stdout
    assert "packets 0 " not in shown


def test_an_empty_configuration_admits_nobody():
    rules = nft_ruleset(Model((), ()))
    assert "saddr" not in rules
    assert "policy drop" in rules
    assert "-s " not in iptables_ruleset(Model((), ()), 4)


def test_networks_inside_others_are_written_once(configuration):
    text = configuration.read_text().replace("10.77.1.0/24", '10.0.0.0/8", "10.77.1.0/24')
    configuration.write_text(text)
    assert "ip saddr { 10.0.0.0/8 }" in nft_ruleset(firewall_model(load_settings(configuration)))


def test_each_unit_gets_its_own_addresses(configuration):
    networks = unit_networks(load_settings(configuration))
    assert unit_drop_in(networks["v2g-utility.service"]).endswith(
        "[Service]\nIPAddressAllow=10.77.0.9/32\n"
    )
    assert [str(n) for n in networks["v2g-ied.service"]] == ["10.77.0.2/32", "fd77::2/128"]
    assert networks["v2g-hmi.service"] == ()


def test_wrong_addresses_are_all_named_at_once(configuration):
    configuration.write_text(
        '[gateway]\npower_profile = "power-profile.conf"\n[firewall]\n'
        'scada = ["10.0.0.1/8", "scada.example"]\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        load_settings(configuration)
    text = str(caught.value)
    assert text.count("firewall.scada") == 2
    assert "host bits are set" in text
