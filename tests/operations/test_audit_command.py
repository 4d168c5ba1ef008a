"""`v2g-ctl audit`: verify, show, export."""

from __future__ import annotations

import argparse
import csv
import io
import json
from pathlib import Path

import pytest

from agent.audit import AuditLog, Kind
from agent.cli import audit
from agent.errors import UnavailableError


def ctl(*argv: object) -> int:
    parser = argparse.ArgumentParser()
    audit.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["audit", *map(str, argv)])
    return int(arguments.run(arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "audit.key").write_bytes(bytes(32))
    log = AuditLog(tmp_path / "stability-audit.log", bytes(32))
    log.append(Kind.COMMAND, "scada-1", "WSpt 5000 W", "test", target="site")
    log.append(Kind.ALARM, "frequency", "0x14 raised", "59.4 Hz")
    log.append(Kind.REFUSAL, "=cmd|'calc'", "STOP", "not allowed")
    (tmp_path / "journal.txt").write_text(f"gateway v2g-daemon: {log.head}\n")
    log.close()
    return tmp_path


def verify_arguments(folder: Path) -> tuple[object, ...]:
    return ("verify", "--log", folder, "--key", folder / "audit.key")


def test_verify_tells_an_intact_log_and_its_head(folder, capsys):
    assert ctl(*verify_arguments(folder), "--anchors", folder / "journal.txt") == 0
    out = capsys.readouterr().out
    assert "3 records in 1 files, intact" in out
    assert "anchors found: 1 of 1" in out
    assert "v2g-audit-head seq=3" in out


def test_verify_tells_a_changed_and_a_cut_log_and_returns_1(folder, capsys):
    log = folder / "stability-audit.log"
    good = log.read_bytes()
    log.write_bytes(good.replace(b"5000 W", b"9000 W"))
    assert ctl(*verify_arguments(folder)) == 1
    assert "CHANGED" in capsys.readouterr().out
    log.write_bytes(b"".join(good.splitlines(keepends=True)[:-1]))
    assert ctl(*verify_arguments(folder)) == 0
    assert ctl(*verify_arguments(folder), "--anchors", folder / "journal.txt", "--json") == 1
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["ok"] is False


def test_show_selects_by_kind_time_and_originator(folder, capsys):
    ctl("show", "--log", folder, "--kind", "alarm")
    out = capsys.readouterr().out
    assert "0x14 raised (59.4 Hz)" in out
    assert len(out.splitlines()) == 1
    ctl("show", "--log", folder, "--who", "scada", "--json")
    assert json.loads(capsys.readouterr().out)["data"] == {"target": "site"}
    ctl("show", "--log", folder, "--since", "2999")
    assert capsys.readouterr().out == ""
    ctl("show", "--log", folder, "-n", "2")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_export_gives_both_clocks_and_no_formula_to_a_spreadsheet(folder, capsys):
    ctl("export", "--log", folder, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["seq"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[1]["mono_s"]) > 0
    assert rows[3]["who"] == "'=cmd|'calc'"
    ctl("export", "--log", folder)
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[3])["who"] == "=cmd|'calc'"


def test_without_log_or_key_it_says_which_is_missing(tmp_path, folder):
    with pytest.raises(UnavailableError, match="no audit log"):
        ctl("show", "--log", tmp_path / "nowhere")
    with pytest.raises(UnavailableError, match="nokey"):
        ctl("verify", "--log", folder, "--key", tmp_path / "nokey")


def test_integers_that_a_scada_archived_anchor_the_log(folder, capsys):
    log = folder / "stability-audit.log"
    lines = log.read_bytes().splitlines(keepends=True)
    mac = bytes.fromhex(json.loads(lines[-1])["mac"])
    high, low = (int.from_bytes(mac[start : start + 4], signed=True) for start in (0, 4))
    seen = f"--seen=3,{high},{low}"
    assert ctl(*verify_arguments(folder), seen) == 0
    log.write_bytes(b"".join(lines[:-1]))
    assert ctl(*verify_arguments(folder)) == 0, "a cut end is a valid log"
    assert ctl(*verify_arguments(folder), seen) == 1
    assert "anchor 3" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["1,2", "1,2,x", "1,2,9999999999"])
def test_a_seen_head_that_is_none_is_refused(folder, text):
    with pytest.raises(SystemExit):
        ctl(*verify_arguments(folder), f"--seen={text}")
