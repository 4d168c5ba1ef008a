"""Modbus field devices: how long a poll takes, how soon a setpoint is on the wire, and who waits.

Simulated SunSpec inverters on Modbus/TCP in a process of their own; the field worker's own tasks
(`agent.vehicles.field.device`) with real sockets in this one.

- `field.devices`, `field.poll_period_s`: inverters, and how often each is to be read.
- `field.poll_p50_ms`, `field.poll_p99_ms`: one whole poll (701, 704) of one device, all polled.
- `field.polls_per_s`: of all devices together. `field.cpu_cores`: of the worker's process.
- `field.order_to_wire_p50_ms`, `…_p99_ms`: order taken → its first write is about to be sent.
- `field.order_to_readback_p50_ms`, `…_p99_ms`: order taken → kept value read back.
- `field.stalled_*`: the same orders to the others while one device answers nothing at all.

`BENCH_DEVICES` and `BENCH_SECONDS` change the size.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from pymodbus.server import ModbusTcpServer

from agent.config.field import Field, FieldDevice
from agent.messages import Setpoint
from agent.vehicles.field.device import FieldTask
from agent.vehicles.field.port import Ports
from agent.vehicles.simulated.inverter import SimulatedInverter

DEVICES = int(os.environ.get("BENCH_DEVICES", "50"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "8"))
POLL_S = 0.25
ORDER_S = 0.02
"""An order to one of the devices this often."""
READY_S = 60.0
LEAST = 20
"""Fewer times have no 99th percentile."""


@dataclass
class Timed:
    """Who hears of the devices, with the times of what is heard, by device."""

    taken_s: dict[str, float] = field(default_factory=dict)
    wire_s: list[float] = field(default_factory=list)
    readback_s: list[float] = field(default_factory=list)
    refused: int = 0

    def changed(self, device: FieldTask) -> None:
        """Readings are counted by the device itself."""

    def sent(self, device: FieldTask, order: Setpoint) -> None:
        """The next thing that the device's task does is the write."""
        self.wire_s.append(time.monotonic() - self.taken_s[device.name])

    def answered(self, device: FieldTask, order: Setpoint, reason: str) -> None:
        """Written and read back."""
        self.readback_s.append(time.monotonic() - self.taken_s[device.name])
        self.refused += bool(reason)


class Polls:
    """Times of whole polls: from a poll's first request to its last answer."""

    def __init__(self, task: FieldTask) -> None:
        self.seconds: list[float] = []
        self._run = task.conversation.run

    async def run(self, dialogue):
        """Carry out a dialogue; note how long it took where it is a poll."""
        began_s = time.monotonic()
        result = await self._run(dialogue)
        if dialogue.__name__ == "poll":
            self.seconds.append(time.monotonic() - began_s)
        return result


def run() -> dict[str, float]:
    """Return the figures."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(DEVICES, theirs), daemon=True)
    process.start()
    try:
        return asyncio.run(_measure(pipe.recv(), pipe))
    finally:
        process.kill()
        process.join()


def serve(count: int, pipe: Connection) -> None:
    """Serve `count` inverters; tell their ports; stall the first when told so."""

    async def work() -> None:
        stalled = asyncio.Event()
        loop = asyncio.get_running_loop()
        servers = []
        for number in range(count):
            device = SimulatedInverter(serial=f"SIM-{number}").device()
            if number == 0:
                device.action = _stalling(device.action, stalled)
            server = ModbusTcpServer(device, address=("127.0.0.1", 0))
            await server.serve_forever(background=True)
            servers.append(server)
        pipe.send([server.transport.sockets[0].getsockname()[1] for server in servers])
        loop.add_reader(pipe.fileno(), lambda: (pipe.recv(), stalled.set()))
        await asyncio.Event().wait()

    asyncio.run(work())


def _stalling(action, stalled: asyncio.Event):
    async def act(*request):
        if stalled.is_set():
            await asyncio.sleep(3600.0)
        return await action(*request)

    return act


async def _measure(ports: list[int], pipe: Connection) -> dict[str, float]:
    devices = tuple(
        FieldDevice(
            name=f"inverter{n}", role="inverter", host="127.0.0.1", port=port, poll_s=POLL_S
        )
        for n, port in enumerate(ports)
    )
    with tempfile.TemporaryDirectory(prefix="v2g-bench-") as folder:
        connections = Ports(Field(device=devices), Path(folder))
        timed = Timed()
        tasks = [
            FieldTask(
                settings=each, description=None, conversation=connections.conversation(each),
                listener=timed, nominal_hz=50.0, adopt_s=1.0,
            )
            for each in devices
        ]  # fmt: skip
        polls = [Polls(task) for task in tasks]
        for task, each in zip(tasks, polls, strict=True):
            task.conversation.run = each.run
        async with _running(tasks):
            for each in polls:
                each.seconds.clear()
            figures = await _order(tasks, timed, polls)
            pipe.send("stall")
            await asyncio.sleep(0.5)
            stalled = await _order(tasks[1:], timed, polls[1:])
            figures |= {
                key.replace("field.", "field.stalled_"): value
                for key, value in stalled.items()
                if "order" in key or "poll_p" in key
            }
        connections.close()
    return figures


@contextlib.asynccontextmanager
async def _running(tasks: list[FieldTask]) -> AsyncIterator[None]:
    running = [asyncio.create_task(task.run()) for task in tasks]
    try:
        async with asyncio.timeout(READY_S):
            while not all(task.online for task in tasks):
                await asyncio.sleep(0.05)
        yield
    finally:
        for task in tasks:
            task.end()
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _order(tasks: list[FieldTask], timed: Timed, polls: list[Polls]) -> dict[str, float]:
    """Order for a while, one device after the other; return the figures of that time."""
    timed.wire_s.clear()
    timed.readback_s.clear()
    before = [len(each.seconds) for each in polls]
    cpu_s, began_s = _cpu_s(), time.monotonic()
    number = 0
    while time.monotonic() < began_s + SECONDS / 2:
        task = tasks[number % len(tasks)]
        number += 1
        timed.taken_s[task.name] = now_s = time.monotonic()
        task.take(Setpoint(task.name, number, float(number % 100) * 50.0, 30.0, now_s))
        await asyncio.sleep(ORDER_S)
    await asyncio.sleep(0.3)
    took_s = time.monotonic() - began_s
    seconds = [s for each, n in zip(polls, before, strict=True) for s in each.seconds[n:]]
    return {
        "field.devices": float(len(tasks)),
        "field.poll_period_s": POLL_S,
        "field.polls_per_s": len(seconds) / took_s,
        "field.cpu_cores": (_cpu_s() - cpu_s) / took_s,
        "field.orders_refused": float(timed.refused),
        **_cuts("field.poll", seconds),
        **_cuts("field.order_to_wire", timed.wire_s),
        **_cuts("field.order_to_readback", timed.readback_s),
    }


def _cuts(name: str, seconds: list[float]) -> dict[str, float]:
    if len(seconds) < LEAST:
        return {}
    cuts = statistics.quantiles(seconds, n=100)
    return {f"{name}_p50_ms": 1000.0 * cuts[49], f"{name}_p99_ms": 1000.0 * cuts[98]}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
