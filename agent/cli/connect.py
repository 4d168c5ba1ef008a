"""`v2g-client --connect`: present this gateway to its CSMS or balancing authority, in sight.

The worker `utility` does the same in the background. Where it runs already this says so and ends;
else the client runs here until Ctrl-C, with the fleet of the daemon if one runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from agent.cli.arguments import duration_s
from agent.cli.gateway import GatewayClient
from agent.config import DEFAULT_PATH, Settings, Utility, load_settings
from agent.config.utility import url_findings
from agent.errors import EX_UNAVAILABLE, ConfigurationError, Finding, UnavailableError
from agent.link import Link
from agent.logs import set_up_logging
from agent.messages import Role, WorkerHealth, WorkerState
from agent.utility.context import Context
from agent.utility.csms.client import CsmsClient, LinkState
from agent.utility.worker import Service, serve
from agent.worker import Worker

JOURNAL: Final = "v2g-client.sqlite"
"""Not the worker's file: this command may run as another user."""
_OWN: Final = ("cert", "key", "ca", "url", "identity", "password_file", "protocol")
Say = Callable[[str, LinkState], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--connect` and what goes with it."""
    group = parser.add_argument_group("connect to a CSMS or balancing authority")
    group.add_argument("--connect", action="store_true", help="present this gateway over OCPP")
    group.add_argument("--cert", type=Path, metavar="FILE", help="our certificate, PEM")
    group.add_argument("--key", type=Path, metavar="FILE", help="its private key")
    group.add_argument("--ca", type=Path, metavar="FILE", help="authorities of the CSMS")
    group.add_argument("--url", help="wss://csms.example/ocpp, without the identity")
    group.add_argument("--identity", help="our name as a charging station")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="HTTP Basic password")
    group.add_argument(
        "--protocol",
        action="append",
        choices=("ocpp2.1", "ocpp2.0.1", "ocpp1.6"),
        help="offer only this version; may be repeated",
    )
    group.add_argument("--config", type=Path, default=DEFAULT_PATH, help="agent.toml")
    group.add_argument("--for", dest="seconds", type=duration_s, metavar="TIME", help="then end")
    group.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Connect; 0 when connected at the end (or by the worker), 69 when not, 78 wrong settings."""
    set_up_logging("v2g-client", "ERROR")
    settings = _settings(arguments)
    say = _print_json if arguments.json else _print_line
    daemon, held = _daemon(settings)
    if held is not None:
        return _report(held, arguments)
    stage = asyncio.run(_stay(settings, say, arguments.seconds, daemon))
    return 0 if stage == "connected" else EX_UNAVAILABLE


async def _stay(settings: Settings, say: Say, seconds: float | None, daemon: bool) -> str:
    """Run the client; return the stage that it was in at the end."""
    link = Link(settings.control_socket, Role.UTILITY, "v2g-client")
    # Without a daemon there is no fleet and nothing to keep: a test needs no folder.
    journal = settings.gateway.state_dir / JOURNAL if daemon else Path(":memory:")
    shown: list[str] = []
    made: list[CsmsClient] = []

    def changed(state: LinkState) -> None:
        line = _words(state, settings.utility, daemon)
        if not shown or shown[-1] != line:
            shown.append(line)
            say(line, state)

    def services(context: Context) -> list[Service]:
        made.append(CsmsClient(context, changed, journal))
        return [made[0]]

    worker = Worker("v2g-client", settings, link)
    serving = asyncio.create_task(serve(worker, services))
    await asyncio.wait([serving], timeout=seconds)
    if serving.done():
        serving.result()
    stage = made[0].state.stage
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return stage


def _settings(arguments: argparse.Namespace) -> Settings:
    """Return the configuration with the options on top.

    Raises:
        ConfigurationError: No URL, or what the file or the options say cannot be used.
    """
    if arguments.config.exists() or arguments.url is None:
        settings = load_settings(arguments.config)
    else:
        settings = Settings(path=arguments.config)
    changes = {
        "certificate": arguments.cert,
        "key": arguments.key,
        "ca": arguments.ca,
        "url": arguments.url,
        "identity": arguments.identity,
        "password": arguments.password_file,
        "protocols": tuple(arguments.protocol) if arguments.protocol else None,
    }
    if arguments.cert is not None and arguments.cert != settings.utility.certificate:
        changes["key"] = arguments.key or settings.utility.key
    given = {name: value for name, value in changes.items() if value is not None}
    utility = msgspec.structs.replace(settings.utility, **given)
    if not utility.url:
        hint = "set it, or use --url wss://csms.example/ocpp"
        raise ConfigurationError((Finding(f"{settings.path}: utility.url", "is not set", hint),))
    if found := url_findings(utility.url):
        raise ConfigurationError(tuple(Finding(utility.url, what, hint) for what, hint in found))
    return msgspec.structs.replace(settings, utility=utility)


def _daemon(settings: Settings) -> tuple[bool, WorkerHealth | None]:
    """Return whether a daemon runs here, and its worker that holds the connection already."""
    arguments = argparse.Namespace(socket=settings.control_socket, config=settings.path)
    try:
        gateway = GatewayClient(arguments)
    except UnavailableError:
        return False, None
    try:
        workers = gateway.snapshot().workers
    finally:
        gateway.close()
    for worker in workers:
        running = worker.state is WorkerState.RUNNING and worker.role is Role.UTILITY
        if running and "csms_connected" in worker.counters:
            return True, worker
    return True, None


def _report(worker: WorkerHealth, arguments: argparse.Namespace) -> int:
    """Say what the worker's connection does; two clients would fight for one identity."""
    counters = worker.counters
    connected = bool(counters["csms_connected"])
    if arguments.json:
        print(json.dumps({"worker": worker.name, "connected": connected, **counters}), flush=True)
    else:
        ignored = [f"--{name.replace('_', '-')}" for name in _OWN if getattr(arguments, name)]
        state = "is connected" if connected else "is trying to connect"
        print(
            f"worker {worker.name} {state}: {counters['csms_heartbeats']:.0f} heartbeats, round "
            f"trip {counters['csms_round_trip_ms']:.0f} ms, {counters['csms_queued']:.0f} "
            f"messages wait"
        )
        if ignored:
            print(f"its configuration holds; not used: {', '.join(ignored)}")
    return 0 if connected else EX_UNAVAILABLE


def _words(state: LinkState, utility: Utility, with_daemon: bool) -> str:
    match state.stage:
        case "connecting":
            proof = (
                f"certificate {utility.certificate}" if utility.certificate else "no certificate"
            )
            return f"connecting to {state.peer} ({', '.join(utility.protocols)}; {proof})"
        case "booting":
            label = state.version.label if state.version else ""
            return f"WebSocket open, {label}; boot"
        case "pending":
            return f"waiting: {state.why}"
        case "connected" if state.heartbeats:
            return (
                f"heartbeat {state.heartbeats}: round trip {state.round_trip_s * 1e3:.1f} ms, "
                f"the clocks differ by {state.skew_s:+.2f} s"
            )
        case "connected":
            label = state.version.label if state.version else ""
            whose = "with the fleet of v2g-daemon" if with_daemon else "no v2g-daemon: no EVSEs"
            return f"connected: {label}, {whose}"
    return f"not connected: {state.why}"


def _print_line(line: str, _state: LinkState) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _print_json(_line: str, state: LinkState) -> None:
    row = {
        "stage": state.stage,
        "peer": state.peer,
        "version": state.version.subprotocol if state.version else None,
        "why": state.why,
        "heartbeats": state.heartbeats,
        "round_trip_ms": round(state.round_trip_s * 1e3, 3),
    }
    print(json.dumps(row), flush=True)
