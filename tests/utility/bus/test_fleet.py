"""Many gateways on one bucket of a real nats-server: shares, partitions, restarts."""

from __future__ import annotations

import asyncio
import time

import nats
import pytest

from agent.config import Bus, Fleet, Grid
from agent.utility.bus.bucket import Bucket
from agent.utility.bus.fleet_model import AREA, LEDGER, Area, Ledger, Share, encode
from agent.utility.bus.nats_link import connection
from tests.utility.bus.conftest import until
from tests.utility.bus.region import area

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

FLEET = Fleet(enabled=True, period_s=0.1, lease_s=2.0, hold_s=600.0, decay_s=600.0)
GRID = Grid(inertia_s=4.0, area_power_w=1.5e6, fleet_scale=3.0)
"""Three gateways whose own limits together are what the area admits at H = 4 s."""


async def state_area(server, **values) -> None:
    async with connection(Bus(nats=server.url), "operator") as (client, _):
        bucket = await Bucket.open(client, "v2g-fleet", create=True)
        await bucket.write(AREA, Area(power_w=1.5e6, t_utc_s=time.time(), **values))


async def ledger(server) -> Ledger | None:
    async with connection(Bus(nats=server.url), "operator") as (client, _):
        bucket = await Bucket.open(client, "v2g-fleet", create=True)
        return await bucket.read(Ledger, LEDGER)


async def settled(server, sites, inertia_s: float, least: float = 0.9) -> Ledger:
    """Wait until the account is for this inertia and the gateways hold no more than it says."""
    end_s = time.monotonic() + 90.0
    while time.monotonic() < end_s:
        account = await ledger(server)
        if account and account.inertia_s == inertia_s and not account.overcommitted:
            total = sum(site.gain_w_per_hz for site in sites) / account.admissible_w_per_hz
            if least < total <= 1.001:
                return account
        await asyncio.sleep(0.1)
    pytest.fail(f"{account}, {[site.gain_w_per_hz for site in sites]}")


async def test_the_gateways_share_what_the_area_admits_and_follow_its_inertia(
    tmp_path, nats_server
):
    async with area(tmp_path, nats_server.port, 3, FLEET, GRID) as sites:
        await state_area(nats_server, inertia_s=4.0)
        four = await settled(nats_server, sites, 4.0)
        await state_area(nats_server, inertia_s=2.0)
        two = await settled(nats_server, sites, 2.0)
        assert two.admissible_w_per_hz == pytest.approx(0.5 * four.admissible_w_per_hz, rel=0.1)
        gains = [site.gain_w_per_hz for site in sites]
        assert max(gains) == pytest.approx(min(gains), rel=0.1)


async def test_a_partition_in_a_frequency_event_everyone_answers_within_the_last_share(
    tmp_path, nats_server
):
    """One gateway is cut off, then inertia falls, then frequency, then the broker stalls."""
    async with area(tmp_path, nats_server.port, 3, FLEET, GRID) as sites:
        await state_area(nats_server, inertia_s=3.0)
        await settled(nats_server, sites, 3.0)
        lost = sites[2]
        share_before = lost.gain_w_per_hz
        lost.relay.cut()
        await state_area(nats_server, inertia_s=2.0)
        account = await settled(nats_server, sites, 2.0)
        assert lost.gain_w_per_hz == pytest.approx(share_before, rel=0.02)
        assert lost.gain_w_per_hz > sites[0].gain_w_per_hz  # the others made room for it
        shares = [site.gain_w_per_hz for site in sites]

        for site in sites:
            site.bench.f_hz = 49.88
        nats_server.stall()
        await until(lambda: all(site.ordered_w > 1000.0 for site in sites), 60.0)
        began = sites[0].bench.now_s
        worst = [0.0] * 3
        while min(site.bench.now_s for site in sites) < began + 4.0:  # twice the lease
            for number, site in enumerate(sites):
                worst[number] = max(worst[number], site.ordered_w / 0.12)
            assert sum(site.ordered_w for site in sites) <= (
                account.admissible_w_per_hz * 0.12 * 1.001 + 3 * 50.0
            )
            await asyncio.sleep(0.01)
        for slope, share in zip(worst, shares, strict=True):
            assert 0.9 * share < slope + 50.0 / 0.12
            assert slope <= share * 1.01 + 50.0 / 0.12
        assert {site.link.member.phase() for site in sites} <= {"fresh", "held"}
        nats_server.resume()


async def test_a_new_bus_process_without_a_broker_goes_by_the_share_on_its_disk(
    tmp_path, nats_server
):
    async with area(tmp_path, nats_server.port, 2, FLEET, GRID) as sites:
        await state_area(nats_server, inertia_s=1.0)
        await settled(nats_server, sites, 1.0, least=0.6)
    site = sites[1]
    share = site.gain_w_per_hz
    nats_server.kill()
    first = {request.request_id for request in site.bench.last.requests}
    assert first
    site.link = site.new_link()
    site.advance()
    site.link.member.tell()
    site.advance(5)
    again = {request.request_id for request in site.bench.last.requests}
    assert again
    assert not again & first  # the old process's requests were ended, after the new ones held
    assert site.gain_w_per_hz == pytest.approx(share, rel=0.02)


async def test_two_coordinators_never_hand_out_the_same_gain_twice(tmp_path, nats_server):
    async with area(tmp_path, nats_server.port, 2, FLEET, GRID) as sites:
        await state_area(nats_server, inertia_s=2.0)
        first = sites[0].link.coordinator
        second = type(first)(first._local, first._rules)
        async with connection(Bus(nats=nats_server.url), "second") as (client, _):
            bucket = await Bucket.open(client, "v2g-fleet", create=True)
            for _ in range(100):
                await asyncio.gather(*(second.run_once(bucket) for _ in range(3)))
                if second.rounds >= 3:
                    break
        assert second.rounds >= 3
        assert second.lost_rounds > 0  # they did get in each other's way
        account = await settled(nats_server, sites, 2.0, least=0.6)
        assert account.granted_w_per_hz <= account.admissible_w_per_hz * 1.001


async def test_a_gateway_takes_no_order_from_the_bus(tmp_path, nats_server):
    """Whatever lies in the bucket, only settings that narrow reach the control."""
    async with area(tmp_path, nats_server.port, 1, FLEET, GRID) as sites:
        site = sites[0]
        before = site.gain_w_per_hz
        site.link.coordinator = None
        await state_area(nats_server, inertia_s=4.0)
        client = await nats.connect(nats_server.url)
        bucket = await client.jetstream().key_value("v2g-fleet")
        key = f"share.{site.identity.mrid}"
        wide = Share(version=1, lease_s=600, inertia_s=900, gain_w_per_hz=1e12, t_utc_s=1)
        for value in (b"\x00\xff", b'{"version": "x"}', b"[]", encode(wide)):
            await bucket.put(key, value)
            await asyncio.sleep(0.3)
        await until(lambda: site.link.member.share is not None)
        await asyncio.sleep(0.5)
        assert site.gain_w_per_hz == pytest.approx(before, rel=0.01)
        assert site.ordered_w == 0.0
        kinds = {request.kind.value for request in site.bench.last.requests}
        assert kinds <= {"setting"}
        await client.close()
