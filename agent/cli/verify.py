"""`v2g-ctl verify`: is what was delivered what was reported? And is a report what was signed?"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli.arguments import duration_s, power_w
from agent.cli.discharge import operator_request
from agent.cli.gateway import GatewayClient, add_gateway_options
from agent.config import load_settings
from agent.errors import AgentError, UnavailableError
from agent.messages import (
    AnyMessage,
    FieldReading,
    RequestKind,
    Snapshot,
    StatusQuery,
    Validity,
)

if TYPE_CHECKING:
    from agent.cli.verification_report import Document

EXIT_NOT_PASSED: Final = 4
EXIT_UNKNOWN_KEY: Final = 3
SILENCE_S: Final = 15.0
"""Without a reading of the device for so long, the verification ends."""
STEP_S: Final = 20.0
"""A test holds each power for so long, if `--step` says nothing else."""
MAX_LAG_S: Final = 10.0
LEVELS: Final = (1.0, 0.25, 0.75, 0.1, 0.5, 0.9, 0.35, 0.65)
"""Shares of `--power` that a test goes through: gain and lag need a power that moves."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "compare what an EVSE reports with what an analyser measures; a signed report"
    parser = subparsers.add_parser("verify", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("--json", action="store_true", help="the signed report on standard output")
    parser.add_argument("--device", metavar="NAME", help="the analyser, as in [[field.device]]")
    parser.add_argument("--evse", metavar="ID", help="the EVSE that reports")
    parser.add_argument(
        "--duration", type=duration_s, default=600.0, metavar="10m", help="default 10m"
    )
    parser.add_argument(
        "--power", type=power_w, metavar="5kW", help="order a test in steps; else live data"
    )
    parser.add_argument(
        "--step", type=duration_s, default=STEP_S, metavar="20s",
        help="a test holds each power for so long; default 20s",
    )  # fmt: skip
    parser.add_argument(
        "--max-lag", type=duration_s, metavar="10s",
        help="largest difference of the clocks looked for; default 10s, at most duration / 6",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="PREFIX", help="of the .json and .html file")
    parser.add_argument("--check", type=Path, metavar="FILE", help="check a report's signature")
    parser.add_argument("--public-key", type=Path, metavar="PEM", help="whose signature is meant")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify and write the report, or check one.

    Returns:
        0 when all passed, 4 when something did not, 3 for a signature of an unknown key.
    """
    if arguments.check:
        return _check(arguments)
    if not (arguments.device and arguments.evse):
        print("v2g-ctl verify: --device and --evse are needed", file=sys.stderr)
        return 2
    return _verify(arguments)


def _verify(arguments: argparse.Namespace) -> int:
    # Imported here: the other verbs of `v2g-ctl` need not wait for numpy and cryptography.
    import numpy as np

    from agent.cli import verification_report as reports
    from agent.estimation.verification import Tolerance, compare

    settings = load_settings(arguments.config)
    key = reports.signing_key(settings.gateway.state_dir)
    started_s = time.time()
    record = _Record(arguments.device, arguments.evse)
    _listen(arguments, record)
    reported, measured = np.array(record.reported), np.array(record.measured)
    if len(reported) < 2 or len(measured) < 2:
        raise UnavailableError(f"{arguments.evse} reported nothing that can be compared")
    limits = Tolerance()
    found = compare(
        reported[:, 0],
        reported[:, 1],
        measured[:, 0],
        measured[:, 1],
        phases_w=measured[:, 2:5],
        tolerance=limits,
        max_lag_s=min(arguments.max_lag or MAX_LAG_S, arguments.duration / 6.0),
    )
    subject = reports.Subject(
        settings.gateway.name, arguments.device, arguments.evse, started_s, time.time()
    )
    signed = reports.sign(reports.document(subject, found, limits), key)
    name = re.sub(r"[^A-Za-z0-9._-]", "-", arguments.evse)
    prefix = arguments.output or Path(f"verification-{name}-{int(started_s)}")
    text = json.dumps(signed, indent=1, sort_keys=True, allow_nan=False) + "\n"
    files = (prefix.with_name(prefix.name + ".json"), prefix.with_name(prefix.name + ".html"))
    files[0].write_text(text)
    files[1].write_text(reports.page(signed))
    print(text if arguments.json else _readable(signed["report"], files), end="")
    return 0 if signed["report"]["verdict"] == "pass" else EXIT_NOT_PASSED


class _Record:
    """What both sides said, in the order of their own clocks."""

    def __init__(self, device: str, evse: str) -> None:
        self._device, self._evse = device, evse
        self.reported: list[tuple[float, ...]] = []
        self.measured: list[tuple[float, ...]] = []
        self.devices: set[str] = set()
        self.heard_s = time.monotonic()

    def take(self, message: AnyMessage) -> None:
        if isinstance(message, FieldReading):
            self.devices.add(message.device)
            if message.device == self._device and message.quality is Validity.GOOD:
                self._measure(message)
        elif isinstance(message, Snapshot):
            for view in message.evses:
                status = view.status
                usable = status.online and status.quality is not Validity.INVALID
                if view.evse_id == self._evse and usable and status.p_w is not None:
                    _append(self.reported, (status.t_utc_s, status.p_w))

    def _measure(self, reading: FieldReading) -> None:
        self.heard_s = time.monotonic()
        if reading.p_w is not None:
            phases = (float("nan") if p is None else p for p in reading.p_phase_w)
            _append(self.measured, (reading.t_utc_s, reading.p_w, *phases))


def _append(record: list[tuple[float, ...]], entry: tuple[float, ...]) -> None:
    """Keep what is newer than the last; the same status comes again every second."""
    if not record or entry[0] > record[-1][0]:
        record.append(entry)


def _listen(arguments: argparse.Namespace, record: _Record) -> None:
    client = GatewayClient(arguments)
    client.send(StatusQuery(watch=True))
    end_s = time.monotonic() + arguments.duration
    levels, step_s, request_id = itertools.cycle(LEVELS), 0.0, ""
    try:
        while (now_s := time.monotonic()) < end_s:
            if arguments.power and now_s >= step_s:
                step_s = now_s + arguments.step
                request_id = _order(client, arguments, next(levels), request_id)
            for message in client.messages(min(0.5, end_s - now_s)):
                record.take(message)
            if now_s - record.heard_s > SILENCE_S:
                known = ", ".join(sorted(record.devices)) or "none"
                text = f"no reading of {arguments.device} for {SILENCE_S:g} s; heard are: {known}"
                raise UnavailableError(text)
    finally:
        if request_id:
            client.send(operator_request(RequestKind.WITHDRAW, lease_s=60.0, setting=request_id))
        client.close()


def _order(client: GatewayClient, arguments: argparse.Namespace, level: float, before: str) -> str:
    request = operator_request(
        RequestKind.WATT_SETPOINT,
        value=level * arguments.power,
        target=arguments.evse,
        lease_s=2 * arguments.step,
    )
    client.send(request)
    if before:
        client.send(operator_request(RequestKind.WITHDRAW, lease_s=60.0, setting=before))
    return request.request_id


def _check(arguments: argparse.Namespace) -> int:
    from agent.cli import verification_report as reports

    try:
        text = arguments.check.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{arguments.check}: {error}") from error
    report, key = reports.check(text)
    trusted = _trusted_key(arguments)
    name = reports.fingerprint(key)
    known = trusted is not None and reports.fingerprint(reports.public_key(trusted)) == name
    print(
        f"{arguments.check}: unchanged since it was signed by {name} "
        f"({'known key' if known else 'UNKNOWN KEY'}); {report['evse']} by {report['device']}, "
        f"{report['started']}: {report['verdict']}"
    )
    return 0 if known else EXIT_UNKNOWN_KEY


def _trusted_key(arguments: argparse.Namespace) -> Path | None:
    if arguments.public_key:
        given: Path = arguments.public_key
        return given
    try:
        path = load_settings(arguments.config).gateway.state_dir / "verification.pub"
    except AgentError:
        return None
    return path if path.exists() else None


def _readable(report: Document, files: tuple[Path, ...]) -> str:
    lines = [f"{report['evse']} by {report['device']}: {report['verdict']}"]
    for key, unit in (("gain", ""), ("offset_w", " W"), ("lag_s", " s")):
        part = report[key]
        if part["value"] is None:
            lines.append(f"  {key:10} not determined: the power has to move (--power 5kW)")
        else:
            lines.append(
                f"  {key:10} {part['value']:.4f} ± {part['half_width_95']:.4f}{unit}"
                f" ({part['verdict']})"
            )
    for key in ("energy_export", "energy_import"):
        part = report[key]
        if part["measured_wh"] is not None:
            lines.append(
                f"  {key:14} {part['reported_wh']:.1f} Wh reported, "
                f"{part['measured_wh']:.1f} Wh measured ({part['verdict'] or 'too little'})"
            )
    phases = report["phases"]
    if phases["imbalance"] is not None:
        lines.append(f"  phases     imbalance {phases['imbalance']:.1%} ({phases['verdict']})")
    return "\n".join([*lines, f"written: {', '.join(map(str, files))}"]) + "\n"
