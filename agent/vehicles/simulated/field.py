"""A simulated inverter and an analyser before it: `python -m agent.vehicles.simulated.field`.

The inverter is a SunSpec device with an EV behind it; the analyser has the registers of a device
file and measures what the inverter really does. Both listen on Modbus/TCP until they are ended.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
from typing import Final

from pymodbus.server import ModbusTcpServer

from agent.vehicles.field.description import find_description, shipped_folder
from agent.vehicles.simulated.analyser import SimulatedAnalyser, Values
from agent.vehicles.simulated.inverter import SimulatedInverter
from agent.worker import end_with_parent

NOISE_W: Final = 5.0
ANALYSER: Final = "janitza-umg604"


def measured(inverter: SimulatedInverter, nominal_hz: float, noise_w: float) -> Values:
    """Return what an ideal analyser, with some noise, measures at an inverter."""
    inverter.step()
    phase_w = inverter.p_w / 3.0 + random.gauss(0.0, noise_w / 3.0)
    values = {"p_w": 3 * phase_w, "q_var": inverter.q_var, "f_hz": nominal_hz, "thd_v_pct": 1.2}
    for phase in ("l1", "l2", "l3"):
        values |= {
            f"v_{phase}_v": 230.0,
            f"p_{phase}_w": phase_w,
            f"i_{phase}_a": abs(phase_w) / 230,
        }
    values |= {"energy_export_wh": inverter.export_wh, "energy_import_wh": inverter.import_wh}
    return values


async def serve(arguments: argparse.Namespace) -> None:
    """Serve both devices until SIGTERM."""
    inverter = SimulatedInverter(
        rated_w=arguments.rated, noise_w=NOISE_W, grid_hz=arguments.nominal
    )
    description = find_description(ANALYSER, (shipped_folder(),))
    analyser = SimulatedAnalyser(
        description, lambda: measured(inverter, arguments.nominal, NOISE_W)
    )
    servers = [
        ModbusTcpServer(inverter.device(), address=(arguments.host, arguments.inverter_port)),
        ModbusTcpServer(analyser.device(), address=(arguments.host, arguments.analyser_port)),
    ]
    for server in servers:
        await server.serve_forever(background=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    for server in servers:
        await server.shutdown()  # type: ignore[no-untyped-call]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="a simulated inverter and its analyser")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--inverter-port", type=int, required=True)
    parser.add_argument("--analyser-port", type=int, required=True)
    parser.add_argument("--rated", type=float, default=11_000.0, help="W")
    parser.add_argument("--nominal", type=float, default=50.0, help="Hz")
    parser.add_argument("--supervised", action="store_true", help="end with the parent process")
    arguments = parser.parse_args()
    if arguments.supervised:
        end_with_parent()
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
