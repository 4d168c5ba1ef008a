# ruff: noqa: E501 - a table of cases reads better in long lines
"""Every rule: the sample station has no finding; one change brings exactly that rule."""

import re

import pytest

from agent.scl import Severity, read_scl
from agent.scl.check import check

STATION = [
    # (what is changed, into what, rule)
    ('<IED name="V2G2"', '<IED name="V2G1"', "name.duplicate"),
    ('<DataSet name="Status">', '<DataSet name="Measurements">', "name.duplicate"),
    ('<LNode iedName="BAY1" ldInst="LD0" lnClass="XCBR"', '<LNode iedName="BAY1" ldInst="LD9" lnClass="XCBR"', "plant.lnode-unresolved"),
    ('doName="HzRte" fc="MX"', 'doName="Gone" fc="MX"', "dataset.member-unresolved"),
    ('doName="HzRte" fc="MX"', 'doName="HzRte" fc="ST"', "dataset.member-empty"),
    ('doName="HzRte" fc="MX"', 'doName="HzRte"', "dataset.no-fc"),
    ('doName="HzRte" fc="MX"', 'doName="Hz" fc="MX"', "dataset.duplicate-member"),
    ('name="brcbStatus" datSet="Status"', 'name="brcbStatus" datSet="Gone"', "control.dataset-unknown"),
    ('name="gcbMeasurements" datSet="Measurements"', 'name="gcbMeasurements"', "control.no-dataset"),
    ('name="gcbMeasurements" datSet="Measurements" confRev="1"', 'name="gcbMeasurements" datSet="Measurements" confRev="0"', "control.conf-rev"),
    ('smvID="MU01"', 'smvID=""', "sv.no-id"),
    ('smpRate="80"', 'smpRate="0"', "sv.no-rate"),
    ('smpRate="80"', 'smpRate="80" smpMod="Often"', "sv.bad-mode"),
    ('<ConnectedAP iedName="MU1" apName="P1">', '<ConnectedAP iedName="Gone" apName="P1">', "comm.no-ied"),
    ('<ConnectedAP iedName="MU1" apName="P1">', '<ConnectedAP iedName="MU1" apName="P9">', "comm.no-access-point"),
    ('cbName="gcbMeasurements">', 'cbName="gone">', "comm.no-control-block"),
    ('cbName="gcbMeasurements">', 'cbName="gone">', "comm.no-address"),
    ('<P type="IP">192.0.2.12</P>', '<P type="IP">192.0.2.300</P>', "comm.bad-ip"),
    ('<P type="IP">192.0.2.12</P>', '<P type="IP">192.0.2.11</P>', "comm.duplicate-ip"),
    ("01-0C-CD-01-00-01", "01-0C-CD-01-00", "comm.bad-mac"),
    ("01-0C-CD-01-00-01", "00-0C-CD-01-00-01", "comm.bad-mac"),
    ("01-0C-CD-01-00-01", "01-0C-CD-09-00-01", "comm.mac-range"),
    ('<P type="APPID">0001</P>', '<P type="APPID">1</P>', "comm.appid-format"),
    ('<P type="APPID">0001</P>', '<P type="APPID">4001</P>', "comm.appid-range"),
    ('<P type="APPID">0001</P>', '<P type="APPID">none</P>', "comm.bad-appid"),
    ('<P type="VLAN-ID">00A</P>', '<P type="VLAN-ID">A</P>', "comm.vlan-format"),
    ('<P type="VLAN-ID">00A</P>', '<P type="VLAN-ID">FFFF</P>', "comm.bad-vlan"),
    ('<P type="VLAN-PRIORITY">4</P>', '<P type="VLAN-PRIORITY">9</P>', "comm.bad-vlan-priority"),
    ('multiplier="m">4</MinTime>', 'multiplier="m">4000</MinTime>', "comm.times"),
    ("<Val>sbo-with-enhanced-security</Val>", "<Val>sbo-with-normal-security</Val>", "control.model-mismatch"),
    ("<Val>sbo-with-enhanced-security</Val>", "<Val>often</Val>", "value.bad"),
    ("<Val>Ok</Val>", "<Val>Splendid</Val>", "value.bad"),
    ('<ConfReportControl max="75"', '<ConfReportControl max="2"', "services.exceeded"),
    ('maxAttributes="256"', 'maxAttributes="3"', "services.exceeded"),
    ('<GOOSE max="4"/>', '<GOOSE max="0"/>', "services.exceeded"),
    ('iedName="BAY1" ldInst="LD0" lnClass="MMXU"', 'iedName="GONE" ldInst="LD0" lnClass="MMXU"', "extref.no-ied"),
    ('doName="Pos" daName="q" intAddr', 'doName="Pos" daName="stVal" intAddr', "extref.unexpected"),
    ('<EnumVal ord="3">Alarm</EnumVal>', '<EnumVal ord="9">Alarm</EnumVal>', "ns.enum-ordinal"),
    ('<EnumVal ord="3">Alarm</EnumVal>', '<EnumVal ord="3">Panic</EnumVal>', "ns.enum-text"),
    ('<EnumVal ord="3">Alarm</EnumVal>', '<EnumVal ord="2">Alarm</EnumVal>', "enum.duplicate-ordinal"),
    ('<DO name="ReqW" type="MV_W"/>', "", "ns.object-presence"),
    ('<DO name="ReqW" type="MV_W"/>', '<DO name="ReqW" type="SPS"/>', "ns.cdc"),
    ('<DO name="ReqW" type="MV_W"/>', '<DO name="ReqW" type="MV_W"/><DO name="Own" type="MV_W"/>', "ns.unknown-object"),
    ('<DO name="ReqW" type="MV_W"/>', '<DO name="ReqW" type="gone"/>', "type.dangling"),
    ('<DO name="ReqW" type="MV_W"/>', '<DO name="ReqW" type="MV_W"/><DO name="ReqW" type="MV_W"/>', "type.duplicate-name"),
    ('<DA name="stVal" fc="ST" bType="BOOLEAN" dchg="true"/>', "", "ns.attribute-presence"),
    ('<DA name="stVal" fc="ST" bType="BOOLEAN" dchg="true"/>', '<DA name="stVal" fc="MX" bType="BOOLEAN"/>', "ns.fc"),
    ('<DA name="stVal" fc="ST" bType="BOOLEAN" dchg="true"/>', '<DA name="stVal" fc="ST" bType="INT8"/>', "ns.attribute-type"),
    ('<DA name="stVal" fc="ST" bType="BOOLEAN" dchg="true"/>', '<DA name="stVal" fc="ST" bType="BOOLEAN"/><DA name="own" fc="ST" bType="INT8"/>', "ns.unknown-attribute"),
    ('cdc="MV"', 'cdc="VM"', "ns.unknown-cdc"),
    ('<DA name="lnNs" fc="EX" bType="VisString255"/>', "", "ns.name-plate"),
    ('release="4"', "", "ns.edition"),
]  # fmt: skip


