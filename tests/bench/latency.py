"""From the wire to the wire: how long a frequency dip takes to become an OCPP order.

The whole gateway runs as processes on an embedded site; the merging unit's frequency dips from
50.00 to 49.80 Hz 200 times, at instants that fall anywhere in a report period.

- `latency.whole_*_ms`: wire time of the first SV frame after the frequency moved → the first OCPP
  order on the wire.
- `latency.software_*_ms`: arrival of the last SV frame that the deciding estimate needed → that
  order.

As root the order is timed by the kernel on the loopback interface (a packet capture that the
gateway knows nothing of); otherwise by the moment its frame was written to the socket.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.cli.embedded import (
    Site,
    SiteOptions,
    free_port,
    process_bus_pair,
    write_configuration,
)
from agent.cli.gateway import GatewayClient
from agent.errors import UnavailableError
from agent.messages import OrderSent, Snapshot, StatusQuery

DIPS = int(os.environ.get("BENCH_DIPS", "200"))
DIP_LENGTH_S = 1.0
REST_S = 1.2
ANSWER_S = 0.5
SO_TIMESTAMPNS = 35


class OrderCapture:
    """Kernel receive times of SetChargingProfile frames on the loopback interface."""

    def __init__(self, port: int) -> None:
        self.times_s: list[float] = []
        self._port = port
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.bind(("lo", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.2)
        self._end = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end = True
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while not self._end:
            try:
                data, extra, _, address = self._socket.recvmsg(65536, 256)
            except TimeoutError:
                continue
            if address[2] != socket.PACKET_OUTGOING or b"SetChargingProfile" not in data:
                continue
            header = 14 + (data[14] & 15) * 4
            if struct.unpack_from(">H", data, header)[0] == self._port:
                self.times_s.append(_monotonic(extra))


def _monotonic(extra: list[tuple[int, int, bytes]]) -> float:
    offset_s = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return seconds + nanoseconds * 1e-9 - offset_s
    return time.monotonic()


@contextlib.contextmanager
def running_site(stations: int = 4, **options: object) -> Iterator[tuple[Site, GatewayClient]]:
    """Start the gateway on an embedded site; yield it when its frequency is good."""
    with (
        tempfile.TemporaryDirectory(prefix="v2g-bench-") as name,
        process_bus_pair() as (receiver, sender, _kind),
    ):
        site_options = SiteOptions(
            Path(name),
            stations=stations,
            dip_length_s=DIP_LENGTH_S,
            ocpp_port=free_port(),
            mms_port=free_port(),
            **options,
        )
        config = write_configuration(site_options, receiver)
        with (Path(name) / "site.log").open("wb") as log:
            site = Site(site_options, config, sender, log)
            try:
                site.start()
                yield site, _connected(site, stations)
            except UnavailableError:
                print((Path(name) / "site.log").read_text(errors="replace")[-4000:])
                raise
            finally:
                site.stop()


def _connected(site: Site, stations: int, timeout_s: float = 60.0) -> GatewayClient:
    end_s = time.monotonic() + timeout_s
    client = None
    while client is None:
        with contextlib.suppress(UnavailableError):
            client = GatewayClient(argparse.Namespace(socket=site.socket, config=site.config))
        if time.monotonic() > end_s:
            raise UnavailableError("the daemon did not come up")
        time.sleep(0.05)
    client.send(StatusQuery(watch=True))
    for message in client.messages(timeout_s):
        if isinstance(message, Snapshot) and message.complete and message.measurement:
            online = sum(view.status.online for view in message.evses)
            if online >= stations and message.loop.mode == "droop":
                return client
    raise UnavailableError("the embedded site did not come up")


def run() -> dict[str, float]:
    """Return p50 and p99 of both latencies, in milliseconds, and the number of dips."""
    dice = random.Random(1)
    with running_site() as (site, client):
        capture = OrderCapture(site.options.ocpp_port) if os.geteuid() == 0 else None
        orders: list[OrderSent] = []
        for _ in range(DIPS):
            _hear(client, orders, REST_S + dice.random() * 0.1)
            site.dip()
            _hear(client, orders, DIP_LENGTH_S + 0.1)
        dips_s = site.dips_s()
        if capture is not None:
            capture.close()
    wire_s = sorted(capture.times_s if capture is not None else [o.sent_s for o in orders])
    whole_ms, software_ms = _latencies(dips_s, orders, wire_s)
    return {
        "latency.dips": float(len(whole_ms)),
        "latency.whole_p50_ms": float(np.percentile(whole_ms, 50)),
        "latency.whole_p99_ms": float(np.percentile(whole_ms, 99)),
        "latency.software_p50_ms": float(np.percentile(software_ms, 50)),
        "latency.software_p99_ms": float(np.percentile(software_ms, 99)),
    }


def _hear(client: GatewayClient, orders: list[OrderSent], seconds: float) -> None:
    orders.extend(m for m in client.messages(seconds) if isinstance(m, OrderSent))


def _latencies(
    dips_s: list[float], orders: list[OrderSent], wire_s: list[float]
) -> tuple[list[float], list[float]]:
    whole_ms, software_ms = [], []
    times = np.asarray(wire_s)
    for dip_s in dips_s:
        later = [o for o in orders if 0 < o.sent_s - dip_s < ANSWER_S and o.wire_s > 0]
        at = int(np.searchsorted(times, dip_s))
        if not later or at >= len(times) or times[at] - dip_s > ANSWER_S:
            continue
        first = min(later, key=lambda order: order.sent_s)
        whole_ms.append((times[at] - dip_s) * 1000)
        software_ms.append((times[at] - first.wire_s) * 1000)
    return whole_ms, software_ms
