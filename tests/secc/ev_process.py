"""Vehicles for the tests, as a process of their own: `ev_process.py CODEC JSON`.

CODEC is `own` or `java`. JSON is a list of `VehicleOptions` as objects, with `soc_pct` beside.
Prints one JSON object a vehicle when its session has ended.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
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


PATIENCE_S = 20.0
"""The vehicles wait so long for an answer: a busy machine must not fail a test."""


class RoundTrips:
    """Times from sending a charge loop request to its decoded answer, over all vehicles."""

    def __init__(self) -> None:
        self.taken_s: list[float] = []
        self._sent_s: dict[int, float] = {}
        sessions = sys.modules["iso15118.shared.comm_session"]
        session_type = sessions.V2GCommunicationSession
        machine = sessions.SessionStateMachine
        send, process = session_type.send, machine.process_message
        start = session_type.start

        async def timed_send(session: Any, message: Any) -> None:
            # The request was encoded just before; the answer is decoded inside process_message.
            self._sent_s[id(session)] = time.perf_counter()
            await send(session, message)

        async def timed_process(session: Any, message: bytes) -> None:
            in_loop = "ChargeLoop" in str(session.current_state)
            sent_s = self._sent_s.get(id(session), math.nan)
            if in_loop:
                self.taken_s.append(time.perf_counter() - sent_s)
            await process(session, message)
            state = session.current_state
            state.next_msg_timeout = max(state.next_msg_timeout, PATIENCE_S)

        async def patient_start(session: Any, timeout: float) -> None:
            await start(session, max(timeout, PATIENCE_S))

        session_type.send = timed_send
        machine.process_message = timed_process
        session_type.start = patient_start

    def median_ms(self) -> float:
        return statistics.median(self.taken_s) * 1e3 if self.taken_s else math.nan


ROUND_TRIPS = RoundTrips()


async def drive(codec: Any, row: dict[str, Any]) -> None:
    soc_pct = row.pop("soc_pct", 60.0)
    pki = row.pop("pki", None)
    options = VehicleOptions(**row, pki=Path(pki) if pki else None)
    battery = Battery(soc_pct=soc_pct, charge_max_w=11_000, discharge_max_w=11_000)
    vehicle = SimulatedVehicle(options, codec, battery)
    try:
        await asyncio.wait_for(vehicle.run_once(), 240)
    finally:
        battery.advance(time.monotonic())
        result = {
            "interface": options.interface,
            "loops": vehicle.controller.loops,
            "export_wh": battery.export_wh,
            "import_wh": battery.import_wh,
            "round_trip_ms": ROUND_TRIPS.median_ms(),
        }
        print(json.dumps(result), flush=True)


async def main() -> None:
    codec = make_codec(sys.argv[1])
    rows = json.loads(sys.argv[2])
    await asyncio.gather(*(drive(codec, row) for row in rows))


if __name__ == "__main__":
    asyncio.run(main())
