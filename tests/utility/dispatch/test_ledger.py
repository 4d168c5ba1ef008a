"""No token is used twice, whatever happens to the process and its disk."""

import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import RefusedError, SignatureError
from agent.utility.dispatch import ledger as module
from agent.utility.dispatch.ledger import Ledger
from tests.utility.dispatch.conftest import NOW

BEGAN = NOW - 3600.0


def opened(path, skew_s=5.0):
    ledger = Ledger(path, skew_s)
    ledger.begin(BEGAN)
    return ledger


def refused(ledger, counter, issued_s, jti):
    with pytest.raises(SignatureError, match="replay"):
        ledger.commit(counter, issued_s, jti)


def test_counters_rise_and_names_come_once(tmp_path):
    ledger = opened(tmp_path / "l")
    ledger.commit(5, NOW, "a")
    refused(ledger, 5, NOW, "b")
    refused(ledger, 4, NOW, "b")
    refused(ledger, 6, NOW, "a")
    refused(ledger, 6, NOW - 5.1, "b")
    ledger.commit(6, NOW - 5.0, "b")
    ledger.commit(1000, NOW + 9.0, "c")


def test_a_restart_forgets_nothing(tmp_path):
    for number in range(1, 30):
        ledger = opened(tmp_path / "l")
        for old in range(1, number):
            refused(ledger, old, NOW, "new")
            refused(ledger, number, NOW, f"t-{old}")
        ledger.commit(number, NOW, f"t-{number}")
        ledger.close()


def test_without_history_nothing_from_before_is_accepted(tmp_path):
    ledger = Ledger(tmp_path / "l")
    refused(ledger, 1, NOW, "a")
    ledger.begin(NOW)
    refused(ledger, 1, NOW + 5.0, "a")
    ledger.commit(1, NOW + 5.1, "a")


def test_the_disk_knows_before_the_caller(tmp_path, monkeypatch):
    ledger = opened(tmp_path / "l")
    seen = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: seen.append((tmp_path / "l").read_bytes()))
    ledger.commit(1, NOW, "token-a")
    assert b"token-a" in seen[0]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_refuses_and_forgets_nothing(fault, tmp_path, monkeypatch):
    ledger = opened(tmp_path / "l")
    ledger.commit(1, NOW, "a")
    real = os.write

    def torn(fd, data):
        real(fd, data[:7])
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        with pytest.raises(RefusedError, match=os.strerror(fault)):
            ledger.commit(2, NOW, "b")
    ledger.commit(2, NOW, "b")
    ledger.close()
    again = Ledger(tmp_path / "l")
    assert again.begun
    refused(again, 2, NOW, "c")
    again.commit(3, NOW, "c")


def test_a_line_that_cannot_be_taken_back_ends_the_writing(tmp_path, monkeypatch):
    ledger = opened(tmp_path / "l")

    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    monkeypatch.setattr(os, "ftruncate", fails)
    for number in (1, 2):
        with pytest.raises(RefusedError):
            ledger.commit(number, NOW, f"t-{number}")


def test_the_file_stays_short_and_the_names_stay_known(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 50)
    ledger = opened(tmp_path / "l")
    for number in range(1, 400):
        ledger.commit(number, NOW, f"t-{number}")
    assert (tmp_path / "l").read_bytes().count(b"\n") <= 102
    ledger.close()
    again = Ledger(tmp_path / "l")
    assert (again.begun, again.counter) == (True, 399)
    refused(again, 400, NOW, "t-399")
    refused(again, 400, BEGAN, "from before the beginning")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just("restart"),
            st.tuples(st.integers(1, 40), st.integers(0, 30), st.integers(0, 20)),
        ),
        max_size=40,
    )
)
def test_no_counter_and_no_name_is_accepted_twice_in_any_order_of_events(events):
    with tempfile.TemporaryDirectory() as folder:
        ledger = opened(Path(folder) / "l")
        counters, names = [0], set()
        for event in events:
            if event == "restart":
                ledger.close()
                ledger = opened(Path(folder) / "l")
                continue
            counter, second, name = event
            try:
                ledger.commit(counter, NOW + second, f"n-{name}")
            except SignatureError:
                continue
            assert counter > counters[-1]
            assert name not in names
            counters.append(counter)
            names.add(name)
        ledger.close()


def written(path, count=5):
    ledger = opened(path)
    for number in range(1, count + 1):
        ledger.commit(number, NOW + number, f"t-{number}")
    ledger.close()
    return path.read_bytes()


def replays_are_refused(path, count=5):
    """After the damage, at a time when the tokens have not expired yet."""
    ledger = Ledger(path)
    ledger.begin(NOW + 20.0)
    for number in range(1, count + 1):
        refused(ledger, number, NOW + number, f"t-{number}")
    ledger.commit(100, NOW + 26.0, "fresh")
    ledger.close()


def test_every_flipped_byte_leaves_replays_refused(tmp_path):
    path = tmp_path / "l"
    data = written(path)
    for at in range(len(data)):
        for bit in (0x01, 0x80):
            path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
            replays_are_refused(path)


def test_a_torn_line_leaves_replays_refused(tmp_path):
    path = tmp_path / "l"
    data = written(path)
    last = data[:-1].rfind(b"\n") + 1
    for end in range(last + 1, len(data)):
        path.write_bytes(data[:end])
        replays_are_refused(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\n", b"garbage\n", b"\xff\xfe 1 2\n"])
def test_a_file_that_is_no_record_is_put_aside(content, tmp_path):
    path = tmp_path / "l"
    path.write_bytes(content)
    replays_are_refused(path)
    assert (tmp_path / "l.damaged").read_bytes() == content


WRITER = """
import sys
from pathlib import Path
from agent.utility.dispatch.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.begin(float(sys.argv[2]))
number = ledger.counter
while True:
    number += 1
    ledger.commit(number, float(sys.argv[2]) + 10.0, f"t-{number}")
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def kills(path, times):
    """Kill a writer again and again; return how many tokens were acknowledged in all."""
    acknowledged, dice = 0, random.Random(7)
    for _ in range(times):
        command = [sys.executable, "-c", WRITER, str(path), str(BEGAN)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            for _ in range(dice.randrange(1, 40)):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split("\n")
            acknowledged = max([acknowledged, *(int(line) for line in rest[:-1])])
        ledger = Ledger(path)
        assert ledger.begun
        assert ledger.counter >= acknowledged
        for number in range(max(1, acknowledged - 5), acknowledged + 1):
            refused(ledger, number, BEGAN + 10.0, "x")
            refused(ledger, 10**9, BEGAN + 10.0, f"t-{number}")
        ledger.close()
    return acknowledged


def test_kill_9_loses_no_acknowledged_token(tmp_path):
    assert kills(tmp_path / "l", 5) > 5


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hundred_kills_lose_no_acknowledged_token(tmp_path, record_property):
    record_property("acknowledged tokens, 0 lost", kills(tmp_path / "l", 100))
