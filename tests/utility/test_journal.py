"""What survives a kill: the journal on disk."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agent.utility.csms.journal import Journal
from agent.utility.csms.records import Happening, Meter, Record, Transaction

REPOSITORY = Path(__file__).resolve().parents[2]


def record(number, trigger="MeterValuePeriodic", happening=Happening.UPDATED):
    meter = Meter(1e9 + number, p_w=-float(number))
    return Record(happening, 1, "tx", number, trigger, "Charging", meter)


def drained(journal):
    found = []
    while (item := journal.first()) is not None:
        found.append(item[1].seq_no)
        journal.delivered(item[0])
    return found


def test_records_come_out_in_the_order_in_which_they_went_in(tmp_path):
    journal = Journal(tmp_path / "j")
    for number in range(20):
        journal.append([(record(number), Transaction(1, "tx", 0.0, number + 1))])
    journal.close()
    again = Journal(tmp_path / "j")
    assert len(again) == 20
    assert again.transactions()[1].next_seq_no == 20
    assert drained(again) == list(range(20))
    assert len(again) == 0


@pytest.mark.parametrize("rounds", [2, pytest.param(200, marks=pytest.mark.soak)])
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path, rounds, record_property):
    """A process writes and says what is kept; it is killed while it writes."""
    program = (
        "import sys, itertools\n"
        "from pathlib import Path\n"
        "from agent.utility.csms.journal import Journal\n"
        "from agent.utility.csms.records import *\n"
        "j = Journal(Path(sys.argv[1]))\n"
        "start = len(j)\n"
        "for n in itertools.count(start):\n"
        "    r = Record(Happening.UPDATED, 1, 'tx', n, 'Trigger', 'Charging', Meter(1.0))\n"
        "    j.append([(r, Transaction(1, 'tx', 0.0, n + 1))])\n"
        "    print(n, flush=True)\n"
    )
    path = tmp_path / "j"
    for _ in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )  # fmt: skip
        lines = list(itertools.islice(process.stdout, 25))
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        last = int([line for line in lines if line.endswith("\n")][-1])
        journal = Journal(path)
        kept = len(journal)
        assert kept >= last + 1
        assert journal.transactions()[1].next_seq_no == kept
        journal.close()
    assert drained(Journal(path)) == list(range(kept))
    record_property("kills", rounds)
    record_property("records", kept)


def test_beyond_the_limit_only_periodic_values_are_thinned(tmp_path):
    journal = Journal(tmp_path / "j", limit=100)
    journal.append([(record(0, "CablePluggedIn", Happening.STARTED), None)])
    for number in range(1, 400):
        journal.append([(record(number), None)])
    journal.append([(record(400, "EVDeparted", Happening.ENDED), None)])
    assert len(journal) < 300
    assert journal.thinned == 401 - len(journal)
    numbers = drained(journal)
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == (0, 400)


def test_a_damaged_file_is_put_aside_and_the_gateway_starts(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b"this was a database once " * 400)
    journal = Journal(path)
    journal.append([(record(1), None)])
    assert drained(journal) == [1]
    assert len(list(tmp_path.glob("j.damaged-*"))) == 1


def test_a_full_disk_loses_nothing_that_was_kept(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.append([(record(0), None)])
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.Error):
        for number in range(1, 5000):
            journal.append([(record(number), None)])
    kept = len(journal)
    journal._database.execute("PRAGMA max_page_count = 100000")
    journal.append([(record(kept), None)])
    assert drained(journal) == list(range(kept + 1))


def test_what_the_csms_refuses_is_put_aside_with_its_reason(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.append([(record(0), None), (record(1), None)])
    number, first = journal.first()
    journal.refused(number, first, "PropertyConstraintViolation")
    assert drained(journal) == [1]
    row = journal._database.execute("SELECT why FROM refused").fetchone()
    assert row == ("PropertyConstraintViolation",)


def test_evses_keep_their_numbers_and_1_6_its_transactions(tmp_path):
    journal = Journal(tmp_path / "j")
    assert [journal.number_of(name) for name in ("B/1", "A/1", "B/1")] == [1, 2, 1]
    journal.append([(record(0), None)])
    journal.delivered(journal.first()[0], "tx", 4711)
    journal.close()
    again = Journal(tmp_path / "j")
    assert again.number_of("A/1") == 2
    assert again.remote_id("tx") == 4711
    again.forget_remote("tx")
    assert again.remote_id("tx") is None
