"""`[bus]` and `[fleet]`."""

from __future__ import annotations

import pytest

from agent.config import Bus, load_settings
from agent.config.bus import endpoint
from agent.errors import ConfigurationError


def read(tmp_path, text: str):
    (tmp_path / "p.conf").write_text("")
    (tmp_path / "agent.toml").write_text('[gateway]\npower_profile = "p.conf"\n' + text)
    return load_settings(tmp_path / "agent.toml")


def test_the_bus_is_off_unless_a_broker_is_named(tmp_path):
    assert not read(tmp_path, "").bus.enabled
    assert read(tmp_path, '[bus]\nnats = "nats://127.0.0.1"\n').bus.enabled


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('nats = "nats://broker.example"', "in clear"),
        ('mqtt = "mqtt://192.0.2.1:1883"', "in clear"),
        ('nats = "mqtts://broker.example"', "no address of a broker"),
        ('nats = "tls://:4222"', "no address of a broker"),
        ('nats = "tls://broker.example:99999"', "Port"),
        ('certificate = "c.pem"', "belong together"),
        ('password = "p"', "needs user"),
        ('mrid = "V2G1"', "mrid"),
    ],
)
def test_what_cannot_work_is_an_error_with_its_key(tmp_path, line, message):
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, f"[bus]\n{line}\n")


def test_a_name_always_gives_the_same_uuid_and_a_set_one_wins():
    assert Bus().identity("V2G1") == Bus().identity("V2G1") != Bus().identity("V2G2")
    mrid = "0b0e8c1e-6f0e-5b4e-9d5c-7d6f0f1e2a3b"
    assert Bus(mrid=mrid).identity("V2G1") == mrid


def test_ports_are_the_protocols_own_unless_named():
    assert endpoint("tls://broker.example") == ("broker.example", 4222, True)
    assert endpoint("mqtts://broker.example") == ("broker.example", 8883, True)
    assert endpoint("mqtt://localhost:1884") == ("localhost", 1884, False)
