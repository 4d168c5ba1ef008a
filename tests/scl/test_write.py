"""What is written is read again as the same records: the station, and every file of the corpus."""

import msgspec
import pytest

from agent.errors import SclError
from agent.scl import expand, read_scl
from agent.scl.write import write_scl


def without_lines(value):
    """The same records with every line number left out."""
    if isinstance(value, dict):
        return {k: without_lines(v) for k, v in value.items() if k not in ("line", "file")}
    if isinstance(value, list | tuple):
        return [without_lines(item) for item in value]
    return value


def comparable(scl):
    plain = without_lines(msgspec.to_builtins(scl))
    plain.pop("findings")
    return plain


def test_the_station_survives_a_round_trip(station):
    once = read_scl(station)
    assert comparable(read_scl(write_scl(once))) == comparable(once)


def test_privates_of_other_tools_survive(make_scl):
    private = '<Private type="own" xmlns:o="urn:o"><o:a>é</o:a></Private>'
    data = make_scl(ied=private, ln0=private, head="")
    again = read_scl(write_scl(read_scl(data))).ieds[0]
    assert again.privates[0].type == "own"
    assert "é".encode() in again.devices()[0].nodes[0].privates[0].xml


def test_every_control_block_of_every_kind_survives(make_scl):
    ln0 = (
        '<DataSet name="d"><FCDA ldInst="LD" lnClass="GGIO" lnInst="1" doName="X" fc="ST" ix="2"/>'
        '</DataSet><ReportControl name="r" datSet="d" intgPd="5" rptID="x" confRev="3"'
        ' buffered="true" bufTime="9" indexed="false"><TrgOps dchg="true" gi="false"/>'
        '<OptFields seqNum="true" bufOvfl="false"/><RptEnabled max="4">'
        '<ClientLN iedName="C" apRef="S" ldInst="L" prefix="p" lnClass="IHMI" lnInst="1"/>'
        '</RptEnabled></ReportControl><LogControl name="l" datSet="d" logName="" lnClass="GLOG"/>'
        '<GSEControl name="g" datSet="d" appID="a" fixedOffs="true"><IEDName>B</IEDName>'
        "</GSEControl>"
        '<SampledValueControl name="s" datSet="d" smvID="i" smpRate="96" nofASDU="2"'
        ' smpMod="SmpPerSec" multicast="false"><SmvOpts refreshTime="true"'
        ' sampleSynchronized="false"/></SampledValueControl>'
        '<SettingControl numOfSGs="3" actSG="2" resvTms="60"/>'
    )
    ln = (
        '<DOI name="X"><DAI name="stVal" valKind="RO" valImport="true" sAddr="s">'
        '<Val sGroup="2">1</Val></DAI></DOI><Inputs><ExtRef iedName="B" ldInst="L" lnClass="MMXU"'
        ' srcLDInst="" srcCBName="c" pDO="Hz" intAddr="x"/></Inputs>'
    )
    once = read_scl(make_scl(ln=ln, ln0=ln0))
    assert comparable(read_scl(write_scl(once))) == comparable(once)


@pytest.mark.corpus
def test_the_models_of_the_corpus_survive_a_round_trip(corpus):
    """The live models are the same; sections that we do not write are not compared."""
    for path in corpus[::3]:
        try:
            scl = read_scl(path)
        except SclError:
            continue
        again = read_scl(write_scl(scl))
        for ied in scl.ieds[:3]:
            before, after = expand(scl, ied.name), expand(again, ied.name)
            assert [str(r) for r, _ in before.leaves()] == [str(r) for r, _ in after.leaves()], path
