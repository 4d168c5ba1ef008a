"""Finding: every bit flip, every cut, every removed, moved, inserted or repeated line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audit import AuditLog, Head, Kind, log_files, read_records, verify
from agent.audit.chain import scan


def write_sample(path: Path, key: bytes, records: int = 6, **arguments: object) -> Head:
    log = AuditLog(path, key, **arguments)  # type: ignore[arg-type]
    for number in range(records):
        log.append(Kind.COMMAND, "scada", f"order {number}", power_w=1000.0 * number)
    log.close()
    return log.head


def test_every_bit_flip_is_found(path, key):
    head = write_sample(path, key, records=3)
    good = path.read_bytes()
    unseen = []
    for position in range(len(good) * 8):
        changed = bytearray(good)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        if verify(path, key).ok:
            unseen.append(position)
    assert unseen == []
    path.write_bytes(good)
    assert verify(path, key, [head]).ok


def test_every_truncation_is_found_with_an_anchor_and_every_one_inside_a_line_without(path, key):
    head = write_sample(path, key)
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        assert not verify(path, key, [head]).ok
        at_border = length == 0 or good[length - 1 : length] == b"\n"
        assert verify(path, key).ok == at_border


@pytest.mark.parametrize("change", ["removed", "repeated", "swapped", "foreign"])
def test_every_moved_line_is_found(path, key, change, tmp_path):
    write_sample(path, key)
    lines = path.read_bytes().splitlines(keepends=True)
    other = tmp_path / "other" / path.name
    write_sample(other, key)
    foreign = other.read_bytes().splitlines(keepends=True)
    for index in range(len(lines) - 1):
        changed = list(lines)
        match change:
            case "removed":
                del changed[index]
            case "repeated":
                changed.insert(index, lines[index])
            case "swapped":
                changed[index], changed[index + 1] = lines[index + 1], lines[index]
            case "foreign":
                changed[index] = foreign[index]
        path.write_bytes(b"".join(changed))
        report = verify(path, key)
        assert not report.ok, (change, index)
        assert all(finding.where and finding.what for finding in report.findings)


def test_another_key_finds_everything(path, key):
    write_sample(path, key)
    report = verify(path, b"another key of some length")
    assert not report.ok
    assert report.records == 0


def test_rotation_keeps_the_chain_and_every_missing_or_swapped_file_is_found(path, key):
    write_sample(path, key, records=30, rotate_bytes=1500)
    files = log_files(path)
    assert len(files) > 5
    assert verify(path.parent, key).ok
    assert verify(path, key).records == 30
    assert [r.seq for r in read_records(path) if r.kind != Kind.FILE] == list(range(1, 31))
    for index, file in enumerate(files[:-1]):
        data = file.read_bytes()
        file.unlink()
        assert not verify(path, key).ok, index
        file.write_bytes(data)
    assert verify(path, key).ok
    files[0].write_bytes(files[1].read_bytes())
    assert not verify(path, key).ok


def test_retention_removes_the_oldest_files_and_says_so_in_the_chain(path, key):
    write_sample(path, key, records=60, rotate_bytes=1500, keep_bytes=6000)
    assert verify(path, key).records > 0
    log = AuditLog(path, key, rotate_bytes=1500, keep_bytes=6000)
    for number in range(40):
        log.append(Kind.COMMAND, "scada", f"order {number}")
    log.close()
    report = verify(path, key)
    assert report.findings == []
    assert report.first_seq > 1
    assert any("removed by retention" in note for note in report.notes)
    assert sum(file.stat().st_size for file in log_files(path)) < 12_000
    log_files(path)[0].unlink()
    assert not verify(path, key).ok


def test_an_anchor_of_another_history_is_found(path, key, tmp_path):
    head = write_sample(path, key)
    kept = path.read_bytes()
    shutil.rmtree(path.parent)
    assert write_sample(path, key).seq == head.seq
    assert not verify(path, key, [head]).ok
    path.write_bytes(kept)
    report = verify(path, key, [head])
    assert (report.ok, report.anchors) == (True, 1)


def test_no_log_at_all_is_a_finding(path, key):
    path.parent.mkdir()
    assert not verify(path, key).ok


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_checking_is_total_on_any_bytes(data):
    found = scan(data, bytes(32))
    assert found.records == 0


@settings(max_examples=80, deadline=None)
@given(
    row=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
            ["seq", "utc", "mono", "kind", "who", "what", "why", "prev", "mac", "data"]), inner),
    )
)  # fmt: skip
def test_checking_is_total_on_any_json(row):
    import json

    assert scan(json.dumps(row).encode() + b"\n", bytes(32)).records == 0
