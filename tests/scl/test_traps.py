"""Traps of real files, one test each: what the reader and the expansion do on purpose."""

import pytest

from agent.iec61850 import FC, BasicType
from agent.scl import expand, initial, read_scl


def leaf(data, path="X.stVal", device=0, node=1):
    model = expand(read_scl(data), "A")
    found = {
        ".".join(names): attribute
        for names, attribute in model.devices[device].nodes[node].leaves()
    }
    return found[path]


def sps(body="", fc="ST", b_type="BOOLEAN", extra=""):
    attribute = f'<DA name="stVal" fc="{fc}" bType="{b_type}" {extra}>{body}</DA>'
    return f'<DOType id="T" cdc="SPS">{attribute}</DOType>'


def dai(value, name="stVal"):
    return f'<DOI name="X"><DAI name="{name}">{value}</DAI></DOI>'


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", False), ("1", True), ("true", True), ("false", False), ("TRUE", True), (" 1 ", True)],
)
def test_booleans_may_be_digits(make_scl, text, value):
    assert initial(leaf(make_scl(sps(), dai(f"<Val>{text}</Val>")))) is value


@pytest.mark.parametrize(
    ("text", "value"), [("on", 1), ("1", 1), ("own", -5), ("-5", -5), ("off", None)]
)
def test_enumerations_may_be_ordinals_and_unknown_text_is_no_value(make_scl, text, value):
    types = sps(f"<Val>{text}</Val>", b_type="Enum", extra='type="E"')
    assert initial(leaf(make_scl(types))) == value


def test_an_empty_val_is_no_value_but_an_empty_string(make_scl):
    assert initial(leaf(make_scl(sps("<Val/>")))) is None
    assert initial(leaf(make_scl(sps("<Val></Val>", b_type="VisString255")))) == ""


def test_a_padded_val_is_stripped(make_scl):
    types = sps("<Val>\n   12 \n</Val>", b_type="INT32")
    assert initial(leaf(make_scl(types))) == 12


def test_a_val_with_a_comment_inside_is_read(make_scl):
    assert initial(leaf(make_scl(sps("<Val>1<!-- x -->2</Val>", b_type="INT32")))) == 12


def test_values_of_setting_groups(make_scl):
    types = sps(fc="SG", b_type="INT32")
    values = '<Val sGroup="1">10</Val><Val sGroup="2">20</Val>'
    attribute = leaf(make_scl(types, dai(values)))
    assert [initial(attribute, group) for group in (1, 2, 3)] == [10, 20, 10]


def test_of_two_types_with_one_id_the_first_is_used_and_it_is_said(make_scl):
    scl = read_scl(make_scl(sps() + sps(b_type="INT32")))
    assert [f.rule for f in scl.findings] == ["type.duplicate-id"]
    assert scl.types.do_types["T"].children[0].b_type == "BOOLEAN"


@pytest.mark.parametrize(
    ("types", "rule"),
    [
        (sps(b_type="Enum", extra='type="None"'), "type.dangling"),
        (sps(b_type="Struct", extra='type="None"'), "type.dangling"),
        ('<DOType id="T" cdc="WYE"><SDO name="phsA" type="None"/></DOType>', "type.dangling"),
        ("", "type.dangling"),
        (sps(b_type="Bogus"), "type.bad-btype"),
        (sps(fc="ZZ"), "type.bad-fc"),
        (sps(extra='count="many"'), "type.bad-count"),
    ],
    ids=["enum", "struct", "sdo", "do", "btype", "fc", "count"],
)
def test_a_broken_type_is_reported_and_the_rest_expands(make_scl, types, rule):
    model = expand(read_scl(make_scl(types)), "A")
    assert rule in {finding.rule for finding in model.findings}
    assert model.devices[0].nodes[1].object("Beh") is not None


def test_a_dangling_enum_is_kept_as_an_integer(make_scl):
    attribute = leaf(make_scl(sps("<Val>3</Val>", b_type="Enum", extra='type="None"')))
    assert attribute.enum is None
    assert initial(attribute) == 3


def test_a_missing_lntype_leaves_an_empty_node(make_scl):
    data = make_scl().replace(b'lnType="LN"', b'lnType="absent"')
    model = expand(read_scl(data), "A")
    assert model.devices[0].nodes[1].objects == ()
    assert model.findings[0].rule == "type.dangling"


