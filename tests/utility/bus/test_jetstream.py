"""The outbox against a real nats-server that is killed, stalled, emptied and started again."""

from __future__ import annotations

import asyncio

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from agent.config import Bus
from agent.utility.bus.identity import READING
from agent.utility.bus.jetstream import stream_config
from agent.utility.bus.receive import Sequencer
from tests.utility.bus.conftest import running, until

pytestmark = pytest.mark.peer


async def stored(server, identity) -> list[tuple[int, bytes]]:
    """Read all readings in the gateway's stream: (number, payload)."""
    client = await nats.connect(server.url)
    try:
        stream = client.jetstream()
        count = (await stream.stream_info(identity.stream)).state.messages
        reader = await stream.subscribe(
            f"openfmb.*.*.{identity.mrid}", stream=identity.stream, ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        )  # fmt: skip
        messages = [await reader.next_msg(timeout=10.0) for _ in range(count)]
        subject = identity.subject(READING)
        return [(numbers(m)[0], m.data) for m in messages if m.subject == subject]
    finally:
        await client.close()


def numbers(message) -> tuple[int, int]:
    """Return the message's own number and that of its predecessor."""
    return int(message.headers["V2G-Sequence"]), int(message.headers["V2G-Previous"])


def assert_all_once_in_order(messages, sent) -> None:
    numbers = [number for number, _ in messages]
    assert [payload for _, payload in messages] == sent
    assert numbers == list(range(numbers[0], numbers[0] + len(sent)))


def settings(server, **values) -> Bus:
    return Bus(nats=server.url, commit_s=0.02, **values)


async def test_what_was_published_is_in_the_stream_once_and_in_order(
    tmp_path, nats_server, identity
):
    async with running(tmp_path, settings(nats_server), identity) as gateway:
        gateway.put(1000)
        await until(lambda: gateway.transport.health.acknowledged == 1000)
    assert_all_once_in_order(await stored(nats_server, identity), gateway.sent)


async def campaign(tmp_path, server, identity, seconds: float, kills: int) -> dict[str, float]:
    """10 Hz telemetry; the broker is killed and started again; a consumer listens all the time."""
    heard: list[bytes] = []
    rule = Sequencer()

    async def consume() -> None:
        client = await nats.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        try:
            stream = client.jetstream()
            reader = await stream.pull_subscribe(
                identity.subject(READING), "scada", stream=identity.stream,
                config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=2, max_ack_pending=1),
            )  # fmt: skip
            while True:
                try:
                    for message in await reader.fetch(1, timeout=0.5):
                        if rule.is_new(message.subject, *numbers(message)):
                            heard.append(message.data)
                        await message.ack_sync()
                except (nats.errors.Error, OSError):
                    await asyncio.sleep(0.05)
        finally:
            await client.close()

    async with running(tmp_path, settings(server), identity) as gateway:
        gateway.put()
        await until(lambda: gateway.transport.health.acknowledged >= 1)
        consumer = asyncio.create_task(consume())
        telemetry = asyncio.create_task(gateway.put_evenly(10.0, seconds))
        for _ in range(kills):
            await asyncio.sleep(0.7 * seconds / kills)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.2 * seconds / kills)
            await asyncio.to_thread(server.start)
        await telemetry
        last = gateway.sent[-1]
        await until(lambda: last in heard[-1:], 60.0)
        await asyncio.sleep(0.5)
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)
        connects = gateway.transport.health.connects
    assert connects > kills
    assert_all_once_in_order(await stored(server, identity), gateway.sent)
    assert heard == gateway.sent
    assert rule.missed == 0
    return {"samples": len(heard), "kills": kills, "redelivered": rule.repeated}


async def test_broker_killed_during_10_hz_telemetry_every_sample_arrives_once_in_order(
    tmp_path, nats_server, identity
):
    await campaign(tmp_path, nats_server, identity, seconds=9.0, kills=2)


async def test_an_outage_beyond_the_brokers_duplicate_window_stores_nothing_twice(
    tmp_path, nats_server, identity
):
    """The broker's memory of names is 0.1 s here; the chain does not need it."""
    config = stream_config(identity)
    config.duplicate_window = 0.1
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(config)
    await client.close()
    async with running(tmp_path, settings(nats_server), identity) as gateway:
        gateway.put(100)
        await until(lambda: gateway.transport.health.acknowledged == 100)
        # As after a crash before any acknowledgement was noted.
        await gateway.store.acknowledge("nats", 0)
        await asyncio.to_thread(nats_server.kill)
        gateway.put(100)
        await asyncio.to_thread(nats_server.start)
        await until(lambda: gateway.transport.health.acknowledged >= 200)
    assert_all_once_in_order(await stored(nats_server, identity), gateway.sent)


async def test_a_restarted_gateway_goes_on_where_the_stream_ends(tmp_path, nats_server, identity):
    async with running(tmp_path, settings(nats_server), identity) as first:
        first.put(50)
        await until(lambda: first.transport.health.acknowledged == 50)
        await asyncio.to_thread(nats_server.kill)
        first.put(50)
    async with running(tmp_path, settings(nats_server), identity) as second:
        second.sent = list(first.sent)
        second.put(50)
        await asyncio.to_thread(nats_server.start)
        await until(lambda: second.transport.health.acknowledged >= 100)
    assert_all_once_in_order(await stored(nats_server, identity), second.sent)


async def test_a_lost_outbox_goes_on_above_what_the_broker_has_seen(
    tmp_path, nats_server, identity
):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    async with running(tmp_path / "a", settings(nats_server), identity) as first:
        await first.store.renumber(10**15)  # as if its clock had been far ahead
        first.put(10)
        await until(lambda: first.transport.health.acknowledged == 10)
    async with running(tmp_path / "b", settings(nats_server), identity) as second:
        second.put(10)
        await until(lambda: second.transport.health.acknowledged == 10)
    messages = await stored(nats_server, identity)
    assert [payload for _, payload in messages] == first.sent + second.sent
    sequence = [number for number, _ in messages]
    assert sequence == sorted(set(sequence))


async def test_a_stalled_broker_delays_messages_and_loses_or_repeats_none(
    tmp_path, nats_server, identity
):
    """What waits in the buffers of the old connection arrives late and breaks no order."""
    async with running(tmp_path, settings(nats_server), identity) as gateway:
        gateway.put(10)
        await until(lambda: gateway.transport.health.acknowledged == 10)
        nats_server.stall()
        gateway.put(600)
        await asyncio.sleep(7.0)  # longer than an answer may take: the connection is given up
        assert not gateway.transport.health.connected
        nats_server.resume()
        gateway.put(100)
        await until(lambda: gateway.transport.health.acknowledged >= 200, 60.0)
        await until(lambda: gateway.store.usage.waiting == 0, 60.0)
    assert_all_once_in_order(await stored(nats_server, identity), gateway.sent)


async def test_a_gateway_that_may_not_make_its_stream_waits_for_the_operator(
    tmp_path, nats_server, identity
):
    own = settings(nats_server, create_stream=False)
    async with running(tmp_path, own, identity) as gateway:
        gateway.put(10)
        await asyncio.sleep(1.0)
        assert gateway.transport.health.acknowledged == 0
        client = await nats.connect(nats_server.url)
        await client.jetstream().add_stream(stream_config(identity))
        await client.close()
        await until(lambda: gateway.transport.health.acknowledged == 10, 60.0)
