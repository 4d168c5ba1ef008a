"""`v2g-ctl audit`: verify, show and export the stability-audit.log."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from agent.audit import (
    Head,
    Kind,
    Record,
    head_of_integers,
    log_files,
    parse_heads,
    read_records,
    verify,
)
from agent.audit.reader import LOG_NAME
from agent.cli.gateway import add_gateway_options
from agent.config import Settings, read_settings
from agent.errors import UnavailableError

INSTALLED_KEY = Path("/etc/v2g/pki/audit.key")
EXIT_TAMPERED = 1
_COLUMNS = ("seq", "utc", "mono_s", "kind", "who", "what", "why", "data")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its own verbs to `v2g-ctl`."""
    text = "verify, show and export the audit log"
    parser = subparsers.add_parser("audit", help=text, description=text)
    verbs = parser.add_subparsers(dest="audit_verb", metavar="VERB", required=True)
    _verify_parser(verbs)
    _show_parser(verbs)
    _export_parser(verbs)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do one of the verbs; `verify` returns 1 when anything was changed."""
    settings, _findings = read_settings(arguments.config)
    path = arguments.log or settings.gateway.log_dir / LOG_NAME
    try:
        if not log_files(path):
            raise UnavailableError(f"{path}: no audit log is here")
        match arguments.audit_verb:
            case "verify":
                return _verify(path, arguments, settings)
            case "show":
                _show(path, arguments)
            case "export":
                _export(path, arguments)
    except PermissionError as error:
        raise UnavailableError(f"{error.filename}: only root and group v2g may read it") from error
    return 0


def _common(parser: argparse.ArgumentParser) -> None:
    add_gateway_options(parser)
    parser.add_argument("--log", type=Path, help="folder or file; default that of agent.toml")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _filters(parser: argparse.ArgumentParser) -> None:
    kinds = [str(kind) for kind in Kind]
    parser.add_argument("--kind", choices=kinds, action="append", help="only these kinds")
    parser.add_argument("--since", default="", metavar="UTC", help="from, as 2026-01-31T12:00")
    parser.add_argument("--until", default="", metavar="UTC", help="up to, as 2026-01-31T13:00")
    parser.add_argument("--who", default="", metavar="TEXT", help="originator holds this text")


def _verify_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "find every change that was made without the key; exit 1 where there is one"
    parser = verbs.add_parser("verify", help=text, description=text)
    _common(parser)
    parser.add_argument("--key", type=Path, help=f"default {INSTALLED_KEY}, or the state folder's")
    parser.add_argument(
        "--anchors",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a text that holds heads kept elsewhere, such as a syslog export",
    )
    parser.add_argument(
        "--seen",
        type=_seen,
        action="append",
        default=[],
        metavar="N,N,N",
        help="GGIO1.IntIn1, IntIn2 and IntIn3 of the IED, as an IEC 61850 client archived them",
    )


def _seen(text: str) -> Head:
    try:
        seq, high, low = (int(part) for part in text.split(","))
        return head_of_integers(seq, high, low)
    except (ValueError, OverflowError):
        message = f"{text!r} is not three integers such as 1042,-1731042117,88231"
        raise argparse.ArgumentTypeError(message) from None


def _show_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "the newest records, a line each"
    parser = verbs.add_parser("show", help=text, description=text)
    _common(parser)
    _filters(parser)
    parser.add_argument("-n", "--lines", type=int, default=20, help="how many; default 20")


def _export_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "all records, for another tool"
    parser = verbs.add_parser("export", help=text, description=text)
    _common(parser)
    _filters(parser)
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default jsonl")


def _verify(path: Path, arguments: argparse.Namespace, settings: Settings) -> int:
    anchors = [head for file in arguments.anchors for head in _heads(file)]
    anchors += arguments.seen
    key = _key(arguments, settings)
    quiet = arguments.json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("verifying")
        report = verify(
            path, key, anchors,
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    if arguments.json:
        print(json.dumps({"ok": report.ok, **asdict(report)}))
        return 0 if report.ok else EXIT_TAMPERED
    for note in report.notes:
        print(f"note: {note}")
    for finding in report.findings:
        print(f"CHANGED: {finding}")
    verdict = "intact" if report.ok else "NOT as it was written"
    print(f"{path}: {report.records} records in {report.files} files, {verdict}")
    print(f"anchors found: {report.anchors} of {len(anchors)}")
    print(report.head)
    return 0 if report.ok else EXIT_TAMPERED


def _heads(file: Path) -> Iterator[Head]:
    try:
        yield from parse_heads(file.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UnavailableError(f"{file}: {error.strerror}") from error


def _key(arguments: argparse.Namespace, settings: Settings) -> bytes:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    candidates = (
        arguments.key,
        Path(folder) / "audit.key" if folder else None,
        settings.gateway.state_dir / "audit.key",
        INSTALLED_KEY,
    )
    for candidate in candidates:
        try:
            if candidate is not None and (candidate == arguments.key or candidate.exists()):
                return candidate.read_bytes()
        except OSError as error:
            raise UnavailableError(f"{candidate}: {error.strerror}") from error
    raise UnavailableError("no audit key is here: name it with --key (as root)")


def _selected(path: Path, arguments: argparse.Namespace) -> Iterator[Record]:
    """Times are compared as text: ISO 8601 sorts by age."""
    for record in read_records(path):
        if (
            (not arguments.kind or record.kind in arguments.kind)
            and record.utc >= arguments.since
            and (not arguments.until or record.utc <= arguments.until)
            and arguments.who in record.who
        ):
            yield record


def _show(path: Path, arguments: argparse.Namespace) -> None:
    for record in deque(_selected(path, arguments), maxlen=max(arguments.lines, 0)):
        if arguments.json:
            print(json.dumps(_row(record)))
            continue
        why = f" ({record.why})" if record.why else ""
        data = " ".join(f"{key}={value}" for key, value in record.data.items())
        print(
            f"{record.seq:>8} {record.utc} {record.kind:<11} {record.who}: {record.what}{why}"
            + (f" [{data}]" if data else "")
        )


def _export(path: Path, arguments: argparse.Namespace) -> None:
    rows = (_row(record) for record in _selected(path, arguments))
    if arguments.format == "csv" and not arguments.json:
        _write_csv(rows)
        return
    for row in rows:
        print(json.dumps(row))


def _row(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in _COLUMNS}


def _write_csv(rows: Iterable[dict[str, object]]) -> None:
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is quoted: a peer chose some of it."""
    text = json.dumps(value) if isinstance(value, dict) else value
    return f"'{text}" if isinstance(text, str) and text[:1] in "=+-@" else text
