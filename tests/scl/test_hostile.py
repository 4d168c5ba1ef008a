"""Hostile input: refused or reported within bounds of time and memory, never a crash."""

import random
import resource
import time

import pytest

from agent.errors import SclError
from agent.scl import expand, read_scl, subscriptions
from agent.scl.check import check
from agent.scl.limits import Limits

NS = "http://www.iec.ch/61850/2003/SCL"
XXE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    "prolog",
    [XXE, LAUGHS, "<!DOCTYPE SCL>", "<!-- c -->\n<?p i?>" + XXE, "<?xml version='1.0'?>" + LAUGHS],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_doctype_is_refused(prolog, encoding):
    text = f'{prolog}<SCL xmlns="{NS}"><Header id="x"/></SCL>'
    with pytest.raises(SclError, match="DOCTYPE"):
        read_scl(text.encode(encoding))


def test_a_doctype_in_an_encoding_that_hides_it_is_refused():
    text = f"<?xml version='1.0' encoding='cp037'?><!DOCTYPE SCL><SCL xmlns=\"{NS}\"/>"
    with pytest.raises(SclError):
        read_scl(text.encode("cp037"))


def test_depth_is_limited():
    body = "<IED name='A'>" + "<x>" * 80 + "</x>" * 80 + "</IED>"
    with pytest.raises(
        SclError, match=r"IED\[A\]: elements are nested deeper than the limit of 64"
    ):
        read_scl(f'<SCL xmlns="{NS}">{body}</SCL>'.encode())


def test_depth_can_be_configured():
    body = "<IED name='A'>" + "<x>" * 80 + "</x>" * 80 + "</IED>"
    data = f'<SCL xmlns="{NS}">{body}</SCL>'.encode()
    assert read_scl(data, limits=Limits(max_depth=100)).ieds


def test_attributes_are_limited():
    attributes = " ".join(f'a{n}="1"' for n in range(70))
    with pytest.raises(SclError, match="more attributes than the limit of 64"):
        read_scl(f'<SCL xmlns="{NS}"><IED name="A"><x {attributes}/></IED></SCL>'.encode())


def test_size_is_limited(tmp_path):
    path = tmp_path / "big.scd"
    path.write_bytes(b" " * 2000)
    with pytest.raises(SclError, match="2000 bytes, more than the limit of 1000"):
        read_scl(path, limits=Limits(max_bytes=1000))


def test_recursive_types_are_named(make_scl):
    types = '<DOType id="T" cdc="WYE"><SDO name="a" type="B"/></DOType>'
    types += '<DOType id="B" cdc="WYE"><SDO name="b" type="T"/></DOType>'
    findings = expand(read_scl(make_scl(types)), "A").findings
    assert [f.what for f in findings if f.rule == "type.recursive"] == [
        "the type contains itself: DOType[T] → DOType[B] → DOType[T]"
    ]


def test_recursive_structures_are_named(make_scl):
    types = '<DOType id="T" cdc="MV"><DA name="a" fc="MX" bType="Struct" type="S"/></DOType>'
    types += '<DAType id="S"><BDA name="s" bType="Struct" type="S"/></DAType>'
    findings = expand(read_scl(make_scl(types)), "A").findings
    assert [f.rule for f in findings] == ["type.recursive"]


def test_types_that_multiply_are_refused_before_they_fill_the_memory(make_scl):
    """Twenty levels of ten sub data objects: 10**20 nodes."""
    types = "".join(
        f'<DOType id="{"T" if n == 0 else f"T{n}"}" cdc="WYE">'
        + "".join(f'<SDO name="s{k}" type="T{n + 1}"/>' for k in range(10))
        + "</DOType>"
        for n in range(20)
    )
    types += '<DOType id="T20" cdc="SPS"><DA name="stVal" fc="ST" bType="BOOLEAN"/></DOType>'
    with pytest.raises(SclError, match="more than the limit of 2000000"):
        expand(read_scl(make_scl(types)), "A")
    assert any(f.rule == "model.too-large" for f in check(read_scl(make_scl(types))))


