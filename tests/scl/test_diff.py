# ruff: noqa: E501 - a table of cases reads better in long lines
"""Semantic differences: what changed, not how it is written."""

import re

import pytest

from agent.scl import read_scl
from agent.scl.differ import ChangeKind, diff


@pytest.fixture(scope="module")
def before(station):
    return read_scl(station)


def changes(before, after):
    return [(c.kind, c.area, c.path) for c in diff(before, read_scl(after))]


def test_the_same_file_has_no_difference(before, station):
    assert diff(before, read_scl(station)) == ()


def test_layout_order_of_ieds_and_type_ids_do_not_matter(before, station):
    text = station.decode()
    renamed = text.replace('"MV_Hz"', '"other_id"').replace("\n", "\n\n  ")
    first = re.search(r'<IED name="MU1".*?</IED>', renamed, re.DOTALL)
    assert first is not None
    moved = renamed.replace(first[0], "").replace(
        "<DataTypeTemplates>", first[0] + "<DataTypeTemplates>"
    )
    assert diff(before, read_scl(moved.encode())) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'doName="HzRte" fc="MX"', b'doName="TotPF" fc="MX"',
         (ChangeKind.CHANGED, "dataset", "IED[V2G1]/LDevice[LD0]/LLN0/DataSet[Measurements]")),
        (b'smpRate="80"', b'smpRate="256"',
         (ChangeKind.CHANGED, "control", "IED[MU1]/LDevice[MU01]/LLN0/SampledValueControl[MSVCB01]/smp_rate")),
        (b'<P type="APPID">0001</P>', b'<P type="APPID">0002</P>',
         (ChangeKind.CHANGED, "communication", "SubNetwork[ProcessBus]/ConnectedAP[BAY1.P1]/GSE[LD0.gcbMeasurements]/APPID")),
        (b"<Val>sbo-with-enhanced-security</Val>", b"<Val>direct-with-enhanced-security</Val>",
         (ChangeKind.CHANGED, "model", "IED[V2G1]/LDevice[LD0]/DWGC1/WSpt/ctlModel/Val")),
        (b'iedName="BAY1" ldInst="LD0" lnClass="XCBR"', b'iedName="BAY2" ldInst="LD0" lnClass="XCBR"',
         (ChangeKind.CHANGED, "inputs", "IED[V2G1]/LDevice[LD0]/LLN0/ExtRef[goose.Pos.value]")),
        (b'<IED name="BAY1"', b'<IED name="BAY9"', (ChangeKind.REMOVED, "ied", "IED[BAY1]")),
        (b'<IED name="BAY1"', b'<IED name="BAY9"', (ChangeKind.ADDED, "ied", "IED[BAY9]")),
        (b'<DO name="HzRte" type="MV_Hz_per_s"/>', b"",
         (ChangeKind.REMOVED, "model", "IED[V2G1]/LDevice[LD0]/MMXU1/HzRte")),
        (b'<EnumVal ord="3">Alarm</EnumVal>', b'<EnumVal ord="3">Panic</EnumVal>',
         (ChangeKind.CHANGED, "model", "IED[V2G1]/LDevice[LD0]/LLN0/Health/stVal/EnumType")),
    ],
)  # fmt: skip
def test_a_change_is_named_with_its_area(before, station, old, new, expected):
    assert old in station
    assert expected in changes(before, station.replace(old, new))


def test_a_change_says_from_what_to_what(before, station):
    after = read_scl(station.replace(b'smpRate="80"', b'smpRate="256"'))
    assert "'80' → '256'" in str(diff(before, after)[0])
