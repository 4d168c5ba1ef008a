"""One log for every process: fields in the journal, a line for people, JSON for other collectors.

Under systemd the log goes to the journal's own socket, so that level, process, place in the code
and every value bound to a message stay fields (`journalctl -o json V2G_PROCESS=stations`).
Elsewhere, and where that socket is missing, it is text on standard error.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

JOURNAL: Final = Path("/run/systemd/journal/socket")
VALUE_LIMIT: Final = 32 << 10
"""Bytes of one field kept, so that an entry fits a datagram of any kernel."""
_FORMAT: Final = "{time:YYYY-MM-DDTHH:mm:ss.SSSSSS[Z]!UTC} {level: <7} {extra[process]}: {message}"
_PRIORITIES: Final = {
    "CRITICAL": 2, "ERROR": 3, "WARNING": 4, "SUCCESS": 5, "INFO": 6, "DEBUG": 7, "TRACE": 7,
}  # fmt: skip
"""syslog's severities (RFC 5424, 6.2.1)."""

Sink = Callable[["Message"], None]


def set_up_logging(process: str, level: str | None = None) -> None:
    """Send this process's log to the journal, or to standard error.

    Args:
        process: The name that every line starts with.
        level: Lowest level shown; the environment's `V2G_LOG_LEVEL`, else INFO, where None.
            `V2G_LOG_JSON=1` writes one JSON object a line to standard error instead.
    """
    logger.remove()
    logger.configure(extra={"process": process})
    lowest = level or os.environ.get("V2G_LOG_LEVEL", "INFO")
    if os.environ.get("V2G_LOG_JSON") == "1":
        logger.add(_json_sink, level=lowest, backtrace=False, diagnose=False)
    elif _is_journal(sys.stderr.fileno() if sys.stderr else -1) and JOURNAL.exists():
        logger.add(journal_sink(JOURNAL), level=lowest, backtrace=False, diagnose=False)
    else:
        logger.add(sys.stderr, level=lowest, format=_FORMAT, backtrace=False, diagnose=False)


def journal_sink(path: Path) -> Sink:
    """Return a sink for the journal's native protocol (systemd, JOURNAL_NATIVE_PROTOCOL)."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def send(message: Message) -> None:
        entry = b"".join(_encoded(name, value) for name, value in _fields(message.record))
        try:
            sock.sendto(entry, str(path))
        except OSError:  # the journal is being restarted, or the entry is too long for it
            sys.stderr.write(f"{message.record['message'][:1000]}\n")

    return send


def _is_journal(descriptor: int) -> bool:
    """Systemd connected this descriptor to the journal (systemd.exec(5), `$JOURNAL_STREAM`)."""
    try:
        state = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{state.st_dev}:{state.st_ino}"


def _fields(record: Record) -> Iterator[tuple[str, str]]:
    process = str(record["extra"].get("process", ""))
    yield "MESSAGE", record["message"] + _exception(record)
    yield "PRIORITY", str(_PRIORITIES.get(record["level"].name, 6))
    yield "SYSLOG_IDENTIFIER", process
    yield "CODE_FILE", record["file"].path
    yield "CODE_LINE", str(record["line"])
    yield "CODE_FUNC", record["function"]
    for name, value in record["extra"].items():
        yield f"V2G_{_field_name(name)}", str(value)


def _field_name(name: str) -> str:
    """Field names are capitals, digits and underscores."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper())


def _encoded(name: str, value: str) -> bytes:
    """A value with line ends is preceded by its length (64 bits, little-endian)."""
    data = value.encode("utf-8", "replace")[:VALUE_LIMIT]
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def _exception(record: Record) -> str:
    found = record["exception"]
    if found is None or found.type is None:
        return ""
    return f"\n{found.type.__name__}: {found.value}\n{_trace(record)}".rstrip()


def _trace(record: Record) -> str:
    found = record["exception"]
    if found is None or found.traceback is None:
        return ""
    return "".join(traceback.format_tb(found.traceback))


def _json_sink(message: Message) -> None:
    record = message.record
    row = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="microseconds"),
        "level": record["level"].name,
        "message": record["message"] + _exception(record),
        "module": record["name"],
        "line": record["line"],
        **{name: str(value) for name, value in record["extra"].items()},
    }
    sys.stderr.write(orjson.dumps(row).decode() + "\n")
    sys.stderr.flush()
