"""A thousand gateways at 10 Hz on one nats-server with JetStream on disk.

Each gateway is a connection of its own with a stream of its own, and publishes messages of the
size of a real reading in the chain that `agent.utility.bus.jetstream` sends; a consumer that
subscribes to all of them takes the time from the sender's write to its own read. Senders are raw
protocol in one process, so that this side costs as little as it can; the broker is real.

- `bus.gateways`, `bus.offered_per_s`: what was sent.
- `bus.lost`: messages that did not come; `bus.stored`: messages that JetStream acknowledged.
- `bus.p50_ms`, `bus.p99_ms`: sender's write → consumer's read.
- `bus.broker_cpu_share`: CPU of the broker, in cores.
- `bus.outbox_commit_ms`: one commit of 10 messages in the gateway's outbox (fsync included).
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import statistics
import struct
import tempfile
import time
import uuid
from pathlib import Path

import nats

from agent.utility.bus.identity import READING, Identity
from agent.utility.bus.jetstream import stream_config
from agent.utility.bus.outbox import Outbox
from tests.utility.bus.brokers import NatsServer

GATEWAYS = int(os.environ.get("BENCH_GATEWAYS", "1000"))
HERTZ = 10.0
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
PAYLOAD = 230
"""Bytes of an ESSReadingProfile with three voltages."""
QUIET_S = 10.0
"""The consumer stops waiting when nothing came for so long."""
FILLER = bytes(PAYLOAD - 8)


def run() -> dict[str, float]:
    """Return the figures."""
    with tempfile.TemporaryDirectory(prefix="v2g-bench-") as name:
        server = NatsServer(Path(name), config="max_connections: 4096\n")
        server.start()
        try:
            figures = asyncio.run(_measure(server))
        finally:
            server.close()
        figures["bus.outbox_commit_ms"] = _commit_ms(Path(name))
    return figures


class Sender(asyncio.Protocol):
    """One gateway in raw protocol: no parsing but counting the acknowledgements."""

    def __init__(self, identity: Identity) -> None:
        self.subject = identity.subject(READING).encode()
        self.mrid = identity.mrid.encode()
        self.inbox = b"_INBOX." + identity.mrid.replace("-", "").encode()
        self.seq = self.acknowledged = 0
        self.refused = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
        transport.write(b"SUB " + self.inbox + b" 1\r\n")

    def data_received(self, data: bytes) -> None:
        self.acknowledged += data.count(b'"seq":')
        self.refused += data.count(b'"error":')
        if b"PING\r\n" in data:
            self._transport.write(b"PONG\r\n")

    def send(self) -> None:
        self.seq += 1
        header = (
            b"NATS/1.0\r\nNats-Msg-Id: %s:%d\r\nNats-Expected-Last-Sequence: %d\r\n"
            b"V2G-Sequence: %d\r\nV2G-Previous: %d\r\n\r\n"
            % (self.mrid, self.seq, self.seq - 1, self.seq, self.seq - 1)
        )
        size = len(header)
        line = b"HPUB %s %s %d %d\r\n" % (self.subject, self.inbox, size, size + PAYLOAD)
        stamp = struct.pack("d", time.monotonic())
        self._transport.write(line + header + stamp + FILLER + b"\r\n")


class Consumer(asyncio.Protocol):
    """Hears every gateway; notes how old each message is when it is read."""

    def __init__(self) -> None:
        self.delays_s: list[float] = []
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
        transport.write(b"SUB openfmb.> 1\r\n")

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        buffer, at = self._buffer + data, 0
        while (end := buffer.find(b"\r\n", at)) >= 0:
            line = buffer[at:end]
            if line.startswith(b"HMSG"):
                header, total = map(int, line.rsplit(b" ", 2)[1:])
                after = end + 2 + total + 2
                if after > len(buffer):
                    break
                (sent_s,) = struct.unpack_from("d", buffer, end + 2 + header)
                self.delays_s.append(now_s - sent_s)
                at = after
                continue
            if line == b"PING":
                self._transport.write(b"PONG\r\n")
            at = end + 2
        self._buffer = buffer[at:]


def consume(port: int, expected: int, pipe) -> None:
    """Hear all messages in a process of its own; send back how old each was."""

    async def work() -> list[float]:
        loop = asyncio.get_running_loop()
        _, consumer = await loop.create_connection(Consumer, "127.0.0.1", port)
        await asyncio.sleep(0.5)
        pipe.send("ready")
        before, quiet_s = 0, 0.0
        while len(consumer.delays_s) < expected and quiet_s < QUIET_S:
            await asyncio.sleep(0.1)
            grown = len(consumer.delays_s) > before or not before
            quiet_s = 0.0 if grown else quiet_s + 0.1
            before = len(consumer.delays_s)
        return consumer.delays_s

    pipe.send(asyncio.run(work()))


async def _measure(server: NatsServer) -> dict[str, float]:
    identities = [Identity(f"G{n}", str(uuid.uuid4())) for n in range(GATEWAYS)]
    client = await nats.connect(server.url)
    stream = client.jetstream(timeout=30.0)
    for start in range(0, GATEWAYS, 50):
        part = identities[start : start + 50]
        await asyncio.gather(*(stream.add_stream(stream_config(each)) for each in part))
    await client.close()
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    expected = int(SECONDS * HERTZ) * GATEWAYS
    process = context.Process(target=consume, args=(server.port, expected, theirs), daemon=True)
    process.start()
    await asyncio.to_thread(ours.recv)  # it has subscribed
    senders = [
        (await loop.create_connection(lambda each=each: Sender(each), "127.0.0.1", server.port))[1]
        for each in identities
    ]
    cpu_s, began_s = server.cpu_s(), loop.time()
    await _send_evenly(senders, began_s)
    took_s = loop.time() - began_s
    cpu_share = (server.cpu_s() - cpu_s) / took_s
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20.0):
            while _stored(senders) < expected:
                await asyncio.sleep(0.05)
    delays_s = await asyncio.to_thread(ours.recv)
    process.join()
    cuts = statistics.quantiles(delays_s, n=100)
    return {
        "bus.gateways": float(GATEWAYS),
        "bus.offered_per_s": expected / took_s,
        "bus.lost": float(expected - len(delays_s)),
        "bus.stored": float(_stored(senders)),
        "bus.refused": float(sum(sender.refused for sender in senders)),
        "bus.p50_ms": 1000.0 * cuts[49],
        "bus.p99_ms": 1000.0 * cuts[98],
        "bus.broker_cpu_share": cpu_share,
    }


async def _send_evenly(senders: list[Sender], began_s: float) -> None:
    """Spread the gateways over the period, as their own clocks would."""
    loop = asyncio.get_running_loop()
    period_s = 1.0 / HERTZ
    slots = 50
    for round_number in range(int(SECONDS * HERTZ)):
        for slot in range(slots):
            due_s = began_s + (round_number + slot / slots) * period_s
            if (rest_s := due_s - loop.time()) > 0.0:
                await asyncio.sleep(rest_s)
            for sender in senders[slot::slots]:
                sender.send()
        await asyncio.sleep(0)


def _stored(senders: list[Sender]) -> int:
    return sum(sender.acknowledged for sender in senders)


def _commit_ms(folder: Path) -> float:
    outbox = Outbox(folder / "o.db", ["nats"], max_bytes=1e9, keep_s=0.0)
    times_s = []
    for _ in range(50):
        began_s = time.monotonic()
        outbox.commit([(time.time(), READING, bytes(PAYLOAD))] * 10)
        times_s.append(time.monotonic() - began_s)
    outbox.close()
    return 1000.0 * statistics.median(times_s)
