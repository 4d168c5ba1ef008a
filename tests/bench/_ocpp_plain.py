"""The usual pattern, for comparison in `ocpp.py`: the `ocpp` package on the `websockets` library.

`_ocpp_plain.py PORT STATIONS ROUNDS [PKI]` waits for the stations, orders all of them ROUNDS times
and prints `{"cpu_us": CPU for one order and its answer, "p99_ms": …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import ssl
import sys
import time
from pathlib import Path

import websockets
from ocpp.routing import on
from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.datatypes import (
    ChargingProfileType,
    ChargingSchedulePeriodType,
    ChargingScheduleType,
)

NOW = "2026-01-01T00:00:00Z"


class Station(ChargePoint):
    started = False

    @on("BootNotification")
    def on_boot(self, **_payload):
        return call_result.BootNotification(current_time=NOW, interval=300, status="Accepted")

    @on("TransactionEvent")
    def on_transaction(self, **_payload):
        self.started = True
        return call_result.TransactionEvent()

    async def order(self, limit_w):
        period = ChargingSchedulePeriodType(start_period=0, limit=limit_w)
        schedule = ChargingScheduleType(
            id=1,
            start_schedule=NOW,
            duration=30,
            charging_rate_unit="W",
            charging_schedule_period=[period],
        )
        profile = ChargingProfileType(
            id=61851,
            stack_level=8,
            charging_profile_purpose="TxProfile",
            charging_profile_kind="Absolute",
            transaction_id="tx",
            charging_schedule=[schedule],
        )
        await self.call(call.SetChargingProfile(evse_id=1, charging_profile=profile))


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def context(pki):
    if pki is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pki / "server.pem", pki / "server.key")
    made.load_verify_locations(pki / "ca.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


async def main(port, count, rounds, pki):
    stations = {}

    async def serve(socket):
        station = Station(socket.request.path.strip("/"), socket, response_timeout=60)
        stations[station.id] = station
        with contextlib.suppress(websockets.ConnectionClosed):
            await station.start()

    async with websockets.serve(
        serve,
        "127.0.0.1",
        port,
        subprotocols=["ocpp2.0.1"],
        ping_interval=None,
        ssl=context(pki),
    ):
        print("listening", flush=True)
        while sum(station.started for station in stations.values()) < count:
            await asyncio.sleep(0.05)
        latencies, before_s = [], cpu_s()
        for number in range(rounds):
            start_s = time.monotonic()

            async def one(station, limit_w=1000.0 + number, start_s=start_s):
                await station.order(limit_w)
                latencies.append(time.monotonic() - start_s)

            await asyncio.gather(*(one(station) for station in stations.values()))
        used_s = cpu_s() - before_s
    latencies.sort()
    figures = {
        "cpu_us": used_s / (rounds * count) * 1e6,
        "p99_ms": latencies[int(0.99 * len(latencies))] * 1e3,
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    arguments = sys.argv[1:]
    folder = Path(arguments[3]) if len(arguments) > 3 else None
    asyncio.run(main(int(arguments[0]), int(arguments[1]), int(arguments[2]), folder))
