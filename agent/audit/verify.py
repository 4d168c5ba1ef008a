"""Finding every change that was made to a log without its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agent.audit.chain import FileScan, scan
from agent.audit.reader import log_files
from agent.audit.record import GENESIS, Head, Record
from agent.errors import Finding


@dataclass(slots=True)
class Report:
    """What a verification found.

    Attributes:
        files, records: How many were read; opening lines are not counted.
        first_seq, head: The first record and the last one.
        findings: Everything that is not as it was written; empty for an intact log.
        notes: What the log itself declares: interrupted writes, files removed by retention.
        anchors: How many of the given anchors lie in the log.
    """

    files: int = 0
    records: int = 0
    first_seq: int = 0
    head: Head = field(default_factory=Head)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    anchors: int = 0

    @property
    def ok(self) -> bool:
        """Nothing was changed, removed, inserted or cut."""
        return not self.findings


def verify(
    path: Path,
    key: bytes,
    anchors: Iterable[Head] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Check a log from its first file to its last byte; total on any bytes.

    Whole records cut from the very end leave a valid log. Only `anchors`, heads that were kept
    elsewhere, show that: each must be a record of the log.

    Args:
        path: The log's folder or its active file.
        key: Secret of the chain.
        anchors: Heads from syslog, SCADA's archive or a notebook.
        progress: Called with the files that were read and how many there are.
    """
    known = {anchor.seq: anchor for anchor in anchors}
    return _Verification(key, known).run(log_files(path), progress)


class _Verification:
    def __init__(self, key: bytes, anchors: dict[int, Head]) -> None:
        self._key = key
        self._anchors = anchors
        self._met: set[int] = set()
        self._removed: list[Head] = []
        self._report = Report()

    def run(self, files: list[Path], progress: Callable[[int, int], None]) -> Report:
        report = self._report
        before: FileScan | None = None
        first: tuple[Path, Record] | None = None
        for number, file in enumerate(files):
            progress(number, len(files))
            found = self._read(file)
            if before is None and found.opening is not None:
                first = (file, found.opening)
            elif before is not None:
                self._check_border(file, before, found)
            before = self._merge(before, found)
        if not files:
            self._find("the log", "no file of it is there")
        if first is not None:
            self._check_start(*first)
        if before is not None and before.torn:
            self._find(
                str(files[-1]), f"ends inside a line: {len(before.torn)} bytes are no record",
                "a crash or a cut; the next start of the gateway declares which bytes these are",
            )  # fmt: skip
        self._check_anchors()
        return report

    def _read(self, file: Path) -> FileScan:
        data = file.read_bytes()
        found = scan(data, self._key)
        report = self._report
        report.files += 1
        report.records += found.records
        self._removed += found.removed
        for offset, what in found.damage:
            self._find(f"{file}: byte {offset}", what)
        if data and found.opening is None and (found.records or not found.damage):
            self._find(str(file), "does not begin with an opening line")
        if found.last is not None:
            report.head = found.last.head
        self._match_anchors(data)
        return found

    def _match_anchors(self, data: bytes) -> None:
        for seq, anchor in self._anchors.items():
            rest = '"}' if len(anchor.mac) == len(GENESIS) else ""
            if f'"mac":"{anchor.mac}{rest}'.encode() in data:
                self._met.add(seq)

    def _merge(self, before: FileScan | None, found: FileScan) -> FileScan:
        """An empty or wholly unreadable file does not hide the end of the file before it."""
        if found.last is None and before is not None:
            before.torn = before.torn + found.torn
            return before
        return found

    def _check_start(self, file: Path, opening: Record) -> None:
        start = Head(opening.seq, opening.prev)
        self._report.first_seq = opening.seq + 1
        if start == Head():
            return
        if start in self._removed:
            self._report.notes.append(f"records 1 to {start.seq} were removed by retention")
        else:
            self._find(
                str(file), f"records 1 to {start.seq} are missing, and no record removes them"
            )

    def _check_border(self, file: Path, before: FileScan, found: FileScan) -> None:
        """The opening line continues the last record and declares what a crash left after it."""
        opening, last = found.opening, before.last
        if opening is None or last is None:
            return
        declared = opening.data
        if (opening.seq, opening.prev) != (last.seq, last.mac):
            unsynced = declared.get("unsynced_from")
            if isinstance(unsynced, int) and unsynced - 1 <= last.seq < opening.seq:
                self._report.notes.append(
                    f"records {last.seq + 1} to {opening.seq}: the disk refused them"
                )
            else:
                self._find(str(file), f"does not continue record {last.seq} of the file before it")
        torn = (len(before.torn), before.torn_sha256) if before.torn else (0, "")
        if torn != (declared.get("torn_bytes", 0), declared.get("torn_sha256", "")):
            self._find(str(file), "declares another torn end than the file before it has")
        elif before.torn:
            self._report.notes.append(
                f"a crash interrupted a write after record {last.seq} ({torn[0]} bytes)"
            )

    def _check_anchors(self) -> None:
        for seq, anchor in self._anchors.items():
            if seq in self._met or seq == 0:
                self._report.anchors += 1
            elif seq < self._report.first_seq:
                self._report.notes.append(f"anchor {seq} lies before the first record kept")
            else:
                self._find(f"anchor {anchor.seq}", "this record is not in the log: it was cut")

    def _find(self, where: str, what: str, hint: str = "") -> None:
        self._report.findings.append(Finding(where, what, hint))
