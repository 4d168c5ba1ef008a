"""Sources of SCL for the tests: our sample station, small files made on the spot, the corpus."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.scl.export.sample import sample_station
from agent.scl.write import write_scl

NS = "http://www.iec.ch/61850/2003/SCL"


def corpus_files() -> list[Path]:
    """Files of the folder that SCL_CORPUS names; its `files` folder where it has one."""
    name = os.environ.get("SCL_CORPUS", "")
    if not name or not Path(name).is_dir():
        return []
    root = Path(name)
    root = root / "files" if (root / "files").is_dir() else root
    return sorted(path for path in root.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    files = corpus_files()
    if not files:
        pytest.skip("SCL_CORPUS names no folder with SCL files: the corpus tests did NOT run")
    return files


@pytest.fixture(scope="session")
def schema_dir() -> Path:
    """The XML schema of IEC 61850-6: SCL_SCHEMA, or the folder `scl-xsd` beside the corpus."""
    corpus_dir = os.environ.get("SCL_CORPUS", "")
    named = os.environ.get("SCL_SCHEMA", "")
    folder = Path(named) if named else Path(corpus_dir).parent / "scl-xsd"
    if not (named or corpus_dir) or not (folder / "SCL.xsd").is_file():
        pytest.skip("SCL_SCHEMA names no folder with SCL.xsd: schema tests did NOT run")
    return folder


@pytest.fixture(scope="session")
def station() -> bytes:
    """The sample station as XML."""
    return write_scl(sample_station())


DEFAULT_TYPES = """
<LNodeType id="LLN0" lnClass="LLN0"><DO name="Beh" type="ENS"/></LNodeType>
<LNodeType id="LN" lnClass="GGIO"><DO name="Beh" type="ENS"/><DO name="X" type="T"/></LNodeType>
<DOType id="ENS" cdc="ENS"><DA name="stVal" fc="ST" bType="Enum" type="E" dchg="true"/>
<DA name="q" fc="ST" bType="Quality" qchg="true"/><DA name="t" fc="ST" bType="Timestamp"/></DOType>
<EnumType id="E"><EnumVal ord="1">on</EnumVal><EnumVal ord="-5">own</EnumVal></EnumType>
"""


@pytest.fixture(scope="session")
def make_scl() -> Callable[..., bytes]:
    """Make a file with one IED ``A``, device ``LD``, LLN0 and GGIO1 (type ``LN``, object ``X``).

    Arguments: ``types`` are added to the templates and must define DOType ``T``; ``ln0`` and
    ``ln`` go into the nodes; ``head`` before the IED; ``root`` are attributes of SCL.
    """

    def make(
        types: str = '<DOType id="T" cdc="SPS"><DA name="stVal" fc="ST" bType="BOOLEAN"/></DOType>',
        ln: str = "",
        ln0: str = "",
        head: str = "",
        root: str = 'version="2007" revision="B" release="4"',
        ied: str = "",
    ) -> bytes:
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<SCL xmlns="{NS}" {root}><Header id="t"/>{head}
<IED name="A">{ied}<AccessPoint name="P"><Server><Authentication/><LDevice inst="LD">
<LN0 lnClass="LLN0" inst="" lnType="LLN0">{ln0}</LN0>
<LN lnClass="GGIO" inst="1" lnType="LN">{ln}</LN>
</LDevice></Server></AccessPoint></IED>
<DataTypeTemplates>{DEFAULT_TYPES}{types}</DataTypeTemplates></SCL>""".encode()

    return make
