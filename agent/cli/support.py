"""`v2g-ctl support`: one archive with what a supporter needs, and no secret.

Nothing below the key folders is opened, and every text passes `redact`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from agent import __version__
from agent.audit import read_records
from agent.cli.gateway import GatewayClient, add_gateway_options
from agent.cli.redact import redact
from agent.cli.view import status_json
from agent.clock import read_clock
from agent.config import Settings, read_settings
from agent.errors import AgentError, UnavailableError

RECORDS: Final = 2000
COMMAND_TIMEOUT_S: Final = 15
_COMMANDS: Final = {
    "systemctl.txt": ("systemctl", "--no-pager", "--full", "status", "v2g-*"),
    "journal.txt": ("journalctl", "--no-pager", "-u", "v2g-*", "-n", "5000", "-o", "short-iso"),
    "timedatectl.txt": ("timedatectl", "status"),
    "addresses.txt": ("ip", "-details", "-statistics", "address"),
    "sockets.txt": ("ss", "-tuanp"),
    "filter.txt": ("nft", "list", "ruleset"),
    "processes.txt": ("ps", "-eLo", "pid,tid,user,cls,rtprio,psr,pcpu,rss,comm"),
    "disk.txt": ("df", "-h"),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "write an archive for support: state, configuration, records, no secrets"
    parser = subparsers.add_parser("support", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--output", type=Path, help="default v2g-support-HOST-TIME.tar.gz in this folder"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Collect and write; what cannot be had is noted in the archive."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name = f"v2g-support-{platform.node()}-{stamp}"
    output: Path = arguments.output or Path(f"{name}.tar.gz")
    texts: dict[str, str] = {}
    parts = list(_parts(arguments))
    quiet = arguments.json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        for part, make in progress.track(parts, description="collecting"):
            texts[part] = redact(_attempt(make))
    try:
        _write(output, name, texts)
    except OSError as error:
        raise UnavailableError(f"{output}: {error.strerror}") from error
    if arguments.json:
        print(json.dumps({"file": str(output), "parts": sorted(texts)}))
    else:
        print(f"{output}: {len(texts)} parts, secrets removed; look into it before you send it")
    return 0


def _parts(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], str]]]:
    settings, _findings = read_settings(arguments.config)
    yield "version.json", _version
    yield "agent.toml", lambda: arguments.config.read_text(encoding="utf-8")
    yield "power-profile.conf", lambda: settings.gateway.power_profile.read_text(encoding="utf-8")
    yield "check.json", lambda: _check(arguments.config)
    yield "status.json", lambda: _status(arguments)
    yield "clock.json", lambda: _json(asdict(read_clock()))
    yield "audit.jsonl", lambda: _records(settings)
    for file, command in _COMMANDS.items():
        yield file, lambda command=command: _output(command)  # type: ignore[misc]


def _attempt(make: Callable[[], str]) -> str:
    try:
        return make()
    except (OSError, AgentError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        return f"not available: {error}\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=1, default=str) + "\n"


def _version() -> str:
    packages = sorted(f"{each.name}=={each.version}" for each in distributions())
    return _json(
        {
            "v2g-agent": __version__,
            "python": sys.version,
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "packages": packages,
        }
    )


def _check(path: Path) -> str:
    from agent.cli.validation import check_file  # as in `v2g-ctl check`

    return _json(asdict(check_file(path)))


def _status(arguments: argparse.Namespace) -> str:
    client = GatewayClient(arguments)
    snapshot = client.snapshot()
    client.close()
    return _json(status_json(snapshot))


def _records(settings: Settings) -> str:
    """The newest records; the macs are no secret, but help nobody and are removed like keys."""
    records = list(read_records(settings.gateway.log_dir))[-RECORDS:]
    return "".join(
        json.dumps({"seq": r.seq, "utc": r.utc, "mono_s": r.mono_s, "kind": r.kind, "who": r.who,
                    "what": r.what, "why": r.why, "data": dict(r.data)}) + "\n"
        for r in records
    )  # fmt: skip


def _output(command: tuple[str, ...]) -> str:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


def _write(output: Path, name: str, texts: dict[str, str]) -> None:
    with tarfile.open(output, "w:gz") as archive:
        for part, text in texts.items():
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"{name}/{part}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o640
            archive.addfile(entry, io.BytesIO(data))
    output.chmod(0o600)
