"""Facts of the namespaces: spot values of the standards, and that the data hangs together."""

import pytest

from agent.iec61850 import FC, BasicType, namespaces
from agent.iec61850.basic_types import basic_type

CLASSES = ("LLN0", "LPHD", "MMXU", "DSTO", "DWGC", "DHFW", "DEEV", "DESE")


def test_der_unit_13_is_vehicle_to_grid():
    enum = namespaces.enumeration("DERUnitKind")
    assert enum is not None and enum[13] == "Vehicle-to-Grid (V2G)"


@pytest.mark.parametrize(
    ("name", "do", "cdc", "presence"),
    [
        ("MMXU", "Hz", "MV", "O"),
        ("MMXU", "Beh", "ENS", "M"),
        ("DSTO", "DERTyp", "ENG", "M"),
        ("DWGC", "ReqW", "MV", "M"),
        ("LPHD", "Proxy", "SPS", "M"),
    ],
)
def test_objects_of_classes(name, do, cdc, presence):
    fact = namespaces.object_fact(name, do)
    assert fact is not None
    assert (fact.cdc, fact.presence) == (cdc, presence)


def test_a_number_is_allowed_only_for_multiple_objects():
    assert namespaces.object_fact("GGIO", "Ind12") is not None
    assert namespaces.object_fact("MMXU", "Hz2") is None


def test_apc_is_controlled_by_an_analogue_value():
    apc = namespaces.cdc("APC")
    assert apc is not None
    assert apc.ctl_val == ("AnalogueValueCtl", "C")
    assert apc.attributes["ctlModel"].fc == "CF"


def test_settings_have_a_variant_for_each_constraint():
    for fc in ("SP", "SG", "SE"):
        asg = namespaces.cdc("ASG", fc)
        assert asg is not None
        assert asg.attributes["setMag"].fc == fc


@pytest.mark.parametrize("name", CLASSES)
def test_every_object_of_a_class_has_a_known_cdc_and_enumeration(name):
    fact = namespaces.ln_class(name)
    assert fact is not None
    for do, known in fact.objects.items():
        assert namespaces.cdc(known.cdc) is not None, do
        if known.cdc in ("ENS", "ENC", "ENG") and known.type:
            assert namespaces.enumeration(known.type) is not None, (do, known.type)


def test_every_attribute_type_is_known():
    loaded = namespaces._cdcs()
    for name, cdc in loaded.cdc.items():
        for attribute, fact in cdc.attributes.items():
            assert fact.fc in FC.__members__, (name, attribute)
            if fact.kind == "C":
                assert namespaces.constructed(fact.type), (name, attribute)
            elif fact.kind == "B" and fact.type and fact.fc != "SR":
                assert basic_type(fact.type) in BasicType, (name, attribute, fact.type)


def test_control_structures_end_with_their_service_parameters():
    assert [m[0] for m in namespaces.control_structure("Oper")][-3:] == ["T", "Test", "Check"]
    assert [m[0] for m in namespaces.control_structure("Cancel")][-1] == "Test"
