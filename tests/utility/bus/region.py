"""Several gateways of one area in this process: the real control and the real fleet link of each.

Vehicles are the control tests' bench, time is the bench's own. Every gateway reaches the broker
through a relay of its own that can be cut without anybody being told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.config import Bus, Fleet, Gateway, Grid, Settings
from agent.messages import ControlRequest, EvseView, Snapshot
from agent.utility.bus.energy import stock
from agent.utility.bus.fleet import FleetLink
from agent.utility.bus.identity import Identity
from agent.utility.bus.link import end
from agent.utility.bus.worker import local_parameters
from tests.control.conftest import Bench, evse


class Relay:
    """Passes bytes both ways until it is cut; then it keeps the connections and passes nothing."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pass(reader, far[1]), self._pass(far[0], writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
        writer.close()


class Site:
    """One gateway: control, vehicles, fleet link, relay."""

    def __init__(self, folder: Path, name: str, relay: Relay, fleet: Fleet, grid: Grid) -> None:
        self.relay, self.name = relay, name
        folder.mkdir(exist_ok=True)
        url = f"nats://127.0.0.1:{relay.port}"
        self.settings = Settings(
            path=folder / "agent.toml", gateway=Gateway(name=name, state_dir=folder),
            bus=Bus(nats=url), fleet=fleet, grid=grid,
        )  # fmt: skip
        self.identity = Identity(name, self.settings.bus.identity(name))
        self.bench = Bench(local_parameters(self.settings))
        self.bench.tick_s = 0.1  # a busy machine steps three controls in time
        self.bench.plug(*(evse(f"{name}-{i}/1") for i in range(4)))
        self.views: dict[str, EvseView] = {}
        self.link = self.new_link()
        self.advance()

    def new_link(self) -> FleetLink:
        """Return what a new bus process would have: only the disk connects it to the last one."""
        return FleetLink(
            self.settings, local_parameters(self.settings), self.identity, self._ask,
            lambda: stock(self.views.values(), 20.0, 95.0),
        )  # fmt: skip

    @property
    def gain_w_per_hz(self) -> float:
        """Slope in force."""
        return self.bench.last.loop.gain_w_per_hz

    @property
    def ordered_w(self) -> float:
        return self.bench.last.loop.ordered_w

    def advance(self, ticks: int = 1) -> None:
        """Run the control, and show its state to the fleet link."""
        for _ in range(ticks):
            outputs = self.bench.tick()
            self.views.update((view.evse_id, view) for view in outputs.evses)
        self.link.take(
            Snapshot(
                t_utc_s=time.time(), mono_s=time.monotonic(), measurement=outputs.measurement,
                loop=outputs.loop, evses=tuple(self.views.values()), complete=True, alarms=(),
                workers=(), settings=outputs.settings,
            ),
            tuple(self.views.values()),
        )  # fmt: skip

    def _ask(self, message: object) -> None:
        assert isinstance(message, ControlRequest)
        self.bench.ask(message)


@asynccontextmanager
async def area(
    folder: Path, port: int, count: int, fleet: Fleet, grid: Grid
) -> AsyncIterator[list[Site]]:
    """Run `count` gateways; the first one coordinates."""
    import msgspec

    sites: list[Site] = []
    for number in range(count):
        relay = Relay(port)
        await relay.start()
        own = msgspec.structs.replace(fleet, coordinator=number == 0)
        sites.append(Site(folder / f"G{number}", f"G{number}", relay, own, grid))
    tasks = [asyncio.create_task(site.link.run()) for site in sites]
    tasks.append(asyncio.create_task(_pump(sites)))
    try:
        yield sites
    finally:
        await end(tasks)
        for site in sites:
            site.relay.close()


async def _pump(sites: list[Site]) -> None:
    while True:
        for site in sites:
            site.advance()
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.01)
