"""`v2g-scl`: output for people and programs, and exit codes."""

import json

import pytest

from agent.cli.scl import main
from agent.scl import read_scl


@pytest.fixture
def scd(tmp_path, station):
    path = tmp_path / "station.scd"
    path.write_bytes(station)
    return str(path)


@pytest.fixture
def broken(tmp_path, station):
    path = tmp_path / "broken.scd"
    path.write_bytes(station.replace(b'doName="HzRte"', b'doName="Gone"'))
    return str(path)


def test_check_of_a_sound_file_is_0(scd, capsys):
    assert main(["check", scd]) == 0
    assert "0 error, 0 warning, 1 info" in capsys.readouterr().out


def test_check_of_a_broken_file_is_1_with_line_and_rule(broken, capsys):
    assert main(["check", broken, "--ied", "V2G1"]) == 1
    out = capsys.readouterr().out
    assert f"{broken}:" in out
    assert "[dataset.member-unresolved]" in out


def test_check_as_json(broken, capsys):
    assert main(["check", broken, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    finding = next(f for f in report["findings"] if f["severity"] == "error")
    assert finding["rule"] == "dataset.member-unresolved"
    assert finding["line"] > 0 and finding["path"] and finding["what"]
    assert report["counts"]["error"] == 2


@pytest.mark.parametrize("command", [["check"], ["tree"], ["subscriptions", "--ied", "A"]])
@pytest.mark.parametrize("content", [b"", b"<SCL", b"<!DOCTYPE x><SCL/>", b"<html/>"])
def test_an_unreadable_file_is_2_and_says_why(tmp_path, capsys, command, content):
    path = tmp_path / "x.scd"
    path.write_bytes(content)
    assert main([*command, str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_an_unreadable_file_as_json(tmp_path, capsys):
    assert main(["check", str(tmp_path / "absent"), "--json"]) == 2
    assert "cannot be read" in json.loads(capsys.readouterr().out)["error"][0]["what"]


def test_schema_findings_are_errors(tmp_path, station, schema_dir, capsys):
    path = tmp_path / "x.scd"
    path.write_bytes(station.replace(b"<Header id=", b'<Header odd="1" id='))
    assert main(["check", str(path)]) == 0
    assert main(["check", str(path), "--schema", str(schema_dir)]) == 1
    assert "schema.invalid" in capsys.readouterr().out


def test_a_size_limit_of_the_users_choice(scd, capsys):
    assert main(["check", scd, "--max-size", "0"]) == 2
    assert "more than the limit" in capsys.readouterr().err


def test_tree_goes_from_file_to_value(scd, capsys):
    assert main(["tree", scd]) == 0
    assert "IED V2G1" in capsys.readouterr().out
    assert main(["tree", scd, "--ied", "V2G1"]) == 0
    out = capsys.readouterr().out
    assert "    DO Hz  MV" in out and "BRCB brcbMeasurements" in out
    assert main(["tree", scd, "--ied", "V2G1", "--ld", "LD0"]) == 0
    assert (
        "DA ctlModel  Enum CtlModelKind [CF] = sbo-with-enhanced-security"
        in capsys.readouterr().out
    )


def test_tree_of_what_is_not_there(scd, capsys):
    assert main(["tree", scd, "--ied", "GONE"]) == 2
    assert main(["tree", scd, "--ied", "V2G1", "--ld", "LD9"]) == 2
    assert "known: LD0, EVSE1" in capsys.readouterr().err
    assert main(["tree", scd, "--ld", "LD0"]) == 2


def test_tree_as_json(scd, capsys):
    assert main(["tree", scd, "--ied", "V2G1", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["below"][0]["name"] == "LD0"


def test_subscriptions_resolved(scd, capsys):
    assert main(["subscriptions", scd, "--ied", "V2G1"]) == 0
    out = capsys.readouterr().out
    assert "01-0c-cd-04-00-01 APPID 4000 VLAN 10 priority 4" in out
    assert "BAY1LD0/MMXU1.Hz.mag.f[MX] FLOAT32 → goose.Hz.value" in out


def test_subscriptions_as_json(scd, capsys):
    assert main(["subscriptions", scd, "--ied", "V2G1", "--json"]) == 0
    streams = json.loads(capsys.readouterr().out)["streams"]
    assert streams[0]["stream"]["address"]["mac"] == "01-0C-CD-04-00-01"


def test_diff_is_1_where_something_changed(scd, broken, capsys):
    assert main(["diff", scd, scd]) == 0
    assert main(["diff", scd, broken]) == 1
    assert "DataSet[Measurements]" in capsys.readouterr().out
    assert main(["diff", scd, broken, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["area"] == "dataset"


def test_export_of_an_icd_for_a_number_of_evses(tmp_path):
    path = tmp_path / "own.icd"
    assert main(["export", "--icd", "--ac", "1", "--dc", "2", "--output", str(path)]) == 0
    devices = read_scl(path).ieds[0].devices()
    assert [d.inst for d in devices] == ["LD0", "EVSE1", "EVSE2", "EVSE3"]
    assert main(["check", str(path)]) == 0


def test_export_of_an_iid_from_the_configuration(tmp_path, scd):
    config = tmp_path / "agent.toml"
    (tmp_path / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=7.4\n")
    config.write_text(
        f"""
[gateway]
power_profile = "power.conf"
[scl]
file = "{scd}"
ied = "V2G2"
[grid]
nominal_hz = 60
[ied]
host = "10.9.8.7"
evses = {{ EVSE1 = "DE*ABC*E1" }}
[control]
db_of_hz = 0.1
"""
    )
    path = tmp_path / "own.iid"
    assert main(["export", "--config", str(config), "--iid", "--output", str(path)]) == 0
    scl = read_scl(path)
    assert [ied.name for ied in scl.ieds] == ["V2G2"]
    assert scl.subnetworks[0].connected[0].address.get("IP") == "10.9.8.7"
    assert [d.desc for d in scl.ieds[0].devices()] == ["Site", "DE*ABC*E1", "EVSE2"]
    content = path.read_bytes()
    assert b"<Val>60.1</Val>" in content
    assert b"<Val>7400</Val>" in content


def test_a_broken_configuration_is_told_not_thrown(tmp_path, capsys):
    config = tmp_path / "agent.toml"
    config.write_text("[scl]\nodd = 1\n")
    assert main(["export", "--config", str(config), "--iid"]) == 78
    assert "odd" in capsys.readouterr().err


def test_export_to_standard_output(capfdbinary):
    assert main(["export", "--sample-station"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"<?xml")