def test_a_huge_array_costs_nothing(make_scl):
    types = (
        '<DOType id="T" cdc="HMV"><DA name="a" fc="MX" bType="INT32" count="999999999"/></DOType>'
    )
    model = expand(read_scl(make_scl(types)), "A")
    assert model.devices[0].nodes[1].objects[1].attributes[0].count == 999_999_999


def test_a_million_report_instances_are_cut_and_reported(make_scl):
    block = '<ReportControl name="r" confRev="1"><RptEnabled max="1000000"/></ReportControl>'
    scl = read_scl(make_scl(ln=block))
    control = scl.ieds[0].devices()[0].nodes[1].report_controls[0]
    assert len(control.instance_names) == 999
    assert [f.rule for f in scl.findings] == ["report.instances"]


def test_numbers_with_thousands_of_digits_are_no_numbers(make_scl):
    block = f'<ReportControl name="r" confRev="{"9" * 5000}"/>'
    scl = read_scl(make_scl(ln=block))
    assert [f.rule for f in scl.findings] == ["read.bad-integer"]


_ALPHABET = b"<>\"'=/& \x00\xff0A\n"
_TOKENS = (
    b"<IED>",
    b'type="T"',
    b"</LN>",
    b"<SDO name='a' type='A'/>",
    b"999999999999",
    b"-1",
    b"",
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, doubles and moves pieces; swaps attribute values within the file."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(content))
        kind = rng.randrange(6)
        length = rng.randint(1, 400)
        if kind == 0:
            content[at] = rng.choice(_ALPHABET)
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = content[at : at + length]
        elif kind == 3:
            content[at:at] = rng.choice(_TOKENS)
        else:
            _swap_values(content, rng)
        if not content:
            return b""
    return bytes(content)


def _swap_values(content: bytearray, rng: random.Random) -> None:
    """Put one quoted value where another was: well-formed, but wrong."""
    spans = []
    for _ in range(2):
        start = content.find(b'="', rng.randrange(len(content)))
        end = content.find(b'"', start + 2)
        if start < 0 or end < 0:
            return
        spans.append((start + 2, end))
    (a, b), (c, d) = spans
    content[a:b] = content[c:d]


def use(data: bytes) -> None:
    """What the agent does with a file."""
    try:
        scl = read_scl(data)
        check(scl)
        for ied in scl.ieds:
            expand(scl, ied.name)
            subscriptions(scl, ied.name)
    except SclError:
        pass


def small_station(station: bytes) -> bytes:
    """The station with one gateway: half the size, the same constructs."""
    first = station.index(b'<IED name="V2G2"')
    return station[:first] + station[station.index(b"</IED>", first) + 6 :]


def fuzz(station: bytes, seed: int, files: int) -> tuple[float, int]:
    """Slowest file in CPU seconds and growth of the peak memory in MB."""
    rng = random.Random(seed)
    base = small_station(station)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest_s = 0.0
    for _ in range(files):
        data = mutate(base, rng)
        start_s = time.process_time()
        use(data)
        slowest_s = max(slowest_s, time.process_time() - start_s)
    after_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return slowest_s, (after_kb - before_kb) // 1024


def test_mutated_files_are_refused_or_read(station):
    _, growth_mb = fuzz(station, seed=61850, files=60)
    assert growth_mb < 256


@pytest.mark.soak
def test_ten_thousand_mutated_files(station, record_property):
    """A file must be refused or used within a second of one core."""
    slowest_s, growth_mb = fuzz(station, seed=7, files=10_000)
    record_property("files", 10_000)
    record_property("slowest, s", round(slowest_s, 2))
    record_property("growth, MB", growth_mb)
    assert growth_mb < 256
    assert slowest_s < 1.0
