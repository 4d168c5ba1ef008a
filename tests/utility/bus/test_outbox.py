"""The outbox: what is committed survives, in order, until it was acknowledged."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import UnavailableError
from agent.utility.bus.outbox import Outbox
from agent.utility.bus.receive import Sequencer

REPOSITORY = Path(__file__).resolve().parents[3]
T = 1_790_000_000.0


def outbox(folder: Path, *transports: str, max_bytes: float = 1e9, keep_s: float = 0.0) -> Outbox:
    return Outbox(folder / "o.db", transports or ("nats",), max_bytes=max_bytes, keep_s=keep_s)


def fill(box: Outbox, count: int, size: int = 10, t_utc_s: float = T, profile: str = "a"):
    return box.commit([(t_utc_s, profile, bytes(size))] * count)


def test_numbers_rise_by_one_and_name_the_predecessor_on_the_same_subject(tmp_path):
    box = outbox(tmp_path)
    entries = box.commit([(T, "a", b"1"), (T, "b", b"2"), (T, "a", b"3")])
    first = entries[0].seq
    assert [e.seq for e in entries] == [first, first + 1, first + 2]
    assert [e.previous for e in entries] == [0, 0, first]


def test_a_restart_goes_on_with_numbers_positions_and_messages(tmp_path):
    box = outbox(tmp_path)
    entries = fill(box, 5)
    box.acknowledge("nats", entries[1].seq)
    box.tidy(T + 1)
    box.close()
    again = outbox(tmp_path)
    assert again.positions["nats"] == entries[1].seq
    assert again.read(entries[1].seq, 10) == entries[2:]
    (later,) = fill(again, 1)
    assert later.seq == entries[-1].seq + 1
    assert later.previous == entries[-1].seq


def test_numbers_are_never_given_again_even_when_everything_was_removed(tmp_path):
    box = outbox(tmp_path)
    last = fill(box, 5)[-1]
    box.acknowledge("nats", last.seq)
    box.tidy(T + 1)
    box.close()
    again = outbox(tmp_path)
    assert again.read(0, 10) == []
    assert fill(again, 1)[0].seq == last.seq + 1


def test_a_message_stays_until_the_slowest_broker_has_it(tmp_path):
    box = outbox(tmp_path, "nats", "mqtt")
    entries = fill(box, 3)
    box.acknowledge("nats", entries[2].seq)
    box.acknowledge("mqtt", entries[0].seq)
    usage = box.tidy(T + 1)
    assert usage.waiting == usage.stored == 2
    assert box.read(0, 10) == entries[1:]


def test_acknowledged_messages_are_kept_for_a_broker_that_lost_power(tmp_path):
    box = outbox(tmp_path, keep_s=300.0)
    entries = fill(box, 3)
    box.acknowledge("nats", entries[-1].seq)
    assert box.tidy(T + 299).stored == 3
    assert box.tidy(T + 299).waiting == 0
    assert box.tidy(T + 301).stored == 0


def test_beyond_its_room_the_oldest_are_lost_and_counted(tmp_path):
    box = outbox(tmp_path, max_bytes=10_000)
    entries = fill(box, 100, size=936)  # 1000 bytes each with the row
    usage = box.tidy(T)
    assert usage.lost == 90
    assert usage.bytes <= 10_000
    assert box.read(0, 100) == entries[90:]
    box.close()
    assert outbox(tmp_path).usage().lost == 90


def test_a_new_outbox_starts_above_every_number_that_a_lost_one_gave(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir(), second.mkdir()
    old = fill(outbox(first), 3)
    assert fill(outbox(second), 1)[0].seq > old[0].seq


def test_renumbering_keeps_order_and_predecessors(tmp_path):
    box = outbox(tmp_path)
    entries = box.commit([(T, "a", b"1"), (T, "b", b"2"), (T, "a", b"3")])
    box.renumber(entries[-1].seq + 1000)
    moved = box.read(0, 10)
    assert moved[0].seq == entries[-1].seq + 1001
    assert [e.payload for e in moved] == [b"1", b"2", b"3"]
    assert moved[2].previous == moved[0].seq
    assert fill(box, 1)[0].previous == moved[2].seq


def test_a_file_that_is_no_database_is_an_error_with_its_path(tmp_path):
    (tmp_path / "o.db").write_text("no database, but longer than a header of one" * 9)
    with pytest.raises(UnavailableError, match=r"o\.db"):
        outbox(tmp_path)


def test_a_full_disk_numbers_nothing(tmp_path):
    box = outbox(tmp_path)
    first = fill(box, 1)[0]
    box._db.execute("PRAGMA max_page_count=1")
    with pytest.raises(sqlite3.Error):
        fill(box, 100, size=4000)
    box._db.execute("PRAGMA max_page_count=100000")
    assert fill(box, 1)[0].seq == first.seq + 1


WRITER = """
import sys, time
from pathlib import Path
from agent.utility.bus.outbox import Outbox
box = Outbox(Path(sys.argv[1]), ["nats"], max_bytes=1e9, keep_s=0.0)
while True:
    for entry in box.commit([(time.time(), "a", b"x" * 100)] * 7):
        last = entry.seq
    print(last, flush=True)
"""


def test_what_was_committed_outlives_sigkill(tmp_path):
    path = tmp_path / "o.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    lines = [int(writer.stdout.readline()) for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    lines += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    numbers = [entry.seq for entry in outbox(tmp_path).read(0, 100_000)]
    assert numbers[: numbers.index(lines[-1]) + 1] == list(range(numbers[0], lines[-1] + 1))
    assert (numbers[-1] - numbers[0] + 1) % 7 == 0  # a batch is there whole or not at all


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["put", "ack", "tidy", "reopen"]), st.integers(0, 9))))
def test_whatever_happens_the_unacknowledged_rest_is_there_in_order(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("outbox")
    box, waiting = outbox(folder), []
    for what, number in steps:
        if what == "put":
            waiting += fill(box, number)
        elif what == "ack" and number and waiting:
            done = waiting[:number][-1].seq
            box.acknowledge("nats", done)
            waiting = [entry for entry in waiting if entry.seq > done]
        elif what == "tidy":
            assert box.tidy(T + 1).waiting == len(waiting)
        elif what == "reopen":
            box.tidy(T + 1)
            box.close()
            box = outbox(folder)
        assert box.read(box.positions["nats"], 1000) == waiting
    box.close()


@given(st.lists(st.integers(0, 5), min_size=1))
def test_with_the_rule_repeated_stretches_are_taken_once_in_order(repeats):
    """MQTT may repeat any stretch that ends before the newest message."""
    stream: list[int] = []
    for newest, back in enumerate(repeats, start=1):
        stream += range(max(1, newest - back), newest + 1)
    rule = Sequencer()
    taken = [number for number in stream if rule.is_new("t", number, number - 1)]
    assert taken == list(range(1, len(repeats) + 1))
    assert rule.missed == 0


def test_the_rule_tells_of_a_loss():
    rule = Sequencer()
    assert rule.is_new("t", 1, 0)
    assert rule.is_new("t", 5, 4)
    assert rule.missed == 1