@pytest.fixture(scope="module")
def text(station):
    """The station with one EVSE for each gateway, so that each case is quick."""
    return re.sub(r'<LDevice inst="EVSE[2-9]".*?</LDevice>', "", station.decode(), flags=re.DOTALL)


def test_the_sample_station_has_nothing_but_a_note_on_unknown_classes(text):
    findings = check(read_scl(text.encode()))
    assert {(f.rule, f.severity) for f in findings} == {("ns.class-not-known", Severity.INFO)}


@pytest.mark.parametrize(
    ("old", "new", "rule"), STATION, ids=[f"{n}-{r[2]}" for n, r in enumerate(STATION)]
)
def test_a_change_brings_its_rule(text, old, new, rule):
    assert old in text
    changed = text.replace(old, new) if rule != "name.duplicate" else text.replace(old, new, 1)
    if rule == "ns.edition":
        changed = re.sub(r'(<SCL [^>]*?) version="2007" revision="B" release="4"', r"\1", text)
    found = [f for f in check(read_scl(changed.encode())) if f.rule == rule]
    assert found
    assert all(f.what and f.file == "<bytes>" for f in found)
    if rule not in ("ns.edition", "plant.lnode-unresolved"):
        assert all(f.line > 0 and f.path for f in found)


@pytest.mark.parametrize(
    ("ln0", "ln", "rule"),
    [
        ('<DataSet name="d"/>', "", "dataset.empty"),
        ('<ReportControl name="r" confRev="1"><TrgOps gi="false"/></ReportControl>', "", "report.no-trigger"),
        ('<ReportControl name="r" confRev="1"><TrgOps period="true"/></ReportControl>', "", "report.no-period"),
        ('<ReportControl name="r"><RptEnabled max="1"><ClientLN iedName="A" ldInst="" lnClass="IHMI"/>'
         '<ClientLN iedName="B" ldInst="" lnClass="IHMI"/></RptEnabled></ReportControl>', "", "report.clients"),
        ('<SettingControl numOfSGs="2" actSG="3"/>', "", "setting.active-group"),
        ("", '<Inputs><ExtRef intAddr="x" pLN="MMXU"/></Inputs>', "extref.unbound"),
        ("", '<DOI name="Gone"/>', "instance.not-in-type"),
    ],
)  # fmt: skip
def test_rules_about_nodes(make_scl, ln0, ln, rule):
    assert rule in {f.rule for f in check(read_scl(make_scl(ln0=ln0, ln=ln)))}


