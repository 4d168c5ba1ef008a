"""`v2g-ctl check`: every error at once, over configuration, SCL, mappings, files and machine."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.cli import check
from agent.errors import EX_CONFIG, EX_UNAVAILABLE

REPOSITORY = Path(__file__).resolve().parents[2]


def ctl(*argv: object) -> int:
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())
    arguments = parser.parse_args([str(word) for word in argv])
    return int(arguments.run(arguments))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "scl" / "sample-station.scd", tmp_path / "station.scd")
    (tmp_path / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
    path = tmp_path / "agent.toml"
    path.write_text(
        '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        'power_profile = "power-profile.conf"\n'
        '[scl]\nfile = "station.scd"\nied = "V2G1"\n'
        '[stations]\nhost = "127.0.0.1"\n[process_bus]\ninterface = "lo"\n'
    )
    return path


def test_a_good_configuration_has_no_errors(good, capsys):
    assert ctl("check", "--config", good, "--json") == 0
    assert json.loads(capsys.readouterr().out)["errors"] == []


def test_quiet_says_nothing_about_a_good_configuration(good, capsys):
    assert ctl("check", "--config", good, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_errors_of_settings_profile_scl_and_files_come_together(good, capsys):
    scd = good.parent / "station.scd"
    scd.write_text(scd.read_text().replace('type="CBR"', 'type="CBR" name="QA1"', 1))
    (good.parent / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=-1\nMAXCHARGE=2\n")
    text = good.read_text().replace('"127.0.0.1"\n', '"127.0.0.1"\nlocal_list = "nowhere.txt"\n')
    good.write_text(text + "[grid]\nnominal_hz = 55\n[tariff]\nx = 1\n")
    assert ctl("check", "--config", good) == EX_CONFIG
    out = capsys.readouterr().out
    for part in ("grid.nominal_hz", "tariff", "power-profile.conf:1", "power-profile.conf:2",
                 "station.scd", "nowhere.txt"):  # fmt: skip
        assert part in out
    assert "6 errors" in out or "errors" in out.splitlines()[-1]


def test_an_ied_that_the_scl_does_not_have_is_an_error(good, capsys):
    good.write_text(good.read_text().replace('"V2G1"', '"OTHER"'))
    assert ctl("check", "--config", good) == EX_CONFIG
    assert "OTHER" in capsys.readouterr().out


def test_a_mapping_that_does_not_fit_is_an_error(good, capsys):
    folder = good.parent / "mappings" / "ied"
    folder.mkdir(parents=True)
    mapping = (REPOSITORY / "mappings" / "ied" / "gateway.toml").read_text()
    (folder / "gateway.toml").write_text(
        mapping + '\n[[device]]\ninst = "NOWHERE"\nscope = "gateway"\n'
    )
    good.write_text(good.read_text().replace("[scl]", 'mappings = "mappings"\n[scl]'))
    assert ctl("check", "--config", good) == EX_CONFIG
    assert "NOWHERE" in capsys.readouterr().out


def test_settings_scl_and_every_mapping_are_wrong_together_and_all_are_named(good, capsys):
    folder = good.parent / "mappings"
    shutil.copytree(REPOSITORY / "mappings", folder)
    ied = folder / "ied" / "gateway.toml"
    ied.write_text(ied.read_text() + '\n[[device]]\ninst = "NOWHERE"\nscope = "gateway"\n')
    (folder / "stations" / "mine.toml").write_text("[station]\ncharge_max_w = -1\nspeed = 2\n")
    scd = good.parent / "station.scd"
    scd.write_text(re.sub(r'(<LN lnClass="DEEV".* lnType=)"\w+"', r'\1"LOST"', scd.read_text()))
    text = good.read_text().replace("[scl]", 'mappings = "mappings"\n[scl]')
    device = (
        '[[field.device]]\nname = "pcc"\nrole = "meter"\ntype = "unheard-of"\nhost = "192.0.2.1"\n'
    )
    good.write_text(text + "[control]\nlease_s = -5\n" + device)
    assert ctl("check", "--config", good) == EX_CONFIG
    out = capsys.readouterr().out
    for part in ("control.lease_s", "NOWHERE", "mine.toml", "speed", "station.scd",
                 "unheard-of"):  # fmt: skip
        assert part in out


def test_a_missing_file_is_one_plain_error(tmp_path, capsys):
    assert ctl("check", "--config", tmp_path / "agent.toml") == EX_CONFIG
    assert "cannot be read" in capsys.readouterr().out


def test_a_worker_is_planned_or_not(good):
    assert ctl("check", "--config", good, "--worker", "ied") == 0
    good.write_text(good.read_text() + "[ied]\nenabled = false\n")
    assert ctl("check", "--config", good, "--worker", "ied") == 1
    assert ctl("check", "--config", good, "--worker", "stations") == 0
    assert ctl("check", "--config", good, "--worker", "no-such-worker") == 1


def test_without_a_daemon_running_says_so(good, capsys):
    assert ctl("check", "--config", good, "--running") == EX_UNAVAILABLE
    assert "no v2g-daemon answers" in capsys.readouterr().out


def test_interfaces_that_do_not_exist_are_a_warning(good, capsys):
    good.write_text(good.read_text().replace('"lo"', '"eth77"'))
    assert ctl("check", "--config", good) == 0
    assert "no interface 'eth77' here" in capsys.readouterr().out


def certificate(days: int) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(("days", "word"), [(-1, "expired"), (10, "expires"), (100, "")])
def test_certificates_that_end_soon_are_a_warning(good, capsys, days, word):
    (good.parent / "server.crt").write_bytes(certificate(days))
    good.write_text(
        good.read_text().replace("[stations]", '[stations]\ncertificate = "server.crt"')
    )
    assert ctl("check", "--config", good) == 0
    out = capsys.readouterr().out
    assert ("gateway.example" in out) == bool(word)
    assert word in out


def test_a_key_that_others_may_read_is_a_warning(good, capsys):
    key = good.parent / "server.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
    good.write_text(good.read_text().replace("[stations]", '[stations]\nkey = "server.key"'))
    key.chmod(0o644)
    assert ctl("check", "--config", good) == 0
    assert "others may read the key" in capsys.readouterr().out
    key.chmod(0o600)
    assert ctl("check", "--config", good) == 0
    assert "others may read the key" not in capsys.readouterr().out
