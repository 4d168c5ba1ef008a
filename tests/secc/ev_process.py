"""Vehicles for the tests, as a process of their own: `ev_process.py CODEC JSON`.

CODEC is `own` or `java`. JSON is a list of `VehicleOptions` as objects, with `soc_pct` beside.
Prints one JSON object a vehicle when its session has ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from agent.exi import ExiCodec
from agent.vehicles.secc.codec import PackageCodec, schema_folder
from agent.vehicles.secc.vehicle import SimulatedVehicle, VehicleOptions
from agent.vehicles.simulated.battery import Battery


def make_codec(kind: str) -> Any:
    if kind == "own":
        return PackageCodec(ExiCodec(schema_folder()))
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec

    return ExificientEXICodec()


async def drive(codec: Any, row: dict[str, Any]) -> None:
    soc_pct = row.pop("soc_pct", 60.0)
    pki = row.pop("pki", None)
    options = VehicleOptions(**row, pki=Path(pki) if pki else None)
    battery = Battery(soc_pct=soc_pct, charge_max_w=11_000, discharge_max_w=11_000)
    vehicle = SimulatedVehicle(options, codec, battery)
    try:
        await asyncio.wait_for(vehicle.run_once(), 60)
    finally:
        battery.advance(time.monotonic())
        result = {
            "interface": options.interface,
            "loops": vehicle.controller.loops,
            "export_wh": battery.export_wh,
            "import_wh": battery.import_wh,
        }
        print(json.dumps(result), flush=True)


async def main() -> None:
    codec = make_codec(sys.argv[1])
    rows = json.loads(sys.argv[2])
    await asyncio.gather(*(drive(codec, row) for row in rows))


if __name__ == "__main__":
    asyncio.run(main())
