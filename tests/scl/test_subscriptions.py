"""ExtRefs of every edition resolved to streams (Edition 1, 2, later binding)."""

import re

import pytest

from agent.errors import SclError
from agent.iec61850 import BasicType
from agent.scl import read_scl, subscriptions


@pytest.fixture(scope="module")
def found(station):
    return subscriptions(read_scl(station, ieds={"V2G1"}), "V2G1")


def stream(found, kind):
    return next(s.stream for s in found.streams if s.stream.kind == kind)


def test_everything_is_resolved(found):
    assert [s.stream.kind for s in found.streams] == ["SMV", "GOOSE"]
    assert not found.findings and not found.unbound and not found.polled


def test_sampled_values_need_nothing_beyond_the_scd(found):
    sv = stream(found, "SMV")
    assert (sv.id, sv.conf_rev, sv.smp_rate, sv.smp_mod, sv.nof_asdu) == (
        "MU01",
        1,
        80,
        "SmpPerPeriod",
        1,
    )
    assert sv.address.mac == bytes.fromhex("010ccd040001")
    assert (sv.address.app_id, sv.address.vlan_id, sv.address.vlan_priority) == (0x4000, 10, 4)
    assert [v.b_type for v in sv.values] == [BasicType.INT32, BasicType.QUALITY] * 8
    assert [v.scale_factor for v in sv.values[::2]] == [0.001] * 4 + [0.01] * 4
    assert [v.unit for v in sv.values[::2]] == [5] * 4 + [29] * 4


def test_goose_needs_nothing_beyond_the_scd(found):
    goose = stream(found, "GOOSE")
    assert goose.cb_reference == "BAY1LD0/LLN0$GO$gcbMeasurements"
    assert goose.data_set == "BAY1LD0/LLN0$Measurements"
    assert goose.id == "BAY1/gcbMeasurements"
    assert (goose.address.min_time_ms, goose.address.max_time_ms) == (4, 1000)
    assert [v.reference.path[-1] for v in goose.values] == ["f", "q", "t", "stVal", "q", "t"]


def test_every_input_knows_its_value(found):
    inputs = {
        binding.ext_ref.int_addr: str(value.reference)
        for subscription in found.streams
        for binding, value in subscription.values()
    }
    assert inputs["goose.Hz.value"] == "BAY1LD0/MMXU1.Hz.mag.f[MX]"
    assert inputs["sv.U1.i"] == "MU1MU01/U01ATVTR1.VolSv.instMag.i[MX]"
    assert len(inputs) == 22


def test_outlines_of_publishers_are_as_good_as_the_whole_file(station, found):
    assert subscriptions(read_scl(station), "V2G1") == found


def strip(data, *names):
    for name in names:
        data = re.sub(rb' %s="[^"]*"(?=[^<]*/>)' % name, b"", data)
    return data


def extrefs(data, change):
    """The file with every ExtRef of V2G1 changed."""
    return re.sub(rb"<ExtRef [^>]*/>", lambda match: change(match[0]), data)


def test_edition_1_references_find_the_block_that_carries_the_data(station, found):
    bare = extrefs(station, lambda e: strip(e, b"serviceType", b"srcLNClass", b"srcCBName"))
    assert b"srcCBName" not in bare
    resolved = subscriptions(read_scl(bare), "V2G1")
    assert [s.stream.cb_reference for s in resolved.streams] == [
        s.stream.cb_reference for s in found.streams
    ]
    assert [b.indexes for s in resolved.streams for b in s.bindings] == [
        b.indexes for s in found.streams for b in s.bindings
    ]


def test_inputs_that_nobody_bound_are_listed(station):
    names = (b"iedName", b"ldInst", b"prefix", b"lnClass", b"lnInst", b"doName", b"daName")
    unbound = extrefs(station, lambda e: strip(e, *names, b"srcCBName"))
    resolved = subscriptions(read_scl(unbound), "V2G1")
    assert not resolved.streams
    assert len(resolved.unbound) == 22


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (b'iedName="BAY1"', b'iedName="GONE"', "extref.no-ied"),
        (b'srcCBName="gcbMeasurements"', b'srcCBName="gone"', "extref.no-block"),
        (b'doName="Hz" daName="mag.f"', b'doName="Hz" daName="gone"', "extref.not-member"),
    ],
)
def test_what_cannot_be_resolved_is_said_with_its_line(station, old, new, rule):
    broken = extrefs(station, lambda e: e.replace(old, new))
    findings = subscriptions(read_scl(broken), "V2G1").findings
    assert {f.rule for f in findings} == {rule}
    assert all(f.line and f.hint for f in findings)


def test_reports_are_polled_not_subscribed_to(station):
    polled = extrefs(station, lambda e: e.replace(b'serviceType="GOOSE"', b'serviceType="Report"'))
    resolved = subscriptions(read_scl(polled), "V2G1")
    assert [s.stream.kind for s in resolved.streams] == ["SMV"]
    assert len(resolved.polled) == 6


def test_a_stream_without_a_usable_address_has_none(station):
    broken = station.replace(b"01-0C-CD-01-00-01", b"nonsense")
    assert stream(subscriptions(read_scl(broken), "V2G1"), "GOOSE").address is None


def test_a_dangling_member_makes_the_layout_unknown(station):
    broken = station.replace(b'doName="Pos" daName="t" fc="ST"', b'doName="Pos" daName="x" fc="ST"')
    goose = stream(subscriptions(read_scl(broken), "V2G1"), "GOOSE")
    assert not goose.complete and goose.members == 6


def test_an_outline_has_no_subscriptions(station):
    with pytest.raises(SclError, match="only the outline"):
        subscriptions(read_scl(station, ieds={"V2G1"}), "BAY1")
