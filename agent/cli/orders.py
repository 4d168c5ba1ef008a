"""The verbs of `v2g-ctl` that order something and wait for its outcome."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import uuid
from collections.abc import Callable
from typing import Final

from agent.cli.discharge import EXIT_REFUSED, operator_request
from agent.cli.gateway import GatewayClient
from agent.errors import AlarmCode
from agent.messages import (
    SITE,
    Acknowledge,
    ControlRequest,
    Reload,
    RequestKind,
    RequestOutcome,
    RequestStatus,
)

LEASE_S: Final = 24 * 3600.0
ANSWER_S: Final = 5.0
RELOAD_S: Final = 20.0
MODES: Final = ("on", "blocked", "drain")


def order(kind: RequestKind, setting: str = "") -> Callable[[argparse.Namespace], int]:
    """Return a verb that sends one request to the control."""

    def run(arguments: argparse.Namespace) -> int:
        return _send(arguments, _request(arguments, kind, setting), ANSWER_S)

    return run


def mode(arguments: argparse.Namespace) -> int:
    """Show the operating mode, or set it."""
    if arguments.mode is not None:
        request = _request(arguments, RequestKind.MODE, arguments.mode)
        return _send(arguments, request, ANSWER_S)
    client = GatewayClient(arguments)
    snapshot = client.snapshot()
    client.close()
    ordered = {
        request.setting
        for request in snapshot.requests
        if request.kind is RequestKind.MODE and request.target in (SITE, arguments.evse)
    }
    setting = next((mode for mode in MODES[1:] if mode in ordered), MODES[0])
    loop = snapshot.loop
    if arguments.json:
        print(json.dumps({"mode": setting, "control": loop.mode, "reason": loop.reason}))
    else:
        why = f", {loop.reason}" if loop.reason not in ("", loop.mode) else ""
        print(f"{setting}; the control: {loop.mode}{why}")
    return 0


def acknowledge(arguments: argparse.Namespace) -> int:
    """Mark active alarms as seen."""
    message = Acknowledge(_identity(), _origin(), arguments.code, arguments.source)
    return _send(arguments, message, ANSWER_S)


def reload(arguments: argparse.Namespace) -> int:
    """Check everything; only a configuration without errors reaches the daemon."""
    # Imported here: the other verbs need not wait for SCL and numpy.
    from agent.cli.validation import check_file

    report = check_file(arguments.config, with_machine=False)
    if report.errors:
        if arguments.json:
            errors = [str(finding) for finding in report.errors]
            print(json.dumps({"status": "refused", "errors": errors}))
        else:
            for finding in report.errors:
                print(f"error: {finding}", file=sys.stderr)
            print(f"nothing was changed: {len(report.errors)} errors", file=sys.stderr)
        return report.exit_code
    return _send(arguments, Reload(_identity(), _origin(), arguments.workers), RELOAD_S)


def alarm_code(text: str) -> AlarmCode:
    """`0x14` or `14`, as the manual writes them → the code."""
    try:
        return AlarmCode(int(text, 16))
    except ValueError:
        known = ", ".join(str(code) for code in AlarmCode)
        raise argparse.ArgumentTypeError(f"{text!r} is no alarm code; known: {known}") from None


def _request(arguments: argparse.Namespace, kind: RequestKind, setting: str) -> ControlRequest:
    return operator_request(kind, target=arguments.evse, lease_s=LEASE_S, setting=setting)


def _identity() -> str:
    return f"ctl-{uuid.uuid4()}"


def _origin() -> str:
    return f"v2g-ctl:{getpass.getuser()}"


def _send(
    arguments: argparse.Namespace,
    message: ControlRequest | Acknowledge | Reload,
    timeout_s: float,
) -> int:
    client = GatewayClient(arguments)
    client.send(message)
    for heard in client.messages(timeout_s):
        if isinstance(heard, RequestOutcome) and heard.request_id == message.request_id:
            client.close()
            return _tell(heard, as_json=arguments.json)
    print("the daemon did not answer", file=sys.stderr)
    return EXIT_REFUSED


def _tell(outcome: RequestOutcome, *, as_json: bool) -> int:
    if as_json:
        shown = {name: getattr(outcome, name) for name in ("request_id", "status", "reason")}
        print(json.dumps(shown))
    else:
        print(f"{outcome.status}{': ' + outcome.reason if outcome.reason else ''}")
    good = outcome.status in (RequestStatus.ACCEPTED, RequestStatus.COMPLETED)
    return 0 if good else EXIT_REFUSED
