"""Reading: editions, encodings, namespaces, and every section into records."""

import codecs

import pytest

from agent.errors import SclError
from agent.scl import read_scl

NS = "http://www.iec.ch/61850/2003/SCL"


def one_liner(root="", body="", namespace=NS):
    return f'<SCL xmlns="{namespace}" {root}><Header id="é€"/>{body}</SCL>'


@pytest.mark.parametrize(
    ("root", "edition"),
    [
        ("", "1"),
        ('version="2007" revision="A"', "2007A"),
        ('version="2007" revision="B"', "2007B"),
        ('version="2007" revision="B" release="4"', "2007B4"),
    ],
)
def test_every_edition_is_read(root, edition):
    assert read_scl(one_liner(root).encode()).edition == edition


@pytest.mark.parametrize(
    "data",
    [
        one_liner().encode(),
        codecs.BOM_UTF8 + one_liner().encode(),
        ("<?xml version='1.0' encoding='utf8'?>" + one_liner()).encode(),
        ('<?xml version="1.0" encoding="UTF-16"?>\n' + one_liner()).encode("utf-16"),
        ('<?xml version="1.0" encoding="UTF-16"?>' + one_liner()).encode("utf-16-be"),
        one_liner().encode("utf-16-le"),
        ("<?xml version='1.0' encoding='windows-1252'?>" + one_liner()).encode("cp1252"),
        ("<?xml version='1.0'?><!-- c --><?pi x?>\n" + one_liner()).encode(),
    ],
    ids=["utf8", "bom", "utf8-name", "utf16-bom", "utf16be", "utf16le", "cp1252", "prolog"],
)
def test_every_encoding_is_read(data):
    header = read_scl(data).header
    assert header is not None
    assert header.id == "é€"


def test_lines_hold_in_utf_16():
    data = (
        '<?xml version="1.0"\nencoding="UTF-16"?>\n' + one_liner(body="\n<IED name='A'/>")
    ).encode("utf-16")
    assert read_scl(data).ieds[0].line == 4


def test_attributes_of_later_editions_are_no_reason_to_complain():
    text = (
        f'<SCL xmlns="{NS}" xmlns:n="http://example.org/nsd" version="2007" revision="C">'
        '<Header id="h" nsdUri="https://example.org/61850-7-4.nsd"/>'
        '<IED name="A" nsdUri="urn:x" n:nsdUri="urn:y"/></SCL>'
    )
    scl = read_scl(text.encode())
    assert [ied.name for ied in scl.ieds] == ["A"]
    assert not [finding for finding in scl.findings if finding.severity == "error"]


def test_the_namespace_of_2006_is_understood_with_a_warning():
    scl = read_scl(one_liner(namespace="http://www.iec.ch/61850/2006/SCL").encode())
    assert scl.header is not None
    assert [finding.rule for finding in scl.findings] == ["read.namespace"]


def test_a_prefixed_scl_namespace_is_read():
    text = f'<s:SCL xmlns:s="{NS}"><s:Header id="x"/><s:IED name="A"/></s:SCL>'
    scl = read_scl(text.encode())
    assert [ied.name for ied in scl.ieds] == ["A"]


def test_foreign_elements_are_skipped_and_unbound_prefixes_bound():
    body = '<IED name="A"><sxy:thing sxy:x="1"/></IED><Private type="p"><eT-1.x:y/></Private>'
    scl = read_scl(one_liner(body=body).encode())
    assert [ied.name for ied in scl.ieds] == ["A"]
    assert sorted(finding.rule for finding in scl.findings) == ["read.unbound-prefix"] * 2


def test_privates_are_kept_verbatim_with_their_namespaces():
    body = '<Private type="own" xmlns:o="urn:o"><o:a b="1">text</o:a></Private>'
    scl = read_scl(one_liner(body=body).encode())
    assert scl.privates[0].type == "own"
    assert b'<o:a b="1">text</o:a>' in scl.privates[0].xml
    assert b'xmlns:o="urn:o"' in scl.privates[0].xml


