"""`v2g-scl`: output for people and programs, and exit codes."""

import copy
import json

import pytest
from lxml import etree

from agent.cli.scl import main
from agent.iec61850 import ObjectReference
from agent.ied.store import Store
from agent.scl import Severity, expand, initial, read_scl
from agent.scl.check import check
from agent.scl.differ import ChangeKind, diff
from tests.scl.conftest import NS


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
    assert content.count(b">60.1</Val>") == 4  # two EVSEs, two setting groups
    assert b"<Val>7400</Val>" in content


def test_an_iid_has_what_clients_have_set(tmp_path, scd):
    """Set points and setting groups that the running IED has stored, with the active group."""
    config = tmp_path / "agent.toml"
    (tmp_path / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=7.4\n")
    config.write_text(
        f"""
[gateway]
power_profile = "power.conf"
state_dir = "state"
[scl]
file = "{scd}"
ied = "V2G2"
"""
    )
    store = Store(tmp_path / "state" / "ied-values.json")
    node = "V2G2EVSE1"
    store.set(ObjectReference.parse(f"{node}/DWGC1.RvrtTms.setVal[SP]"), 90)
    store.set(ObjectReference.parse(f"{node}/DHFW1.HzStr.setMag.f[SG]"), 50.1, 2)
    store.set(ObjectReference.parse(f"{node}/LLN0.SGCB.ActSG[SP]"), 2)
    store.set(ObjectReference.parse(f"{node}/DHFW1.Gone.setVal[SP]"), 1)
    path = tmp_path / "own.iid"
    assert main(["export", "--config", str(config), "--iid", "--output", str(path)]) == 0
    scl = read_scl(path)
    assert {finding.severity for finding in check(scl)} <= {Severity.INFO}
    model = expand(scl, "V2G2")
    leaf = model.find(ObjectReference.parse(f"{node}/DHFW1.HzStr.setMag.f[SE]"))
    assert [initial(leaf, group) for group in (1, 2)] == [50.02, 50.1]
    assert initial(model.find(ObjectReference.parse(f"{node}/DWGC1.RvrtTms.setVal[SP]"))) == 90
    assert model.device(node).node("LLN0").setting_control.act_sg == 2
    assert scl.subnetworks[1].connected[0].gse[0].address.get("APPID") == "0003"


def test_a_system_configurators_round_trip(tmp_path):
    """Our ICD in another tool: renamed, addressed, bound, with its own Private; then reloaded."""
    icd = tmp_path / "gateway.icd"
    assert (
        main(["export", "--icd", "--dc", "2", "--setting-groups", "2", "--output", str(icd)]) == 0
    )
    tree = etree.parse(icd)
    root = tree.getroot()
    ied = root.find(f"{{{NS}}}IED")
    ied.set("name", "CarPark7")
    private = etree.SubElement(ied, f"{{{NS}}}Private", type="SCT-X:note")
    ied.insert(0, private)
    private.text = "kept"
    header = root.find(f"{{{NS}}}Header")
    communication = etree.Element(f"{{{NS}}}Communication")
    header.addnext(communication)
    bus = etree.SubElement(communication, f"{{{NS}}}SubNetwork", name="W1", type="8-MMS")
    point = etree.SubElement(bus, f"{{{NS}}}ConnectedAP", iedName="CarPark7", apName="S1")
    address = etree.SubElement(point, f"{{{NS}}}Address")
    etree.SubElement(address, f"{{{NS}}}P", type="IP").text = "10.1.2.99"
    scd = tmp_path / "site.scd"
    tree.write(scd, encoding="utf-8", xml_declaration=True)
    scl = read_scl(scd)
    assert scl.ied("CarPark7").privates[0].type == "SCT-X:note"
    assert expand(scl, "CarPark7").parameters["IP"] == "10.1.2.99"
    assert main(["check", str(scd), "--ied", "CarPark7"]) == 0
    config = tmp_path / "agent.toml"
    (tmp_path / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=7.4\n")
    config.write_text(
        f"[gateway]\npower_profile = 'power.conf'\n[scl]\nfile = '{scd}'\nied = 'CarPark7'\n"
        "[ied]\nhost = '10.1.2.99'\n"
    )
    iid = tmp_path / "back.iid"
    assert main(["export", "--config", str(config), "--iid", "--output", str(iid)]) == 0
    changes = diff(scl, read_scl(iid))
    # The model is the same; values and goID are those of the running gateway.
    inside = [change for change in changes if change.area != "communication"]
    assert all(change.kind is not ChangeKind.REMOVED for change in inside)
    odd = [change for change in inside if not _is_value(change.path)]
    assert odd == []


def _is_value(path):
    return path.endswith("/app_id") or path.rpartition("/")[2].startswith("Val")


def test_more_than_the_ied_claims_is_refused(tmp_path, capsys):
    """A configurator that adds a second GOOSE to an IED whose Services claim one."""
    icd = tmp_path / "gateway.icd"
    assert main(["export", "--icd", "--ac", "1", "--output", str(icd)]) == 0
    tree = etree.parse(icd)
    block = tree.find(f".//{{{NS}}}GSEControl")
    extra = copy.deepcopy(block)
    extra.set("name", "gcbMore")
    block.addnext(extra)
    tree.write(icd, encoding="utf-8", xml_declaration=True)
    assert main(["check", str(icd)]) == 1
    assert "GOOSE claims at most 1, the IED has 2" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["-1", "21"])
def test_an_impossible_number_of_setting_groups_is_refused(number, capsys):
    assert main(["export", "--icd", "--setting-groups", number]) == 78
    assert "must be 0 to 20" in capsys.readouterr().err


def test_a_broken_configuration_is_told_not_thrown(tmp_path, capsys):
    config = tmp_path / "agent.toml"
    config.write_text("[scl]\nodd = 1\n")
    assert main(["export", "--config", str(config), "--iid"]) == 78
    assert "odd" in capsys.readouterr().err


def test_export_to_standard_output(capfdbinary):
    assert main(["export", "--sample-station"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"<?xml")
