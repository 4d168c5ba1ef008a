"""`v2g-ctl fleet`: the region as its bucket shows it, and what an operator states of the area."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.cli.arguments import duration_s, power_w
from agent.cli.gateway import add_gateway_options
from agent.cli.view import kilowatts, plain
from agent.config import load_settings
from agent.errors import UnavailableError

if TYPE_CHECKING:
    from agent.utility.bus.regional import RegionalView

STALE_S = 60.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to `v2g-ctl`."""
    text = "the region: its gateways, what each can do, and its share of the area's gain"
    parser = subparsers.add_parser("fleet", help=text, description=text)
    add_gateway_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    state = parser.add_argument_group("state the area (needs the operator's credentials)")
    state.add_argument("--inertia", type=float, metavar="H", help="inertia constant, s")
    state.add_argument("--area-power", type=power_w, metavar="10GW", help="base power of the area")
    state.add_argument("--reserve-up", type=power_w, metavar="5MW", help="reserve to be shared")
    state.add_argument("--reserve-down", type=power_w, metavar="5MW", help="the same, downward")
    state.add_argument(
        "--lease", type=duration_s, default=3600.0, metavar="1h", help="how long it holds"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show or state; 0, 69 when the bus cannot be reached."""
    from agent.utility.bus.regional import read_region, state_area

    settings = load_settings(arguments.config)
    if not settings.bus.nats:
        raise UnavailableError(f"{arguments.config}: [bus] nats is not set: there is no fleet")
    if arguments.inertia is not None or arguments.area_power is not None:
        asyncio.run(
            state_area(
                settings,
                inertia_s=arguments.inertia,
                power_w=arguments.area_power,
                reserve_up_w=arguments.reserve_up,
                reserve_down_w=arguments.reserve_down,
                lease_s=arguments.lease,
            )
        )
    elif arguments.reserve_up is not None or arguments.reserve_down is not None:
        print("a reserve is stated together with --inertia or --area-power", file=sys.stderr)
        return 2
    region = asyncio.run(read_region(settings))
    if arguments.json:
        print(json.dumps(region_json(region)))
    else:
        Console().print(region_view(region, time.time()))
    return 0


def region_json(region: RegionalView) -> dict[str, Any]:
    """Return the region as plain data."""
    return {
        "bucket": region.bucket,
        "area": plain(region.area),
        "ledger": plain(region.ledger),
        "gateways": {
            mrid: {"report": plain(report), "share": plain(region.shares.get(mrid))}
            for mrid, report in region.reports.items()
        },
    }


def region_view(region: RegionalView, now_utc_s: float) -> RenderableType:
    """Return the region as a table."""
    return Group(_area(region), _gateways(region, now_utc_s))


def _area(region: RegionalView) -> RenderableType:
    ledger = region.ledger
    if ledger is None:
        return Text("no coordinator has shared anything yet", style="yellow")
    text = Text(
        f"area {ledger.power_w / 1e9:.3g} GW, H {ledger.inertia_s:g} s"
        f"{'' if region.area else ' (configured)'}   admits "
        f"{ledger.admissible_w_per_hz / 1e6:.4g} MW/Hz, held "
        f"{ledger.granted_w_per_hz / 1e6:.4g} MW/Hz"
    )
    if ledger.overcommitted:
        text.append("   OVERCOMMITTED", style="bold red")
    return text


def _gateways(region: RegionalView, now_utc_s: float) -> RenderableType:
    table = Table(box=None, header_style="dim")
    columns = ("gateway", "heard", "f", "delivered", "up", "down", "energy up", "delay",
               "in force", "share", "version")  # fmt: skip
    for name in columns:
        table.add_column(name, justify="left" if name == "gateway" else "right")
    for mrid, report in sorted(region.reports.items(), key=lambda item: item[1].name):
        share = region.shares.get(mrid)
        age_s = now_utc_s - report.t_utc_s
        table.add_row(
            report.name,
            f"{age_s:.0f} s ago",
            "–" if report.f_hz is None else f"{report.f_hz:.3f} Hz",
            kilowatts(report.delivered_w),
            f"{report.up_w / 1000:.1f} kW",
            f"{report.down_w / 1000:.1f} kW",
            f"{report.up_wh / 1000:.1f} kWh",
            f"{report.delay_s:.2f} s",
            f"{report.gain_w_per_hz / 1000:.1f} kW/Hz",
            "–" if share is None else f"{share.gain_w_per_hz / 1000:.1f} kW/Hz",
            "–" if share is None else f"{report.version}/{share.version}",
            style="yellow" if age_s > STALE_S else "",
        )
    return table
