"""The support archive: what a supporter needs, and not one secret."""

from __future__ import annotations

import argparse
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audit import AuditLog
from agent.cli import support
from agent.cli.redact import REMOVED, redact

SECRETS = {
    "pem": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIsecretsecret\n-----END EC PRIVATE KEY-----",
    "cut pem": "-----BEGIN PRIVATE KEY-----\nMHcCAQEEIIsecretsecret",
    "jwt": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzZWNyZXRzZWNyZXQifQ.c2VjcmV0c2VjcmV0",
    "url": "https://user:secretsecret@csms.example/ocpp",
    "toml": 'password = "secretsecret"',
    "toml list": 'tokens = ["a", "secretsecret"]',
    "json": '{"authPassword": "secretsecret", "x": 1}',
    "yaml": "apiKey: secretsecret",
    "option": "--client-secret=secretsecret",
    "basic": "Authorization: Basic c2VjcmV0c2VjcmV0",
    "bearer": "sent Bearer secretsecretsecret",
    "hex": b"secretsecret".hex() * 3,
}
LEAKS = ("secretsecret", "c2VjcmV0", "MHcCAQ", b"secretsecret".hex(), "c2VjcmV0c2VjcmV0")


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_of_secret_is_removed(kind):
    cleaned = redact(f"before\n{SECRETS[kind]}\n")
    assert not any(leak in cleaned for leak in LEAKS)
    assert REMOVED in cleaned
    assert cleaned.startswith("before\n")


@pytest.mark.parametrize(
    "text", ["f_hz = 49.8", "mappings = 'ied'", 'file = "station.scd"', "0x22 at tls with 10.0.0.1"]
)
def test_what_a_supporter_needs_stays(text):
    assert redact(text) == text


@given(st.text(max_size=300))
def test_redaction_is_total_and_stable(text):
    once = redact(text)
    assert redact(once) == once


def test_the_archive_has_the_parts_and_none_of_the_secrets(tmp_path, capsys):
    log = AuditLog(tmp_path / "log" / "stability-audit.log", bytes(32))
    log.append("association", "station", SECRETS["url"], SECRETS["jwt"], detail=SECRETS["json"])
    log.close()
    (tmp_path / "power-profile.conf").write_text(f"# {SECRETS['basic']}\n")
    configuration = tmp_path / "agent.toml"
    configuration.write_text(
        '[gateway]\nlog_dir = "log"\npower_profile = "power-profile.conf"\n'
        + "".join(f"# {secret}\n".replace("\n", "\n#") for secret in SECRETS.values())
    )
    output = tmp_path / "bundle.tar.gz"
    parser = argparse.ArgumentParser()
    support.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(
        ["support", "--config", str(configuration), "--output", str(output)]
    )
    assert arguments.run(arguments) == 0
    assert "secrets removed" in capsys.readouterr().out
    assert output.stat().st_mode & 0o077 == 0
    parts = read(output)
    for name in ("version.json", "agent.toml", "check.json", "clock.json", "audit.jsonl"):
        assert parts[name]
    assert "no v2g-daemon answers" in parts["status.json"]
    assert '"kind": "association"' in parts["audit.jsonl"]
    for name, text in parts.items():
        assert not any(leak in text for leak in LEAKS), name


def read(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        return {
            Path(entry.name).name: archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in archive
        }
