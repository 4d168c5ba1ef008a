"""A disk that refuses: commands are refused, nothing waits, nothing acknowledged is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.audit import AuditLog, Kind, log_files, read_records, verify
from agent.errors import UnavailableError

HANG_LIMIT_S = 20.0


def wait_for(condition: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + HANG_LIMIT_S
    while not condition():
        assert time.monotonic() < limit_s
        time.sleep(0.005)


def break_disk(disk: object, kind: str) -> None:
    match kind:
        case "ENOSPC":
            disk.room = 0
        case "ENOSPC in mid-line":
            disk.room = 37
        case "EIO on write":
            disk.write_error = errno.EIO
        case "EIO on sync":
            disk.sync_error = errno.EIO


def mend_disk(disk: object) -> None:
    disk.room, disk.write_error, disk.sync_error, disk.open_error = None, 0, 0, 0


KINDS = ["ENOSPC", "ENOSPC in mid-line", "EIO on write", "EIO on sync"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusing_disk_fails_the_ticket_and_the_log_goes_on_when_it_is_mended(
    open_log, disk, path, key, kind
):
    log = open_log(open_file=disk.open, retry_s=0.01)
    acknowledged = [log.append(Kind.COMMAND, "scada", "first")]
    break_disk(disk, kind)
    with pytest.raises(UnavailableError):
        log.append(Kind.COMMAND, "scada", "refused")
    assert not log.writable
    assert log.append_async(Kind.COMMAND, "scada", "refused at once").done
    assert log.append(Kind.REFUSAL, "scada", "kept in memory", durable=False) > 0
    mend_disk(disk)
    wait_for(lambda: log.writable)
    acknowledged.append(log.append(Kind.COMMAND, "scada", "after"))
    log.close()
    report = verify(path, key)
    assert report.findings == []
    records = {record.seq: record for record in read_records(path)}
    assert set(acknowledged) <= set(records)
    what = [record.what for record in records.values()]
    assert "kept in memory" in what
    assert "writable again" in what
    assert "refused at once" not in what


@pytest.mark.parametrize("kind", KINDS)
def test_a_caller_never_waits_for_a_refusing_disk(open_log, disk, kind):
    log = open_log(open_file=disk.open, retry_s=0.01)
    break_disk(disk, kind)
    ticket = log.append_async(Kind.COMMAND, "scada", "order")
    wait_for(lambda: ticket.done)
    assert not ticket.ok
    for _ in range(1000):
        log.append(Kind.ALARM, "x", "y", durable=False)
    assert log.append_async(Kind.COMMAND, "scada", "order").error


def test_the_log_starts_on_a_full_disk_and_writes_when_there_is_room(open_log, disk, path, key):
    disk.open_error = errno.ENOSPC
    log = open_log(open_file=disk.open, retry_s=0.01)
    assert not log.writable
    assert log.append_async(Kind.COMMAND, "scada", "order").error == os.strerror(errno.ENOSPC)
    mend_disk(disk)
    wait_for(lambda: log.writable)
    log.append(Kind.COMMAND, "scada", "order")
    log.close()
    assert verify(path, key).findings == []


def test_a_write_that_stops_at_any_byte_goes_on_from_that_byte(path, key, disk):
    for room in range(0, 700, 9):
        for file in log_files(path):
            file.unlink()
        disk.room = room
        log = AuditLog(path, key, open_file=disk.open, retry_s=0.001)
        log.append(Kind.ALARM, "x", "one", durable=False)
        log.append(Kind.ALARM, "x", "two", durable=False)
        time.sleep(0.002)
        mend_disk(disk)
        wait_for(lambda log=log: log.writable)
        log.close()
        assert verify(path, key).findings == []


def test_a_failed_sync_leaves_the_file_and_says_which_records_it_may_lack(
    open_log, disk, path, key
):
    log = open_log(open_file=disk.open, retry_s=0.01)
    log.append(Kind.COMMAND, "scada", "first")
    disk.sync_error = errno.EIO
    ticket = log.append_async(Kind.COMMAND, "scada", "unsure")
    wait_for(lambda: ticket.done)
    mend_disk(disk)
    wait_for(lambda: log.writable)
    log.append(Kind.COMMAND, "scada", "after")
    log.close()
    old, _ = log_files(path)
    lines = old.read_bytes().splitlines(keepends=True)
    assert verify(path, key).findings == []
    old.write_bytes(b"".join(lines[:-1]))  # the page that never reached the disk
    report = verify(path, key)
    assert report.findings == []
    assert any("the disk refused them" in note for note in report.notes)
    old.write_bytes(b"".join(lines[:-2]))  # an acknowledged record
    assert not verify(path, key).ok


def test_a_full_queue_drops_and_counts_but_keeps_the_chain(open_log, disk, path, key, monkeypatch):
    monkeypatch.setattr("agent.audit.log.QUEUE_LIMIT", 10)
    log = open_log(open_file=disk.open, retry_s=0.01)
    disk.room = 0
    wait_for(lambda: log.append_async(Kind.COMMAND, "scada", "order").done and not log.writable)
    numbers = [log.append(Kind.ALARM, "x", "y", durable=False) for _ in range(30)]
    assert numbers.count(0) >= 20
    assert log.dropped >= 20
    mend_disk(disk)
    wait_for(lambda: log.writable)
    log.close()
    again = [r for r in read_records(path) if r.what == "writable again"]
    assert again[0].data["dropped_records"] >= 20
    assert verify(path, key).findings == []


@pytest.mark.root
def test_a_full_tmpfs(tmp_path, key):
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", mount], check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    try:
        _fill_and_mend(mount, key)
    finally:
        subprocess.run(["umount", mount], check=True)


def _fill_and_mend(mount: Path, key: bytes) -> None:
    ballast = mount / "ballast"
    ballast.write_bytes(bytes(64 << 10))
    log = AuditLog(mount / "stability-audit.log", key, retry_s=0.01)
    acknowledged = []
    with pytest.raises(UnavailableError, match="No space left"):
        while True:
            acknowledged.append(log.append(Kind.COMMAND, "scada", "order", pad="x" * 500))
    assert not log.writable
    ballast.unlink()
    wait_for(lambda: log.writable)
    acknowledged.append(log.append(Kind.COMMAND, "scada", "order"))
    log.close()
    assert verify(mount, key).findings == []
    assert set(acknowledged) <= {record.seq for record in read_records(mount)}
