"""The fleet's part of the bus worker: a connection of its own to the area's bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.client import Client

from agent.config import Settings
from agent.control.parameters import Parameters
from agent.messages import EvseView, Message, Snapshot
from agent.utility.bus.allocation import Rules
from agent.utility.bus.bucket import Bucket
from agent.utility.bus.coordinator import Coordinator
from agent.utility.bus.energy import Stock
from agent.utility.bus.fleet_model import GATEWAY, SHARE, Area, Share
from agent.utility.bus.identity import Identity
from agent.utility.bus.lease import Terms
from agent.utility.bus.link import LinkHealth, keep_up, together
from agent.utility.bus.member import Member
from agent.utility.bus.nats_link import FAULTS, connection, until_lost

TELL_S = 1.0


class FleetLink:
    """Reports to the bucket, fetches our share, and coordinates where the settings say so.

    Args:
        settings: `[bus]`, `[fleet]`, `[grid]`, `[control]`.
        parameters: The control's local envelope.
        identity: Who we are.
        send: Sends to the control.
        stock: Returns the vehicles' energy now.
    """

    def __init__(
        self,
        settings: Settings,
        parameters: Parameters,
        identity: Identity,
        send: Callable[[Message], None],
        stock: Callable[[], Stock],
    ) -> None:
        fleet = settings.fleet
        self._bus, self._fleet, self._identity, self._stock = settings.bus, fleet, identity, stock
        self.member = Member(
            identity.name,
            parameters,
            Terms(fleet.hold_s, fleet.decay_s),
            settings.gateway.state_dir / "fleet-share.json",
            send,
        )
        self.coordinator = _coordinator(settings) if fleet.coordinator else None
        self.health = LinkHealth()

    def take(self, snapshot: Snapshot, views: tuple[EvseView, ...]) -> None:
        """Take the newest state of the control."""
        self.member.take(snapshot, views)

    async def run(self) -> None:
        """Work until cancelled; the control hears of the share with and without the bus."""
        name = f"fleet {self._bus.nats}"
        await together(self._tell(), keep_up(name, self._session, FAULTS))

    def counters(self) -> dict[str, float]:
        """Return what the heartbeat tells."""
        found = self.member.counters()
        found["fleet_connected"] = float(self.health.connected)
        found["fleet_connects"] = float(self.health.connects)
        if self.coordinator is not None:
            found["fleet_rounds"] = float(self.coordinator.rounds)
        return found

    async def _tell(self) -> None:
        while True:
            self.member.tell()
            await asyncio.sleep(min(TELL_S, self._fleet.period_s))

    async def _session(self) -> None:
        async with connection(self._bus, f"{self._identity.name} fleet") as (client, lost):
            try:
                await together(until_lost(lost), self._work(client))
            finally:
                self.health.connected = False

    async def _work(self, client: Client) -> None:
        create = self.coordinator is not None
        bucket = await Bucket.open(client, self._fleet.bucket, create=create)
        self.health.connected = True
        self.health.connects += 1
        while True:
            if (report := self.member.report(self._stock())) is not None:
                await bucket.write(GATEWAY + self._identity.mrid, report)
            if self.coordinator is not None:
                await self.coordinator.run_once(bucket)
            self.member.receive(await bucket.read(Share, SHARE + self._identity.mrid))
            self.member.tell()
            await asyncio.sleep(self._fleet.period_s)


def _coordinator(settings: Settings) -> Coordinator:
    grid, fleet = settings.grid, settings.fleet
    area = Area(inertia_s=grid.inertia_s, power_w=grid.area_power_w)
    rules = Rules(
        nominal_hz=float(grid.nominal_hz),
        factor=settings.control.stability_factor,
        lease_s=fleet.lease_s,
        hold_s=fleet.hold_s,
        reserve_s=fleet.reserve_s,
    )
    return Coordinator(area, rules)
