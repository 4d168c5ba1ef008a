"""One simulated ISO 15118-20 vehicle at the end of a cable.

`python -m agent.vehicles.simulated.evcc --interface IF [--pki FOLDER] [--soc 60] …`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from loguru import logger

from agent.errors import AgentError
from agent.logs import set_up_logging
from agent.vehicles.simulated.battery import Battery
from agent.worker import end_with_parent


def main() -> None:
    """Parse, then drive until SIGTERM or SIGINT."""
    arguments = _parse()
    set_up_logging(f"ev@{arguments.interface}")
    if arguments.supervised:
        end_with_parent()
    try:
        asyncio.run(_drive(arguments))
    except AgentError as error:
        logger.error("{}", error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="simulated ISO 15118-20 vehicle")
    parser.add_argument("--interface", required=True, help="its end of the veth")
    parser.add_argument("--pki", type=Path, help="certificates; without, plain TCP")
    parser.add_argument("--service", default="DC_BPT", choices=["DC_BPT", "DC", "AC_BPT", "AC"])
    parser.add_argument("--control", default="dynamic", choices=["dynamic", "scheduled"])
    parser.add_argument("--period", type=float, default=0.1, help="of the charge loop, seconds")
    parser.add_argument("--cycles", type=int, default=0, help="of the charge loop; 0: stay")
    parser.add_argument("--soc", type=float, default=60.0, help="state of charge, percent")
    parser.add_argument("--capacity-wh", type=float, default=60_000.0)
    parser.add_argument("--power-w", type=float, default=11_000.0, help="in both directions")
    parser.add_argument("--supervised", action="store_true", help="end with the parent process")
    return parser.parse_args()


async def _drive(arguments: argparse.Namespace) -> None:
    # Imported here: the package takes a second, and a wrong option should not wait for it.
    from agent.exi import ExiCodec
    from agent.vehicles.secc.codec import PackageCodec, schema_folder
    from agent.vehicles.secc.vehicle import SimulatedVehicle, VehicleOptions

    protocol = "ISO_15118_20_DC" if arguments.service.startswith("DC") else "ISO_15118_20_AC"
    options = VehicleOptions(
        arguments.interface,
        protocol=protocol,
        service=arguments.service,
        pki=arguments.pki,
        period_s=arguments.period,
        cycles=arguments.cycles or 1_000_000_000,
        control=arguments.control,
    )
    battery = Battery(
        capacity_wh=arguments.capacity_wh,
        soc_pct=arguments.soc,
        charge_max_w=arguments.power_w,
        discharge_max_w=arguments.power_w,
    )
    vehicle = SimulatedVehicle(options, PackageCodec(ExiCodec(schema_folder())), battery)
    driving = asyncio.ensure_future(vehicle.run_once() if arguments.cycles else vehicle.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, driving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await driving
    logger.info(
        "drove {} loops, state of charge {:.2f} %", vehicle.controller.loops, battery.soc_pct
    )


if __name__ == "__main__":
    main()
