"""A thousand gateways at 10 Hz on one nats-server with JetStream on disk.

Each gateway is a connection of its own with a stream of its own, and publishes messages of the
size of a real reading in the chain that `agent.utility.bus.jetstream` sends; a consumer that
subscribes to all of them takes the time from the sender's write to its own read. The gateways are
raw protocol in several processes, the consumer is another, so that the figures are the broker's.

- `bus.gateways`, `bus.offered_per_s`: what was sent. `bus.late`: groups of messages that a sender
  began more than a period late; with them the figures say nothing about the broker.
- `bus.lost`: messages that did not come; `bus.stored`: messages that JetStream acknowledged.
- `bus.p50_ms`, `bus.p99_ms`: sender's write → consumer's read.
- `bus.broker_cpu_cores`, `bus.senders_cpu_cores`, `bus.consumer_cpu_cores`: CPU while they sent.
- `bus.outbox_commit_ms`: one commit of 10 messages in the gateway's outbox (fsync included).

`BENCH_GATEWAYS`, `BENCH_SECONDS` and `BENCH_SENDERS` change the size.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import statistics
import struct
import tempfile
import time
import uuid
from multiprocessing.connection import Connection
from pathlib import Path

import nats

from agent.utility.bus.identity import READING, Identity
from agent.utility.bus.jetstream import stream_config
from agent.utility.bus.outbox import Outbox
from tests.bench._bus_senders import PAYLOAD, Sent, work
from tests.utility.bus.brokers import NatsServer

GATEWAYS = int(os.environ.get("BENCH_GATEWAYS", "1000"))
HERTZ = 10.0
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
SENDERS = int(os.environ.get("BENCH_SENDERS", "4"))
QUIET_S = 10.0
"""The consumer stops waiting when nothing came for so long."""
HEAD_START_S = 0.5


def run() -> dict[str, float]:
    """Return the figures."""
    with tempfile.TemporaryDirectory(prefix="v2g-bench-") as name:
        server = NatsServer(Path(name), config="max_connections: 4096\n")
        server.start()
        try:
            identities = [Identity(f"G{n}", str(uuid.uuid4())) for n in range(GATEWAYS)]
            asyncio.run(_make_streams(server, identities))
            figures = _measure(server, identities)
        finally:
            server.close()
        figures["bus.outbox_commit_ms"] = _commit_ms(Path(name))
    return figures


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


def consume(port: int, expected: int, pipe: Connection) -> None:
    """Hear all messages in a process of its own; send back how old each was, and the CPU."""

    async def hear() -> list[float]:
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

    delays_s = asyncio.run(hear())
    used = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send((delays_s, used.ru_utime + used.ru_stime))


async def _make_streams(server: NatsServer, identities: list[Identity]) -> None:
    client = await nats.connect(server.url)
    stream = client.jetstream(timeout=30.0)
    for start in range(0, len(identities), 50):
        part = identities[start : start + 50]
        await asyncio.gather(*(stream.add_stream(stream_config(each)) for each in part))
    await client.close()


def _measure(server: NatsServer, identities: list[Identity]) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    rounds = int(SECONDS * HERTZ)
    expected = rounds * len(identities)
    consumer, theirs = context.Pipe()
    processes = [context.Process(target=consume, args=(server.port, expected, theirs), daemon=True)]
    pipes = []
    for number in range(SENDERS):
        part = identities[number::SENDERS]
        names = [(each.mrid.encode(), each.subject(READING).encode()) for each in part]
        ours, theirs = context.Pipe()
        arguments = (server.port, names, HERTZ, rounds, theirs)
        processes.append(context.Process(target=work, args=arguments, daemon=True))
        pipes.append(ours)
    for process in processes:
        process.start()
    for pipe in (consumer, *pipes):
        pipe.recv()  # subscribed; connected
    began_s, cpu_s = time.monotonic() + HEAD_START_S, server.cpu_s()
    for pipe in pipes:
        pipe.send(began_s)
    time.sleep(max(0.0, began_s + SECONDS - time.monotonic()))
    cpu_cores = (server.cpu_s() - cpu_s) / SECONDS
    sent: list[Sent] = [pipe.recv() for pipe in pipes]
    delays_s, consumer_cpu_s = consumer.recv()
    for process in processes:
        process.join()
    return _figures(sent, delays_s, expected) | {
        "bus.broker_cpu_cores": cpu_cores,
        "bus.consumer_cpu_cores": consumer_cpu_s / SECONDS,
    }


def _figures(sent: list[Sent], delays_s: list[float], expected: int) -> dict[str, float]:
    cuts = statistics.quantiles(delays_s, n=100)
    took_s = max(each.took_s for each in sent)
    return {
        "bus.gateways": float(GATEWAYS),
        "bus.offered_per_s": expected / max(took_s, SECONDS),
        "bus.late": float(sum(each.late for each in sent)),
        "bus.lost": float(expected - len(delays_s)),
        "bus.stored": float(sum(each.stored for each in sent)),
        "bus.refused": float(sum(each.refused for each in sent)),
        "bus.p50_ms": 1000.0 * cuts[49],
        "bus.p99_ms": 1000.0 * cuts[98],
        "bus.senders_cpu_cores": sum(each.cpu_s for each in sent) / took_s,
    }


def _commit_ms(folder: Path) -> float:
    outbox = Outbox(folder / "o.db", ["nats"], max_bytes=1e9, keep_s=0.0)
    times_s = []
    for _ in range(50):
        began_s = time.monotonic()
        outbox.commit([(time.time(), READING, bytes(PAYLOAD))] * 10)
        times_s.append(time.monotonic() - began_s)
    outbox.close()
    return 1000.0 * statistics.median(times_s)
