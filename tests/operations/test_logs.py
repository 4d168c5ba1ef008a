"""The log's forms: fields for the journal, JSON lines, text."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from loguru import logger

from agent.logs import VALUE_LIMIT, journal_sink


def parse(entry: bytes) -> dict[str, str]:
    """Read an entry as systemd's JOURNAL_NATIVE_PROTOCOL describes it."""
    fields: dict[str, str] = {}
    while entry:
        line, _, entry = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(entry[:8], "little")
            value, entry = entry[8 : 8 + size], entry[9 + size :]
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def journal(tmp_path: Path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(5)
        number = logger.add(journal_sink(path), format="{message}", backtrace=False)
        yield sock
        logger.remove(number)


def test_level_place_and_bound_values_are_fields(journal):
    logger.bind(process="stations", station="CS 1").warning("station {} is lost", "CS 1")
    fields = parse(journal.recv(1 << 20))
    assert fields["MESSAGE"] == "station CS 1 is lost"
    assert fields["PRIORITY"] == "4"
    assert fields["SYSLOG_IDENTIFIER"] == fields["V2G_PROCESS"] == "stations"
    assert fields["V2G_STATION"] == "CS 1"
    assert fields["CODE_FILE"] == __file__


def test_an_exception_and_lines_stay_one_entry(journal):
    try:
        int("two\nlines")
    except ValueError:
        logger.exception("failed")
    fields = parse(journal.recv(1 << 20))
    assert fields["MESSAGE"].startswith("failed\nValueError: invalid literal")
    assert "test_an_exception" in fields["MESSAGE"]


def test_a_peer_cannot_forge_fields_or_fill_the_journal(journal):
    logger.info("{}", "harmless\nPRIORITY=0\nMESSAGE=forged")
    fields = parse(journal.recv(1 << 20))
    assert fields["PRIORITY"] == "6"
    assert "forged" in fields["MESSAGE"]
    logger.info("{}", "x" * (VALUE_LIMIT * 2))
    assert len(parse(journal.recv(1 << 20))["MESSAGE"]) == VALUE_LIMIT


PROGRAM = "from agent.logs import *; set_up_logging('ied'); logger.info('hello {}', 'world')"


def run(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stderr


def test_json_lines_hold_one_object_each():
    row = json.loads(run(V2G_LOG_JSON="1"))
    assert (row["message"], row["process"], row["level"]) == ("hello world", "ied", "INFO")


def test_without_a_journal_it_is_text_for_people():
    assert run(JOURNAL_STREAM="1:1").endswith("INFO    ied: hello world\n")