def test_nested_sub_data_objects(make_scl):
    types = '<DOType id="T" cdc="WYE"><SDO name="phsA" type="C"/></DOType>'
    types += '<DOType id="C" cdc="CMV"><SDO name="in" type="D"/></DOType>'
    types += '<DOType id="D" cdc="MV"><DA name="q" fc="MX" bType="Quality"/></DOType>'
    assert leaf(make_scl(types), "X.phsA.in.q").fc is FC.MX


def test_array_attributes_with_values_of_single_elements(make_scl):
    types = (
        '<DOType id="T" cdc="CSG"><DA name="a" fc="SP" bType="Struct" type="P" count="3"/></DOType>'
    )
    types += '<DAType id="P"><BDA name="xVal" bType="FLOAT32"/></DAType>'
    ln = '<DOI name="X"><SDI name="a" ix="2"><DAI name="xVal"><Val>1.5</Val></DAI></SDI></DOI>'
    array = expand(read_scl(make_scl(types, ln)), "A").devices[0].nodes[1].objects[1].attributes[0]
    assert array.count == 3
    assert [index for index, _ in array.elements] == [2]
    assert initial(array.elements[0][1].children[0]) == 1.5
    assert array.children[0].values == ()


def test_an_index_outside_the_array_is_reported(make_scl):
    types = (
        '<DOType id="T" cdc="CSG"><DA name="a" fc="SP" bType="Struct" type="P" count="2"/></DOType>'
    )
    types += '<DAType id="P"><BDA name="xVal" bType="FLOAT32"/></DAType>'
    ln = '<DOI name="X"><SDI name="a" ix="2"><DAI name="xVal"><Val>1</Val></DAI></SDI></DOI>'
    findings = expand(read_scl(make_scl(types, ln)), "A").findings
    assert [f.rule for f in findings] == ["instance.bad-index"]


def test_a_count_may_name_the_attribute_that_holds_it(make_scl):
    types = '<DOType id="T" cdc="CSG"><DA name="n" fc="CF" bType="INT16U"><Val>7</Val></DA>'
    types += '<DA name="a" fc="SP" bType="INT32" count="n"/></DOType>'
    assert leaf(make_scl(types), "X.a").count == 7


def test_a_sub_data_object_may_be_an_array(make_scl):
    types = '<DOType id="T" cdc="HMV"><SDO name="har" type="M" count="5"/></DOType>'
    types += '<DOType id="M" cdc="MV"><DA name="q" fc="MX" bType="Quality"/></DOType>'
    model = expand(read_scl(make_scl(types)), "A")
    assert model.devices[0].nodes[1].objects[1].sub_objects[0].count == 5


def test_fcda_index_picks_one_element(make_scl):
    types = '<DOType id="T" cdc="HMV"><SDO name="har" type="M" count="5"/></DOType>'
    types += '<DOType id="M" cdc="MV"><DA name="q" fc="MX" bType="Quality"/></DOType>'
    fcda = '<FCDA ldInst="LD" lnClass="GGIO" lnInst="1" doName="X.har" daName="q" fc="MX" ix="3"/>'
    model = expand(read_scl(make_scl(types, ln0=f'<DataSet name="d">{fcda}</DataSet>')), "A")
    member = model.devices[0].nodes[0].data_sets[0].members[0]
    assert member.ix == 3
    assert [str(reference) for reference, _ in member.leaves] == ["ALD/GGIO1.X.har(3).q[MX]"]


def test_val_kind_and_short_address_of_the_ied_replace_those_of_the_type(make_scl):
    types = sps(extra='valKind="Spec" sAddr="type"')
    ln = '<DOI name="X"><DAI name="stVal" valKind="RO" sAddr="12.3"/></DOI>'
    assert (leaf(make_scl(types)).val_kind, leaf(make_scl(types)).s_addr) == ("Spec", "type")
    attribute = leaf(make_scl(types, ln))
    assert (attribute.val_kind, attribute.s_addr) == ("RO", "12.3")


@pytest.mark.parametrize(
    "ln",
    [
        '<DOI name="Absent"/>',
        '<DOI name="X"><DAI name="absent"/></DOI>',
        '<DOI name="X"><SDI name="absent"><DAI name="f"/></SDI></DOI>',
    ],
)
def test_a_path_that_is_not_in_the_type_is_reported_and_skipped(make_scl, ln):
    model = expand(read_scl(make_scl(ln=ln)), "A")
    assert [f.rule for f in model.findings] == ["instance.not-in-type"]
    assert model.findings[0].line > 0


def test_a_device_without_lln0_is_expanded(make_scl):
    data = make_scl().replace(b'<LN0 lnClass="LLN0" inst="" lnType="LLN0"></LN0>', b"")
    assert [node.name for node in expand(read_scl(data), "A").devices[0].nodes] == ["GGIO1"]


