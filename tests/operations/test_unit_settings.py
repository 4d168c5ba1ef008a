"""A key named in agent.toml is taken from systemd's credentials where the unit was given it."""

from __future__ import annotations

from pathlib import Path

from agent.config import load_settings, read_settings
from agent.config.settings import Gateway
from agent.config.unit import credential, with_state_folder

KEY = Path("/etc/v2g/pki/stations/server.key")


def test_the_credential_of_the_units_folder_stands_for_the_configured_key(tmp_path):
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credential(KEY, environment) == KEY
    (tmp_path / "tls_server.key").write_text("k")
    assert credential(KEY, environment) == tmp_path / "tls_server.key"
    assert credential(KEY, {}) == KEY


def test_settings_hold_the_path_that_this_process_can_read(tmp_path, monkeypatch):
    (tmp_path / "tls_server.key").write_text("k")
    (tmp_path / "profile.conf").write_text("")
    configuration = tmp_path / "agent.toml"
    configuration.write_text(
        '[gateway]\npower_profile = "profile.conf"\n'
        f'[stations]\nhost = "127.0.0.1"\nkey = "{KEY}"\ncertificate = "server.crt"\n'
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = load_settings(configuration)
    assert settings.stations.key == tmp_path / "tls_server.key"
    assert settings.stations.certificate == tmp_path / "server.crt"


def test_each_unit_keeps_its_state_in_its_own_folder():
    gateway = Gateway()
    assert with_state_folder(gateway, {}).state_dir == Path("/var/lib/v2g")
    given = {"STATE_DIRECTORY": "/var/lib/v2g/ied"}
    assert with_state_folder(gateway, given).state_dir == Path("/var/lib/v2g/ied")


def test_a_broken_table_does_not_hide_the_findings_of_the_others(tmp_path):
    configuration = tmp_path / "agent.toml"
    configuration.write_text(
        '[grid]\nnominal_hz = 55\n[ied]\nport = 0\n[gateway]\npower_profile = "missing"\n'
    )
    settings, findings = read_settings(configuration)
    where = [finding.where for finding in findings]
    assert [any(key in place for place in where) for key in ("grid.nominal", "ied.port", "missing")]
    assert len(findings) == 3
    assert settings.grid.nominal_hz == 50