def test_elements_inside_a_private_are_not_the_files_own():
    body = '<Private type="p"><IED name="hidden"/></Private><IED name="A"/>'
    assert [ied.name for ied in read_scl(one_liner(body=body).encode()).ieds] == ["A"]


def test_communication_with_addresses_times_and_units(station):
    scl = read_scl(station)
    connected = {(c.ied_name, c.ap_name): c for net in scl.subnetworks for c in net.connected}
    gse = connected["BAY1", "P1"].gse[0]
    assert gse.address.get("MAC-Address") == "01-0C-CD-01-00-01"
    assert (gse.min_time_ms, gse.max_time_ms) == (4, 1000)
    assert connected["V2G1", "S1"].address.get("IP") == "192.0.2.11"


@pytest.mark.parametrize(
    ("duration", "expected_ms"),
    [
        ('<MinTime unit="s" multiplier="m">4</MinTime>', 4),
        ("<MinTime>10</MinTime>", 10),
        ('<MinTime unit="s" multiplier="">2</MinTime>', 2000),
        ('<MinTime unit="s" multiplier="m">8.4</MinTime>', 8),
        ("<MinTime/>", None),
    ],
)
def test_min_time_in_milliseconds(duration, expected_ms):
    gse = f'<GSE ldInst="L" cbName="c"><Address/>{duration}</GSE>'
    body = f'<Communication><SubNetwork name="n"><ConnectedAP iedName="A" apName="P">{gse}'
    body += "</ConnectedAP></SubNetwork></Communication>"
    scl = read_scl(one_liner(body=body).encode())
    assert scl.subnetworks[0].connected[0].gse[0].min_time_ms == expected_ms


def test_plant_is_read_to_its_equipment(station):
    bay = read_scl(station).plant[0].children[0].children[0]
    assert bay.nodes[0].ln_class == "MMXU"
    assert bay.children[0].nodes[0].ied_name == "BAY1"


def test_history_of_the_header():
    item = '<Hitem version="1" revision="2" when="w" who="x" what="y" why="z"/>'
    text = f'<SCL xmlns="{NS}"><Header id="h"><History>{item}</History></Header></SCL>'
    header = read_scl(text.encode()).header
    assert header is not None
    assert (header.history[0].revision, header.history[0].why) == ("2", "z")


def test_an_outline_reads_what_subscribers_need_and_says_so(station):
    scl = read_scl(station, ieds={"V2G1"})
    assert [ied.complete for ied in scl.ieds] == [False, False, True, False]
    bay = scl.ied("BAY1")
    assert bay is not None
    ln0 = bay.devices()[0].ln0
    assert ln0 is not None and ln0.gse_controls and ln0.data_sets
    assert bay.services is None


def test_paths_and_bytes_read_the_same(tmp_path, station):
    path = tmp_path / "station.scd"
    path.write_bytes(station)
    assert read_scl(path).ieds == read_scl(str(path)).ieds == read_scl(station).ieds


def test_line_numbers_beyond_65535():
    body = "\n" * 70_000 + '<IED name="A">\n<Services/>\n</IED>'
    assert read_scl(one_liner(body=body).encode()).ieds[0].line in (70_001, 70_002)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"hello", "not well-formed"),
        (b"<SCL", "not well-formed"),
        (b"<html/>", "not SCL"),
        (b"\x00\x01\x02", "not well-formed"),
        (b"<SCL><IED></SCL>", "not well-formed"),
        (b"<!-- " + b"x" * (1 << 20), "no root element"),
        ("<SCL/>".encode("utf-16")[:-1], "UTF-16"),
    ],
)
def test_what_is_not_scl_is_refused_with_a_reason(data, what):
    with pytest.raises(SclError, match=what):
        read_scl(data)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(SclError, match=r"absent\.scd: cannot be read"):
        read_scl(tmp_path / "absent.scd")


def test_a_syntax_error_names_the_line():
    with pytest.raises(SclError, match="<bytes>:3: not well-formed"):
        read_scl(b"<SCL>\n<IED>\n</SCL>")
