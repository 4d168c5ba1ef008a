"""`v2g-client mms`: readable and `--json`, against our own server as against any other."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli import mms
from agent.errors import ConfigurationError


@pytest.fixture
def tool(
    server: Any, station_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run the tool with a command line; returns exit code and stdout."""
    with server("open61850", station_file, tmp_path) as live:

        def run(*words: str) -> tuple[int, str]:
            parser = argparse.ArgumentParser()
            mms.add_parser(parser.add_subparsers())
            capsys.readouterr()
            line = ["mms", "127.0.0.1", "--port", str(live.port), *words]
            arguments = parser.parse_args(line)
            code = arguments.run(arguments)
            return code, capsys.readouterr().out

        yield run


def values(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_read_names_every_part_of_a_structure(tool: Any) -> None:
    code, out = tool("--json", "read", "V2G1LD0/MMXU1.Hz[MX]")
    (found,) = values(out)
    assert code == 0
    assert found["value"]["mag"]["f"] == 50.0
    assert found["value"]["q"] == "good"
    assert found["value"]["t"].startswith("20")


def test_read_for_people_is_indented(tool: Any) -> None:
    _, out = tool("read", "V2G1LD0/MMXU1.Hz[MX]")
    assert out.splitlines()[:3] == ["V2G1LD0/MMXU1.Hz[MX]", "  mag", "    f = 50.0"]


def test_what_cannot_be_read_is_named_and_the_exit_code_says_so(tool: Any) -> None:
    code, out = tool("--json", "read", "V2G1LD0/MMXU1.Nope[MX]", "V2G1LD0/LLN0.Beh.stVal[ST]")
    assert code == 1
    assert "error" in values(out)[0]["value"]
    assert values(out)[1]["value"] == 1


def test_browse_lists_nodes_and_data_sets(tool: Any) -> None:
    code, out = tool("--json", "browse", "V2G1LD0")
    nodes, sets = values(out)
    assert code == 0
    assert "MMXU1" in nodes["value"]
    assert sets["value"]["LLN0.Measurements"][2] == "V2G1LD0/MMXU1$MX$Hz"


def test_browse_below_a_node_lists_references(tool: Any) -> None:
    _, out = tool("--json", "browse", "V2G1LD0/MMXU1.Hz")
    (found,) = values(out)
    assert "MMXU1.Hz.mag.f[MX]" in found["value"]


def test_write_reads_back(tool: Any) -> None:
    code, out = tool("--json", "write", "V2G1EVSE1/DWGC1.RvrtTms.setVal[SP]", "90")
    assert code == 0
    assert values(out)[0]["value"] == 90


def test_a_refused_write_exits_with_1(tool: Any) -> None:
    code, out = tool("--json", "write", "V2G1EVSE1/DSTO1.ChaWMax.setMag.f[SP]", "90")
    assert code == 1
    assert "access-denied" in values(out)[0]["error"]


def test_operate_waits_for_the_termination(tool: Any) -> None:
    code, out = tool("operate", "V2G1EVSE1/DWGC1.WSpt", "2500")
    assert code == 0
    assert "CommandTermination received" in out


def test_a_refused_operate_names_the_add_cause(tool: Any) -> None:
    code, out = tool("--json", "operate", "V2G1EVSE1/DWGC1.WSpt", "99999")
    assert code == 1
    assert values(out)[0]["add_cause"] == 26
    assert values(out)[0]["cause"] == "inconsistent-parameters"


def test_report_prints_the_general_interrogation(tool: Any) -> None:
    block = "V2G1LD0/LLN0$RP$urcbMeasurements01"
    code, out = tool("--json", "report", block, "--for", "0.5")
    reports = values(out)
    assert code == 0
    assert reports[0]["value"]["values"]["V2G1LD0/MMXU1$MX$Hz"]["mag"]["f"] == 50.0


def test_groups_shows_and_activates(tool: Any) -> None:
    code, out = tool("--json", "groups", "V2G1EVSE1", "--activate", "2")
    assert code == 0
    assert values(out)[0]["value"]["active"] == 2


def test_a_value_of_the_wrong_type_is_explained(tool: Any) -> None:
    with pytest.raises(ConfigurationError, match="'abc' is no integer"):
        tool("write", "V2G1EVSE1/DWGC1.RvrtTms.setVal[SP]", "abc")


def test_no_server_exits_with_69(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    mms.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["mms", "127.0.0.1", "--port", "1", "browse"])
    assert arguments.run(arguments) == 69
    assert "cannot connect" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("read", "garbage"),
        ("read", "V2G1LD0/MMXU1.Hz[MX]", "X"),
        ("report", "nonsense"),
        ("write", "LD0", "1"),
        ("operate", "here", "1"),
    ],
)
def test_a_reference_that_cannot_be_meant_is_named_before_anything_is_connected(
    words: tuple[str, ...],
) -> None:
    parser = argparse.ArgumentParser()
    mms.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["mms", "127.0.0.1", "--port", "1", *words])
    with pytest.raises(ConfigurationError, match=r"LD/LN\$FC\$DO\$DA"):
        arguments.run(arguments)
