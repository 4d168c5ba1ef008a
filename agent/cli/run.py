"""`make run`: the gateway on an embedded site, live in this terminal.

Every 20 s, or on the key `d`, the merging unit's frequency dips to 49.80 Hz; `q` ends. With
`--for 30s --json` it ends by itself and prints one line of JSON last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import secrets
import select
import signal
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.live import Live

from agent.cli.arguments import duration_s, run_command
from agent.cli.embedded import (
    Site,
    SiteOptions,
    charging_cable,
    free_port,
    process_bus_pair,
    write_configuration,
)
from agent.cli.gateway import GatewayClient
from agent.cli.view import status_view
from agent.errors import AgentError, UnavailableError
from agent.hmi.page.passwords import UserRole, new_line
from agent.messages import AnyMessage, OrderSent, Snapshot, StatusQuery

FIRST_DIP_S: Final = 5.0
DIP_PERIOD_S: Final = 20.0
START_TIMEOUT_S: Final = 60.0
INVERTER: Final = "modbus"
READY_MODE: Final = "droop"
OPERATOR: Final = "operator"
REFRESH_S: Final = 0.1
DIP_ANSWER_S: Final = 1.0
"""An order later than this after a dip answers something else."""


@dataclass(slots=True)
class Record:
    """What the run has shown so far."""

    site: Site
    snapshot: Snapshot | None = None
    orders: list[OrderSent] = field(default_factory=list)
    alarms: dict[str, str] = field(default_factory=dict)
    """By code and source: what was raised since the site was up."""
    standing: set[str] = field(default_factory=set)
    up: bool = False
    evses: set[str] = field(default_factory=set)
    stations: set[str] = field(default_factory=set)
    """Those of `evses` that are charging stations, not inverters."""

    def take(self, message: AnyMessage) -> None:
        """Take one message of the daemon."""
        if isinstance(message, OrderSent):
            self.orders.append(message)
        elif isinstance(message, Snapshot):
            self._take_alarms(message)
            online = {v.evse_id: v.status.protocol for v in message.evses if v.status.online}
            self.evses.update(online)
            self.stations.update(name for name, said in online.items() if said != INVERTER)
            if message.complete or self.snapshot is None:
                self.snapshot = message
            else:
                self._merge(message)

    def _take_alarms(self, message: Snapshot) -> None:
        """Count what is raised during the run, not what the machine brought along."""
        raised = {f"{alarm.code} {alarm.source}": alarm.text for alarm in message.alarms}
        if self.up:
            self.alarms.update((k, v) for k, v in raised.items() if k not in self.standing)
        else:
            self.standing = set(raised)

    def _merge(self, message: Snapshot) -> None:
        """Keep the EVSEs that this snapshot leaves out because they did not change."""
        if self.snapshot is not None:
            views = {view.evse_id: view for view in (*self.snapshot.evses, *message.evses)}
            fields = {name: getattr(message, name) for name in message.__struct_fields__}
            self.snapshot = Snapshot(**{**fields, "evses": tuple(views.values())})

    def ready(self) -> bool:
        """Every EVSE is online and the droop follows the frequency."""
        loop = self.snapshot and self.snapshot.loop
        return bool(loop and loop.mode == READY_MODE and len(self.evses) >= self.site.evses)

    def summary(self) -> dict[str, Any]:
        """Return the closing line."""
        snapshot = self.snapshot
        return {
            "dips": len(self.site.dips_s()),
            "setpoints_sent": snapshot.loop.setpoints_sent if snapshot else 0,
            "stations": len(self.stations),
            "software_latency_ms": _percentiles(self._software_ms()),
            "whole_latency_ms": _percentiles(self._whole_ms()),
            "worker_restarts": sum(w.restarts for w in snapshot.workers) if snapshot else 0,
            "alarms": len(self.alarms),
        }

    def _answers(self) -> list[tuple[float, OrderSent]]:
        """The first order on the wire after each dip, with the dip's wire time."""
        pairs = []
        for dip_s in self.site.dips_s():
            later = [o for o in self.orders if 0 < o.sent_s - dip_s < DIP_ANSWER_S and o.wire_s]
            if later:
                pairs.append((dip_s, min(later, key=lambda order: order.sent_s)))
        return pairs

    def _whole_ms(self) -> list[float]:
        return [(order.sent_s - dip_s) * 1000 for dip_s, order in self._answers()]

    def _software_ms(self) -> list[float]:
        return [(order.sent_s - order.wire_s) * 1000 for _, order in self._answers()]


def _percentiles(values_ms: list[float]) -> dict[str, float | None]:
    if not values_ms:
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(values_ms, (50, 99))
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}


def _connect(site: Site) -> GatewayClient:
    arguments = argparse.Namespace(socket=site.socket, config=site.config)
    end_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            return GatewayClient(arguments)
        except UnavailableError:
            if (ended := site.ended()) is not None:
                raise UnavailableError(f"{ended[0]} ended with {ended[1]}") from None
            if time.monotonic() > end_s:
                raise
            time.sleep(0.05)