def test_ld_name_replaces_ied_name_and_instance(make_scl):
    data = make_scl().replace(b'<LDevice inst="LD">', b'<LDevice inst="LD" ldName="Plant">')
    assert expand(read_scl(data), "A").devices[0].name == "Plant"


def test_server_at_shows_the_other_access_points_devices(make_scl):
    data = make_scl().replace(
        b"</IED>", b'<AccessPoint name="Q"><ServerAt apName="P"/></AccessPoint></IED>'
    )
    scl = read_scl(data)
    assert [d.inst for d in expand(scl, "A", "Q").devices] == ["LD"]
    assert [d.inst for d in expand(scl, "A").devices] == ["LD"]


def test_services_of_the_access_point_replace_those_of_the_ied(make_scl):
    own = b'<Services><GOOSE max="7"/></Services></AccessPoint>'
    data = make_scl(ied='<Services><GOOSE max="1"/></Services>')
    goose = [s for s in expand(read_scl(data), "A").services if s.name == "GOOSE"]
    assert goose[0].attributes["max"] == "1"
    model = expand(read_scl(data.replace(b"</AccessPoint>", own)), "A", "P")
    assert next(s for s in model.services if s.name == "GOOSE").attributes["max"] == "7"


def test_control_blocks_and_data_sets_outside_lln0(make_scl):
    fcda = '<FCDA ldInst="LD" lnClass="GGIO" lnInst="1" doName="X" fc="ST"/>'
    ln = f'<DataSet name="d">{fcda}</DataSet>'
    ln += '<ReportControl name="r" datSet="d" confRev="1"><RptEnabled max="3"/></ReportControl>'
    node = expand(read_scl(make_scl(ln=ln)), "A").devices[0].nodes[1]
    assert node.reports[0].data_set is node.data_sets[0]
    assert node.reports[0].control.instance_names == ("r01", "r02", "r03")


def test_report_instances_without_index_share_one_name(make_scl):
    ln = '<ReportControl name="r" confRev="1" indexed="false"><RptEnabled max="3"/></ReportControl>'
    control = read_scl(make_scl(ln=ln)).ieds[0].devices()[0].nodes[1].report_controls[0]
    assert control.instance_names == ("r",)


def test_an_empty_report_id_means_that_the_server_makes_one(make_scl):
    ln = '<ReportControl name="r" rptID="" confRev="1"/>'
    control = read_scl(make_scl(ln=ln)).ieds[0].devices()[0].nodes[1].report_controls[0]
    assert control.rpt_id is None


def test_a_block_without_or_with_an_unknown_data_set_stays(make_scl):
    ln0 = '<GSEControl name="g" appID="g"/><GSEControl name="h" datSet="absent" appID="h"/>'
    gooses = expand(read_scl(make_scl(ln0=ln0)), "A").devices[0].nodes[0].gooses
    assert [(g.control.name, g.data_set) for g in gooses] == [("g", None), ("h", None)]


@pytest.mark.parametrize(
    ("old", "b_type"),
    [("VISIBLE-STRING255", BasicType.VIS_STRING_255), ("VisString65", BasicType.VIS_STRING_65)],
)
def test_names_of_basic_types_that_old_tools_write(make_scl, old, b_type):
    assert leaf(make_scl(sps(b_type=old))).b_type is b_type


def test_an_fcda_without_a_data_object_means_every_object_with_its_constraint(make_scl):
    ln0 = '<DataSet name="d"><FCDA ldInst="LD" lnClass="GGIO" lnInst="1" fc="ST"/></DataSet>'
    members = expand(read_scl(make_scl(ln0=ln0)), "A").devices[0].nodes[0].data_sets[0].members
    assert [m.reference.data_object for m in members] == ["Beh", "X"]


def test_a_dotted_attribute_name_in_an_fcda(make_scl):
    types = '<DOType id="T" cdc="MV"><DA name="mag" fc="MX" bType="Struct" type="V"/></DOType>'
    types += '<DAType id="V"><BDA name="f" bType="FLOAT32"/></DAType>'
    fcda = '<FCDA ldInst="LD" lnClass="GGIO" lnInst="1" doName="X" daName="mag.f" fc="MX"/>'
    data_set = (
        expand(read_scl(make_scl(types, ln0=f'<DataSet name="d">{fcda}</DataSet>')), "A")
        .devices[0]
        .nodes[0]
        .data_sets[0]
    )
    assert str(data_set.members[0].leaves[0][0]) == "ALD/GGIO1.X.mag.f[MX]"
