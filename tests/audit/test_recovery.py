"""Starting again after a crash, at every byte where it can have stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.audit import AuditLog, Kind, log_files, read_records, verify


def write_sample(path: Path, key: bytes, records: int = 4) -> bytes:
    log = AuditLog(path, key)
    for number in range(records):
        log.append(Kind.COMMAND, "scada", f"order {number}")
    log.close()
    return path.read_bytes()


def clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def test_a_log_cut_at_any_byte_starts_again_and_verifies(path, key):
    good = write_sample(path, key)
    for length in range(len(good)):
        clear(path.parent)
        path.write_bytes(good[:length])
        complete = max(good[:length].count(b"\n") - 1, 0)
        log = AuditLog(path, key)
        assert log.append(Kind.SERVICE, "v2g-daemon", "started") == complete + 1
        log.close()
        report = verify(path, key)
        assert report.findings == []
        assert report.records == complete + 1


def test_torn_bytes_are_kept_and_declared_and_a_later_change_of_them_is_found(path, key):
    good = write_sample(path, key)
    path.write_bytes(good[:-10])
    log = AuditLog(path, key)
    log.close()
    archived = log_files(path)[0]
    assert archived.read_bytes() == good[:-10]
    report = verify(path, key)
    assert report.ok
    assert any("interrupted a write" in note for note in report.notes)
    archived.write_bytes(good[:-11])
    assert not verify(path, key).ok


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_damage_inside_is_set_aside_untouched_and_never_forgiven(path, key, place):
    good = bytearray(write_sample(path, key))
    good[int(len(good) * place)] ^= 1
    path.write_bytes(good)
    for _ in range(2):
        log = AuditLog(path, key)
        assert log.writable
        log.append(Kind.SERVICE, "v2g-daemon", "started")
        log.close()
    assert log_files(path)[0].read_bytes() == bytes(good)
    assert not verify(path, key).ok


def test_a_crash_between_the_two_steps_of_a_rotation_loses_nothing(path, key):
    good = write_sample(path, key)
    path.rename(path.with_name(path.name + ".000000000000"))
    for leftover in (None, b"", good[:40]):
        if leftover is not None:
            path.write_bytes(leftover)
        log = AuditLog(path, key)
        log.close()
        assert verify(path, key).findings == []
        assert [r.seq for r in read_records(path)][:5] == [0, 1, 2, 3, 4]
        path.unlink()


def test_a_log_of_another_key_is_set_aside(path, key):
    write_sample(path, b"the key before this one")
    log = AuditLog(path, key)
    assert log.append(Kind.SERVICE, "v2g-daemon", "started") == 5
    log.close()
    assert len(log_files(path)) == 2
    assert not verify(path, key).ok


def test_foreign_files_beside_the_log_are_left_alone(path, key):
    write_sample(path, key)
    foreign = path.with_name(path.name + ".bak")
    foreign.write_bytes(b"mine")
    log = AuditLog(path, key)
    log.close()
    assert foreign.read_bytes() == b"mine"
    assert verify(path, key).ok
