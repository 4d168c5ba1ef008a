"""Writing: what stands in the file, when it is durable, and that a tick never waits."""

from __future__ import annotations

import json
import select
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audit import AuditLog, Head, Kind, parse_heads, read_records, verify
from agent.audit.record import GENESIS, TEXT_LIMIT, decode, encode_body, is_authentic, seal


def test_a_record_is_one_readable_json_line_with_who_what_why_and_both_times(open_log, path):
    log = open_log()
    before_s = time.monotonic()
    seq = log.append(Kind.COMMAND, "scada-1", "WSpt 5000 W", "test", target="site", value_w=5e3)
    row = json.loads(path.read_text().splitlines()[-1])
    assert seq == row["seq"] == 1
    assert (row["kind"], row["who"], row["what"], row["why"]) == (
        "command", "scada-1", "WSpt 5000 W", "test",
    )  # fmt: skip
    assert row["data"] == {"target": "site", "value_w": 5000.0}
    assert row["utc"].endswith("+00:00")
    assert before_s - 1e-3 <= row["mono"] <= time.monotonic() + 1e-3
    assert len(row["prev"]) == len(row["mac"]) == 64


def test_golden_line_both_ways(key):
    body = encode_body(7, 1.5, 2.25, "command", "a", "b", "c", {"p_w": 1.0})
    line, mac = seal(body, GENESIS, key)
    assert body == (
        b'{"seq":7,"utc":"1970-01-01T00:00:01.500000+00:00","mono":2.25,"kind":"command",'
        b'"who":"a","what":"b","why":"c","data":{"p_w":1.0}}'
    )
    assert line == body[:-1] + f',"prev":"{GENESIS}","mac":"{mac}"}}\n'.encode()
    # what `openssl dgst -sha256 -mac hmac` says about the line before its mac
    assert mac == "9e035a7375ec994f4d9a7d8bac0f0b033a852f0f7773c73573e3dd58291b6b86"
    assert is_authentic(line[:-1], key)
    assert decode(line[:-1]).head == Head(7, mac)


def test_the_sequence_goes_on_after_a_restart(open_log, path, key):
    first = open_log()
    first.append(Kind.SERVICE, "v2g-daemon", "started")
    first.close()
    second = open_log()
    assert second.append(Kind.SERVICE, "v2g-daemon", "started") == 2
    report = verify(path, key)
    assert report.ok
    assert (report.files, report.records, report.head) == (1, 2, second.head)


def test_a_durable_append_is_readable_by_others_when_it_returns(open_log, path):
    log = open_log()
    for number in range(20):
        seq = log.append(Kind.COMMAND, "peer", f"order {number}")
        assert [record.seq for record in read_records(path)][-1] == seq


def test_a_record_nobody_waits_for_is_on_the_disk_soon(open_log, path):
    log = open_log()
    log.append(Kind.ALARM, "frequency", "0x14", durable=False)
    limit_s = time.monotonic() + 10
    while log.head.seq < 1 and time.monotonic() < limit_s:
        time.sleep(0.02)
    assert [record.what for record in read_records(path)] == ["opened", "0x14"]


def test_a_ticket_wakes_a_selector_when_its_record_is_durable(open_log):
    log = open_log()
    ticket = log.append_async(Kind.COMMAND, "peer", "order")
    readable, _, _ = select.select([log.fileno()], [], [], 10)
    assert readable
    log.clear_wake()
    assert ticket.done
    assert ticket.ok
    assert ticket.seq == 1
    assert not select.select([log.fileno()], [], [], 0)[0]


def test_threads_that_write_at_once_keep_one_chain(open_log, path, key):
    log = open_log()
    numbers: list[int] = []

    def write() -> None:
        numbers.extend(log.append(Kind.COMMAND, "peer", "order") for _ in range(50))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 201))
    assert verify(path, key).ok


def test_texts_from_peers_are_bounded_and_cannot_forge_a_line(open_log, path, key):
    log = open_log()
    log.append(Kind.ASSOCIATION, 'x"}\n{"seq":99', "A" * 100_000, "\ud800", blob="B" * 100_000)
    record = list(read_records(path))[-1]
    assert record.who == 'x"}\n{"seq":99'
    assert len(record.what) == TEXT_LIMIT
    assert len(json.dumps(dict(record.data))) < 2000
    assert len(path.read_bytes().splitlines()) == 2
    assert verify(path, key).ok


def test_any_value_in_the_fields_is_written_somehow(open_log, path, key):
    log = open_log()
    log.append(Kind.SETTING, "o", "w", a=float("nan"), b=Path("/x"), c={1: object()}, d=1 << 80)
    log.append(Kind.SETTING, "o", "w", inner={"deep": [float("inf"), None, True]})
    assert verify(path, key).records == 2


def test_a_short_key_is_refused(path):
    with pytest.raises(ValueError, match="16 bytes"):
        AuditLog(path, b"short")


def test_the_head_is_given_out_at_close_and_can_be_read_back_from_a_journal(open_log):
    heads: list[Head] = []
    log = open_log(anchor=heads.append)
    log.append(Kind.COMMAND, "peer", "order")
    head = log.head
    log.close()
    assert heads == [head]
    journal = f"Nov 22 gateway v2g-daemon: {head}\nnoise seq=1 mac=ab\n"
    assert list(parse_heads(journal)) == [head]


@settings(max_examples=200, deadline=None)
@given(
    who=st.text(max_size=40),
    what=st.text(max_size=40),
    data=st.dictionaries(st.text(max_size=8), st.one_of(st.text(), st.floats(), st.integers())),
)
def test_every_record_reads_back_as_it_was_written(who, what, data):
    key = bytes(32)
    line, mac = seal(encode_body(1, 1e9, 2.0, "command", who, what, "", data), GENESIS, key)
    assert line.count(b"\n") == 1
    assert is_authentic(line[:-1], key)
    record = decode(line[:-1])
    assert record is not None
    assert (record.who, record.what, record.mac) == (who, what, mac)
