"""Finding and reading the files of a log; total on any bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.audit.record import Record, decode

LOG_NAME: Final = "stability-audit.log"


def archive_path(active: Path, first_seq: int) -> Path:
    """Return the name that a file gets when the log goes on in a new one; names sort by age."""
    return active.with_name(f"{active.name}.{first_seq:012d}")


def log_files(path: Path) -> list[Path]:
    """Return the files of a log, oldest first; `path` is its folder or its active file."""
    active = path / LOG_NAME if path.is_dir() else path
    archived = sorted(
        file
        for file in active.parent.glob(active.name + ".*")
        if file.name.removeprefix(active.name + ".").replace("-", "").isdigit()
    )
    return [*archived, active] if active.exists() else archived


def split_lines(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (offset, line without newline, whether it had one)."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        if end < 0:
            yield start, data[start:], False
            return
        yield start, data[start:end], True
        start = end + 1


def read_records(path: Path) -> Iterator[Record]:
    """Yield every readable record of a log, oldest first, without checking the chain."""
    for file in log_files(path):
        for _offset, line, complete in split_lines(file.read_bytes()):
            record = decode(line) if complete else None
            if record is not None:
                yield record