def _loop(
    client: GatewayClient, record: Record, run_s: float, live: Live | None, note: str
) -> None:
    """Hear the daemon, dip by schedule and on the key, draw; `run_s` counts from being up."""
    client.send(StatusQuery(watch=True))
    give_up_s, next_draw_s = time.monotonic() + START_TIMEOUT_S, 0.0
    next_dip_s = end_s = math.inf
    while (now_s := time.monotonic()) < end_s:
        if not record.up and record.ready():
            record.up = True
            next_dip_s, end_s = now_s + FIRST_DIP_S, now_s + run_s
        if not record.up:
            _check_start(record.site, give_up_s)
        if now_s >= next_dip_s:
            record.site.dip()
            next_dip_s += DIP_PERIOD_S
        for message in client.messages(min(REFRESH_S, max(0.001, end_s - now_s))):
            record.take(message)
        if live is None:
            continue
        key = _key()
        if key == "q":
            return
        if key == "d":
            record.site.dip()
        if now_s >= next_draw_s and record.snapshot is not None:
            next_draw_s = now_s + REFRESH_S
            text = f"{_next_dip(next_dip_s - now_s)}   d dip now   q quit   {note}"
            live.update(status_view(record.snapshot, height=live.console.height, note=text))


def _next_dip(in_s: float) -> str:
    return f"next dip in {in_s:.0f} s" if math.isfinite(in_s) else "the site is coming up"


def _check_start(site: Site, give_up_s: float) -> None:
    if (ended := site.ended()) is not None:
        raise UnavailableError(f"{ended[0]} ended with {ended[1]}")
    if time.monotonic() > give_up_s:
        raise UnavailableError("the embedded site did not come up")


def _key() -> str:
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return ""
    return sys.stdin.read(1)


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Single keys without Enter, where the input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _run_site(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with process_bus_pair() as (receiver, sender, kind), _vehicle(arguments) as vehicle:
        password = secrets.token_urlsafe(12)
        options = SiteOptions(
            folder=folder,
            nominal_hz=arguments.nominal,
            stations=arguments.stations - (vehicle is not None),
            ocpp_port=free_port(8081, 8082),
            hmi_port=free_port(8080, 8088),
            operator=new_line(OPERATOR, UserRole.OPERATOR, password),
            mms_port=free_port(102, 10102) if os.geteuid() == 0 else free_port(10102),
            filter=arguments.filter,
            dip_hz=arguments.nominal - 0.2,
            vehicle=vehicle,
            field_ports=(free_port(), free_port()),
        )
        config = write_configuration(options, receiver)
        with (folder / "site.log").open("wb") as log:
            record = Record(Site(options, config, sender, log))
            try:
                record.site.start()
                client = _connect(record.site)
                note = (
                    f"page http://localhost:{options.hmi_port} ({OPERATOR} {password}), "
                    f"{kind} process bus, OCPP ws://{options.host}:{options.ocpp_port}, "
                    f"MMS {options.host}:{options.mms_port}, files in {folder}"
                )
                _show(arguments, client, record, note)
            finally:
                record.site.stop()
    for name, text in record.alarms.items():
        print(f"alarm {name}: {text}", file=sys.stderr)
    return record.summary()


def _vehicle(
    arguments: argparse.Namespace,
) -> contextlib.AbstractContextManager[tuple[str, str] | None]:
    """Return the cable of an ISO 15118-20 vehicle, where there is room for one more EVSE."""
    return charging_cable() if arguments.stations > 1 else contextlib.nullcontext()


def _show(arguments: argparse.Namespace, client: GatewayClient, record: Record, note: str) -> None:
    if arguments.json or not sys.stdout.isatty():
        print(note, file=sys.stderr)
        _loop(client, record, arguments.run_s, None, note)
        return
    with _keys(), Live(console=Console(), screen=True, auto_refresh=True) as live:
        _loop(client, record, arguments.run_s, live, note)


def _run(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make run ARGS=…", description=__doc__)
    parser.add_argument("--for", dest="run_s", type=duration_s, default=math.inf, metavar="30s")
    parser.add_argument("--json", action="store_true", help="a one-line JSON summary last")
    parser.add_argument("--stations", type=int, default=4, help="EVSEs; as root one is ISO 15118")
    parser.add_argument("--nominal", type=int, choices=(50, 60), default=50)
    parser.add_argument("--filter", choices=("default", "low-latency"), default="default")
    parser.add_argument("--keep", type=Path, help="folder that keeps configuration and logs")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _folder(arguments.keep) as folder:
        try:
            summary = _run_site(arguments, folder)
        except AgentError:
            sys.stderr.write((folder / "site.log").read_text(errors="replace")[-4000:])
            raise
        except KeyboardInterrupt:
            return 0
    if arguments.json:
        print(json.dumps(summary))
    else:
        print("  ".join(f"{name} {value}" for name, value in summary.items()))
    return 0


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="v2g-") as folder:
        yield Path(folder)


def main() -> None:
    """Entry point."""
    sys.exit(run_command(_run))


if __name__ == "__main__":
    main()
