"""Many thin stations in one process, for `ocpp.py`: they answer at once and check nothing.

Reads commands on standard input: `storm` drops every connection and comes back. Prints `ready`
whenever all stations have booted and started their transaction.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from pathlib import Path

import uvloop
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

BOOT = (
    b'[2,"b","BootNotification",{"reason":"PowerUp",'
    b'"chargingStation":{"model":"m","vendorName":"v"}}]'
)
START = (
    b'[2,"t","TransactionEvent",{"eventType":"Started","timestamp":"2026-01-01T00:00:00Z",'
    b'"triggerReason":"CablePluggedIn","seqNo":0,"transactionInfo":{"transactionId":"tx",'
    b'"chargingState":"Charging"},"evse":{"id":1}}]'
)
NEEDS = (
    b'[2,"n","NotifyEVChargingNeeds",{"evseId":1,"chargingNeeds":{"requestedEnergyTransfer":'
    b'"AC_BPT","v2xChargingParameters":{"maxChargePower":11000,"maxDischargePower":11000}}}]'
)
CONNECTS_AT_ONCE = 32


class Station(WSListener):
    """Answers every order with Accepted and everything else with NotSupported."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd, self.number = crowd, number
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        transport.send(WSMsgType.TEXT, BOOT)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        message = frame.get_payload_as_bytes()
        if message.startswith(b"[2"):
            parts = message.split(b'"', 4)
            order = parts[3] == b"SetChargingProfile"
            answer = (
                b'[3,"%b",{"status":"Accepted"}]' if order else b'[4,"%b","NotSupported","",{}]'
            )
            transport.send(WSMsgType.TEXT, answer % parts[1])
        elif message.startswith(b'[3,"b"'):
            transport.send(WSMsgType.TEXT, START)
        elif message.startswith(b'[3,"t"') and self.crowd.v2x:
            transport.send(WSMsgType.TEXT, NEEDS)
        elif message.startswith((b'[3,"t"', b'[3,"n"')):
            self.crowd.is_ready(self.number)


class Crowd:
    """All stations of the process."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.url, self.count = arguments.url, arguments.count
        self.v2x = arguments.subprotocol == "ocpp2.1"
        self.headers = {"Sec-WebSocket-Protocol": arguments.subprotocol}
        self.pki = Path(arguments.pki) if arguments.pki else None
        self.stations = [Station(self, number) for number in range(self.count)]
        self.ready: set[int] = set()
        self.gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

    def is_ready(self, number: int) -> None:
        self.ready.add(number)
        if len(self.ready) == self.count:
            print("ready", flush=True)

    async def connect_all(self) -> None:
        self.ready.clear()
        await asyncio.gather(*(self.connect(station) for station in self.stations))

    async def connect(self, station: Station) -> None:
        url = f"{self.url}/B{station.number}"
        async with self.gate:
            while True:
                try:
                    await ws_connect(
                        lambda: station,
                        url,
                        ssl_context=self.context(station.number),
                        extra_headers=self.headers,
                        websocket_handshake_timeout=60,
                    )
                    return
                except (OSError, WSError, TimeoutError):
                    await asyncio.sleep(0.2)

    def context(self, number: int) -> ssl.SSLContext | None:
        if self.pki is None:
            return None
        context = ssl.create_default_context(cafile=str(self.pki / "ca.pem"))
        context.load_cert_chain(self.pki / f"B{number}.pem", self.pki / "stations.key")
        return context

    async def storm(self) -> None:
        for station in self.stations:
            if station.transport is not None:
                station.transport.disconnect(graceful=False)
        await self.connect_all()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("subprotocol")
    parser.add_argument("pki", nargs="?", default="")
    crowd = Crowd(parser.parse_args())
    await crowd.connect_all()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        await crowd.storm()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())