def test_settings_without_and_beyond_their_groups(make_scl):
    types = '<DOType id="T" cdc="SPG"><DA name="setVal" fc="SG" bType="BOOLEAN"/></DOType>'
    assert "setting.no-control" in {f.rule for f in check(read_scl(make_scl(types)))}
    ln = '<DOI name="X"><DAI name="setVal"><Val sGroup="3">1</Val></DAI></DOI>'
    data = make_scl(types, ln, '<SettingControl numOfSGs="2"/>')
    assert "setting.group-unknown" in {f.rule for f in check(read_scl(data))}


def test_a_controllable_object_without_a_model(make_scl):
    types = '<DOType id="T" cdc="SPC"><DA name="ctlModel" fc="CF" bType="Enum" type="M"/>'
    types += '<DA name="Oper" fc="CO" bType="Struct" type="O"/></DOType>'
    types += '<DAType id="O"><BDA name="ctlVal" bType="BOOLEAN"/></DAType>'
    types += '<EnumType id="M"><EnumVal ord="1">direct-with-normal-security</EnumVal></EnumType>'
    assert "control.no-model" in {f.rule for f in check(read_scl(make_scl(types)))}


def test_findings_come_in_the_order_of_lines(text):
    lines = [f.line for f in check(read_scl(text.replace("0001</P>", "1</P>").encode()))]
    assert lines == sorted(lines)


def test_private_types_name_their_namespace_and_are_left_alone(text):
    own = '<DA name="dataNs" fc="EX" bType="VisString255"/><DA name="own" fc="ST" bType="INT8"/>'
    target = '<DA name="stVal" fc="ST" bType="BOOLEAN" dchg="true"/>'
    rules = {f.rule for f in check(read_scl(text.replace(target, target + own).encode()))}
    assert "ns.unknown-attribute" not in rules


class TestServing:
    """`--ied`: whether this agent can serve and bind the IED."""

    def rules(self, text, ied="V2G1"):
        return {f.rule for f in check(read_scl(text.encode()), ied_name=ied)}

    def test_our_ied_can_be_served(self, text):
        assert self.rules(text) == {"ns.class-not-known"}

    def test_findings_of_other_ieds_are_left_out(self, text):
        broken = text.replace('<GOOSE max="4"/>', '<GOOSE max="0"/>')
        assert "services.exceeded" not in self.rules(broken)
        assert "services.exceeded" in self.rules(broken, "BAY1")

    def test_an_unknown_ied_is_named(self, text):
        assert "serve.no-ied" in self.rules(text, "GONE")

    def test_an_ied_without_a_server(self, text):
        bare = re.sub(r"<Server>.*?</Server>", "", text, flags=re.DOTALL)
        assert "serve.no-server" in self.rules(bare)

    def test_a_stream_without_address_or_layout_cannot_be_bound(self, text):
        assert "serve.no-stream-address" in self.rules(text.replace("01-0C-CD-01-00-01", "x"))
        broken = text.replace('doName="Pos" daName="t" fc="ST"', 'doName="Pos" daName="x" fc="ST"')
        assert "serve.no-layout" in self.rules(broken)

    def test_samples_of_a_type_that_is_not_decoded(self, text):
        odd = text.replace('<BDA name="i" bType="INT32"/>', '<BDA name="i" bType="INT64"/>')
        assert "serve.sample-type" in self.rules(odd)

    def test_samples_without_a_scale_factor(self, text):
        assert "serve.no-scale" in self.rules(re.sub(r'<DA name="sVC"[^>]*/>', "", text))
