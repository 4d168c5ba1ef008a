"""The telemetry store: bounded in size and age, and nothing that happens to its file ends it."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from agent.hmi.history import (
    Batch,
    Bounds,
    EventRow,
    EvseRow,
    HistoryStore,
    MeasurementRow,
    Table,
    read,
)
from agent.hmi.history.database import Database
from agent.messages import Validity
from tests.hmi.conftest import wait_for

ROOMY = Bounds(1e9, 1e9)
START_S = 1_750_000_000.0


def batch(count: int, start_s: float = START_S, step_s: float = 0.02) -> Batch:
    rows = [
        MeasurementRow(
            start_s + i * step_s, 50.0 + i * 1e-6, i * 1e-7, 230.0 + i * 1e-6, Validity.GOOD,
            1.5 + i, 2.25 + i, 3.125 + i,
        )
        for i in range(count)
    ]  # fmt: skip
    evses = [EvseRow(start_s, "CS001/1", None, -1000.0, 61.5, True)]
    return Batch(rows, evses, [EventRow(start_s, "state", "mode", "droop")])


def rows(path: Path, table: Table = Table.MEASUREMENTS) -> list[tuple]:
    return [row for chunk in read(path, table, 0.0, 1e12) for row in chunk]


@pytest.fixture
def store(tmp_path):
    store = HistoryStore(tmp_path, ROOMY)
    yield store
    store.close()


def written(store: HistoryStore, count: int) -> bool:
    return store.written >= count


def test_what_was_put_can_be_read_while_the_store_is_open(store):
    store.put(batch(3))
    wait_for(lambda: written(store, 5))
    assert rows(store.path) == [
        (pytest.approx(START_S + i * 0.02, abs=1e-6), 50.0 + i * 1e-6, i * 1e-7, 230.0 + i * 1e-6,
         "good", 1.5 + i, 2.25 + i, 3.125 + i)
        for i in range(3)
    ]  # fmt: skip
    assert rows(store.path, Table.EVSES) == [(START_S, "CS001/1", None, -1000.0, 61.5, True)]
    assert rows(store.path, Table.EVENTS) == [(START_S, "state", "mode", "droop")]


def test_an_instant_that_comes_again_replaces_its_row(store):
    store.put(batch(2))
    store.put(batch(2))
    wait_for(lambda: written(store, 8))
    assert len(rows(store.path)) == 2


def test_a_range_has_both_its_ends(store):
    store.put(batch(100))
    wait_for(lambda: written(store, 102))
    chunks = read(store.path, Table.MEASUREMENTS, START_S + 0.2, START_S + 0.4)
    instants = [row[0] for chunk in chunks for row in chunk]
    assert len(instants) == 11
    assert (instants[0], instants[-1]) == (START_S + 0.2, START_S + 0.4)


def test_rows_older_than_the_age_are_removed_and_the_others_stay(tmp_path):
    database = Database(tmp_path / "h.sqlite", 1e9)
    database.write(batch(12_000, step_s=1.0))
    removed = database.remove_before(START_S + 7_000.0)
    database.close()
    assert removed == 7_000 + 2
    kept = rows(tmp_path / "h.sqlite")
    assert len(kept) == 5_000
    assert kept[0][0] == START_S + 7_000.0


def test_beyond_its_size_the_oldest_go_and_the_file_stays_within_it(tmp_path):
    octets = 2e6
    database = Database(tmp_path / "h.sqlite", octets)
    for part in range(60):
        database.write(batch(1_000, START_S + part * 20.0))
        database.shrink()
        assert (tmp_path / "h.sqlite").stat().st_size <= octets * 1.06
    database.close()
    kept = rows(tmp_path / "h.sqlite")
    assert 10_000 < len(kept) < 50_000
    assert kept[-1][0] == pytest.approx(START_S + 59 * 20.0 + 999 * 0.02)
    assert max(b[0] - a[0] for a, b in itertools.pairwise(kept)) < 0.021


def test_a_file_that_outgrows_its_bound_between_two_looks_makes_room_and_goes_on(tmp_path):
    store = HistoryStore(tmp_path, Bounds(2e6, 1e9))
    for part in range(25):
        store.put(batch(2_000, START_S + part * 40.0))
    wait_for(lambda: store.written + store.lost >= 25 * 2_002)
    store.close()
    assert store.error == ""
    assert store.lost == 0
    assert store.removed > 0
    assert store.path.stat().st_size <= 2e6 * 1.06
    assert rows(store.path)[-1][0] == pytest.approx(START_S + 24 * 40.0 + 1_999 * 0.02)


@pytest.mark.parametrize("damage", ["no database", "half a page torn", "another version"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path, damage):
    first = HistoryStore(tmp_path, ROOMY)
    first.put(batch(2_000))
    wait_for(lambda: written(first, 2_002))
    first.close()
    path = first.path
    if damage == "no database":
        path.write_bytes(b"this is not a database" * 1000)
    elif damage == "half a page torn":
        content = bytearray(path.read_bytes())
        content[100 : len(content) // 2] = os.urandom(len(content) // 2 - 100)
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    second = HistoryStore(tmp_path, ROOMY)
    second.put(batch(5, START_S + 1e6))
    wait_for(lambda: written(second, 7))
    second.close()
    assert second.damaged == 1
    assert second.aside is not None
    assert len(rows(path)) == 5


def test_only_the_first_damaged_file_is_kept(tmp_path):
    for _ in range(3):
        (tmp_path / "history.sqlite").write_bytes(b"rubbish " * 500)
        store = HistoryStore(tmp_path, ROOMY)
        store.put(batch(1))
        wait_for(lambda store=store: written(store, 3))
        store.close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_a_store_without_its_folder_loses_rows_says_so_and_comes_back(tmp_path):
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    store = HistoryStore(folder, ROOMY)
    store.put(batch(3))
    wait_for(lambda: store.lost == 5)
    assert store.error
    folder.unlink()
    store.put(batch(3))
    wait_for(lambda: written(store, 5) and not store.error)
    store.close()


@pytest.mark.root
def test_a_full_disk_costs_rows_and_nothing_else(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", mount], check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    try:
        store = HistoryStore(mount, ROOMY)
        store.put(batch(10))
        wait_for(lambda: written(store, 12))
        ballast = mount / "ballast"
        with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for part in range(1, 6):
            store.put(batch(10_000, START_S + part * 1000.0))
        wait_for(lambda: store.lost > 0)
        assert store.error
        ballast.unlink()
        wait_for(lambda: written(store, 13) or store.put(batch(10, time.time())), pause_s=0.3)
        wait_for(lambda: store.error == "")
        store.close()
        assert len(rows(store.path)) >= 20
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_disk_that_hangs_bounds_what_waits(tmp_path, monkeypatch):
    import threading

    go_on = threading.Event()
    monkeypatch.setattr(HistoryStore, "_take", lambda self, batch: go_on.wait(30))
    store = HistoryStore(tmp_path, ROOMY)
    began_s = time.monotonic()
    for _ in range(100):
        store.put(batch(10))
    assert time.monotonic() - began_s < 5.0
    assert store.lost >= 60 * 12
    go_on.set()
    store.close()
