"""Our own description: valid, complete, made from parameters, equal to what is shipped."""

from pathlib import Path

import pytest

from agent.errors import SclError
from agent.iec61850 import ObjectReference
from agent.scl import Severity, expand, initial, read_scl
from agent.scl.check import check
from agent.scl.export import EvseDescription, GatewayDescription, export_icd, export_iid
from agent.scl.export.sample import STATION_EVSES, sample_station
from agent.scl.schema import validate
from agent.scl.write import write_scl

SHIPPED = Path(__file__).resolve().parents[2] / "scl"
GATEWAY = GatewayDescription(evses=STATION_EVSES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v2g-gateway.icd", lambda: export_icd(GATEWAY)),
        ("sample-station.scd", lambda: write_scl(sample_station())),
    ],
)
def test_what_is_shipped_is_what_is_exported(name, content):
    """After a change of the export: `v2g-scl export --icd --output scl/v2g-gateway.icd`."""
    assert (SHIPPED / name).read_bytes() == content()


@pytest.mark.parametrize("evses", [1, 2, 40])
@pytest.mark.parametrize("kind", ["ac", "dc"])
def test_an_icd_of_any_size_passes_every_rule(evses, kind):
    icd = export_icd(GatewayDescription(evses=(EvseDescription(kind=kind),) * evses))
    scl = read_scl(icd)
    assert scl.edition == "2007B4"
    assert check(scl) == ()
    assert len(expand(scl, "TEMPLATE").devices) == evses + 1


@pytest.mark.parametrize("name", ["v2g-gateway.icd", "sample-station.scd"])
def test_what_is_shipped_is_valid(schema_dir, name):
    assert validate(SHIPPED / name, schema_dir) == ()


def test_an_iid_is_valid(schema_dir):
    assert validate(export_iid(GATEWAY), schema_dir) == ()


def test_an_invalid_file_is_reported_by_the_schema_and_still_loads(schema_dir, station):
    broken = station.replace(b'<Header id="SampleStation"', b'<Header odd="1"')
    findings = validate(broken, schema_dir)
    assert {f.rule for f in findings} == {"schema.invalid"}
    assert findings[0].line == 3
    assert read_scl(broken).ieds


def test_a_folder_without_schema_is_refused(tmp_path, station):
    with pytest.raises(SclError, match=r"no SCL\.xsd"):
        validate(station, tmp_path)


def test_an_iid_has_name_address_and_current_values():
    gateway = GatewayDescription(
        evses=STATION_EVSES,
        ied_name="CarPark7",
        address={"IP": "10.1.2.3", "OSI-TSEL": "0001"},
        values={"EVSE2/DHFW1.HzStr.setMag.f": "50.2", "LD0/DPCC1.HzNom.setMag.f": "60"},
    )
    model = expand(read_scl(export_iid(gateway)), "CarPark7")
    assert model.parameters["IP"] == "10.1.2.3"
    for reference, value in (
        ("CarPark7EVSE2/DHFW1.HzStr.setMag.f", 50.2),
        ("CarPark7LD0/DPCC1.HzNom.setMag.f", 60.0),
    ):
        assert initial(model.find(ObjectReference.parse(reference))) == value


def test_an_icd_has_neither_name_nor_address_nor_current_values():
    values = {"LD0/DPCC1.HzNom.setMag.f": "60"}
    scl = read_scl(export_icd(GatewayDescription(STATION_EVSES, ied_name="X", values=values)))
    assert [ied.name for ied in scl.ieds] == ["TEMPLATE"]
    assert scl.subnetworks == ()
    reference = ObjectReference.parse("TEMPLATELD0/DPCC1.HzNom.setMag.f")
    assert initial(expand(scl, "TEMPLATE").find(reference)) == 50.0


def test_a_value_for_something_that_is_not_there_shows_in_the_check():
    gateway = GatewayDescription(STATION_EVSES, values={"LD0/MMXU1.Gone.setMag.f": "1"})
    rules = {f.rule for f in check(read_scl(export_iid(gateway)))}
    assert rules == {"instance.not-in-type"}


def test_each_kind_of_evse_has_its_outlet():
    scl = read_scl(export_icd(GATEWAY))
    nodes = [{n.name for n in d.nodes} for d in expand(scl, "TEMPLATE").devices[1:]]
    assert ["DEAO1" in names for names in nodes] == [True, True, False, False]
    assert ["DEDO1" in names for names in nodes] == [False, False, True, True]


def test_no_evse_is_refused():
    with pytest.raises(SclError, match="no EVSE"):
        export_icd(GatewayDescription(evses=()))


def test_the_profile_is_there_with_what_people_forget():
    model = expand(read_scl(export_icd(GATEWAY)), "TEMPLATE")
    station = model.devices[0]
    assert {"LLN0", "LPHD1", "LTMS1", "LGOS1", "LSVS1", "MMXU1", "DPCC1", "DWGC1"} <= {
        node.name for node in station.nodes
    }
    evse = model.devices[1]
    assert evse.node("DHFW1").object("SnptBarEna") is not None
    assert evse.node("DINV1").object("InvDCLosAlm") is not None
    assert {s.name for s in model.services} >= {"DynAssociation", "ReportSettings", "GetCBValues"}


def test_severity_of_our_own_files_is_never_more_than_a_note():
    findings = check(read_scl(SHIPPED / "sample-station.scd"))
    assert {f.severity for f in findings} <= {Severity.INFO}
