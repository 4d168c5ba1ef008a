"""Expansion of the sample station: a live model complete enough to serve."""

import pytest

from agent.errors import SclError
from agent.iec61850 import FC, BasicType, ObjectReference
from agent.scl import DataAttribute, DataObject, expand, initial, read_scl


@pytest.fixture(scope="module")
def model(station):
    return expand(read_scl(station, ieds={"V2G1"}), "V2G1")


def find(model, text):
    return model.find(ObjectReference.parse(text))


def test_logical_devices_are_the_site_and_its_evses(model):
    names = [device.name for device in model.devices]
    assert names == ["V2G1LD0", "V2G1EVSE1", "V2G1EVSE2", "V2G1EVSE3", "V2G1EVSE4"]
    assert not model.findings


def test_an_attribute_has_type_constraint_and_triggers(model):
    value = find(model, "V2G1LD0/MMXU1.Hz.mag.f[MX]")
    assert isinstance(value, DataAttribute)
    assert (value.b_type, value.fc) == (BasicType.FLOAT32, FC.MX)
    quality = find(model, "V2G1LD0/MMXU1.Hz.q")
    assert isinstance(quality, DataAttribute)
    assert quality.qchg and not quality.dchg


def test_a_reference_with_another_constraint_finds_nothing(model):
    assert find(model, "V2G1LD0/MMXU1.Hz.mag.f[ST]") is None
    assert find(model, "V2G1LD0/MMXU1.Absent") is None
    assert find(model, "V2G1LD9/MMXU1.Hz") is None


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("V2G1LD0/DWGC1.WSpt.ctlModel[CF]", 4),
        ("V2G1EVSE1/DWGC1.WSpt.ctlModel[CF]", 4),
        ("V2G1EVSE1/DSTO1.DERTyp.setVal[SP]", 13),
        ("V2G1EVSE3/DSTO1.DschWMax.setMag.f[SP]", 50_000.0),
        ("V2G1LD0/LPHD1.Proxy.stVal[ST]", False),
        ("V2G1EVSE1/LPHD1.Proxy.stVal[ST]", True),
        ("V2G1EVSE1/DSTO1.NamPlt.lnNs[EX]", "IEC 61850-7-420:2019A4"),
        ("V2G1LD0/LGOS1.GoCBRef.setSrcRef[SP]", "BAY1LD0/LLN0.gcbMeasurements"),
        ("V2G1LD0/MMXU1.Hz.units.SIUnit[CF]", 33),
    ],
)
def test_initial_values(model, reference, value):
    assert initial(find(model, reference)) == value


def test_an_apc_has_the_services_of_enhanced_select_before_operate(model):
    setpoint = find(model, "V2G1LD0/DWGC1.WSpt")
    assert isinstance(setpoint, DataObject)
    assert {"SBOw", "Oper", "Cancel"} <= {child.name for child in setpoint.children}
    value = find(model, "V2G1LD0/DWGC1.WSpt.Oper.ctlVal.f[CO]")
    assert isinstance(value, DataAttribute)
    assert value.b_type is BasicType.FLOAT32


def test_data_sets_resolve_to_leaves_in_order(model):
    ln0 = model.devices[0].nodes[0]
    measurements = next(d for d in ln0.data_sets if d.name == "Measurements")
    hz = next(m for m in measurements.members if m.reference.data_object == "Hz")
    assert [str(ref) for ref, _ in hz.leaves] == [
        "V2G1LD0/MMXU1.Hz.mag.f[MX]",
        "V2G1LD0/MMXU1.Hz.q[MX]",
        "V2G1LD0/MMXU1.Hz.t[MX]",
    ]


def test_reports_name_their_instances_and_data_set(model):
    reports = {r.control.name: r for r in model.devices[0].nodes[0].reports}
    brcb = reports["brcbMeasurements"]
    assert brcb.control.buffered
    assert brcb.control.instance_names[:2] == ("brcbMeasurements01", "brcbMeasurements02")
    assert brcb.data_set is not None and brcb.data_set.name == "Measurements"
    assert not reports["urcbMeasurements"].control.buffered


def test_equal_nodes_share_their_objects(model):
    first = model.devices[1].node("MMXU1")
    second = model.devices[2].node("MMXU1")
    assert first.object("PhV").children is second.object("PhV").children


def test_every_leaf_is_found_by_its_reference(model):
    leaves = list(model.leaves())
    assert len(leaves) > 3000
    for reference, leaf in leaves:
        assert model.find(reference) is leaf


def test_unknown_names_are_refused_with_what_is_known(station):
    scl = read_scl(station, ieds={"V2G1"})
    with pytest.raises(SclError, match=r"there is no IED 'X'.*known: MU1, BAY1, V2G1, V2G2"):
        expand(scl, "X")
    with pytest.raises(SclError, match="no access point 'Z'"):
        expand(scl, "V2G1", "Z")
    with pytest.raises(SclError, match="only the outline"):
        expand(scl, "BAY1")


def test_one_access_point_and_its_server_at(station):
    scl = read_scl(station)
    assert [d.inst for d in expand(scl, "V2G2", "P1").devices] == ["LD0", "EVSE1", "EVSE2"]
    connected = expand(scl, "V2G2", "S1")
    assert [c.ap_name for c in connected.connected] == ["S1"]
    assert connected.parameters["IP"] == "192.0.2.12"


def test_a_goose_block_has_its_address(station):
    block = expand(read_scl(station), "BAY1").devices[0].nodes[0].gooses[0]
    assert block.address is not None
    assert block.address.address.get("APPID") == "0001"
    assert str(block.reference) == "BAY1LD0/LLN0.gcbMeasurements[GO]"
