"""The outbox against a real mosquitto that is killed, stalled and started again."""

from __future__ import annotations

import asyncio
import contextlib
import time

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.config import Bus
from agent.utility.bus.identity import READING
from agent.utility.bus.receive import Sequencer
from tests.utility.bus.conftest import running, until

pytestmark = pytest.mark.peer


def settings(server, **values) -> Bus:
    return Bus(mqtt=server.url, commit_s=0.02, mqtt_settle_s=3.0, **values)


class Subscriber:
    """A consumer with a persistent session (MQTT 5) that follows the documented rule."""

    def __init__(self, server, topic: str) -> None:
        self.server, self.topic = server, topic
        self.heard: list[bytes] = []
        self.rule = Sequencer()
        self.connected = asyncio.Event()

    async def run(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._session()
            self.connected.clear()
            await asyncio.sleep(0.05)

    async def _session(self) -> None:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600
        client = aiomqtt.Client(
            "127.0.0.1", self.server.port, identifier="scada", clean_start=False,
            protocol=aiomqtt.ProtocolVersion.V5, properties=properties, timeout=2.0, keepalive=5,
        )  # fmt: skip
        async with client:
            await client.subscribe(self.topic, qos=1)
            self.connected.set()
            async for message in client.messages:
                named = dict(message.properties.UserProperty)
                numbers = int(named["sequence"]), int(named["previous"])
                if self.rule.is_new(str(message.topic), *numbers):
                    self.heard.append(message.payload)


@contextlib.asynccontextmanager
async def subscriber(server, topic: str):
    consumer = Subscriber(server, topic)
    task = asyncio.create_task(consumer.run())
    await asyncio.wait_for(consumer.connected.wait(), 20.0)
    # The broker knows of the session after its next save; then it outlives a kill.
    database = server.folder / "mosquitto.db"
    began_s = time.time()
    await until(lambda: database.exists() and database.stat().st_mtime > began_s + 0.1)
    yield consumer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def campaign(tmp_path, server, identity, seconds: float, kills: int) -> dict[str, float]:
    """10 Hz telemetry; the broker is killed and started again; a consumer listens all the time."""
    async with (
        subscriber(server, identity.topic(READING)) as consumer,
        running(tmp_path, settings(server), identity) as gateway,
    ):
        telemetry = asyncio.create_task(gateway.put_evenly(10.0, seconds))
        for _ in range(kills):
            await asyncio.sleep(0.7 * seconds / kills)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.2 * seconds / kills)
            await asyncio.to_thread(server.start)
        await telemetry
        await until(lambda: len(consumer.heard) >= len(gateway.sent), 60.0)
        await asyncio.sleep(0.5)
        assert gateway.transport.health.connects > kills
    assert consumer.heard == gateway.sent
    assert consumer.rule.missed == 0
    return {"samples": len(consumer.heard), "kills": kills, "repeated": consumer.rule.repeated}


async def test_broker_killed_during_10_hz_telemetry_every_sample_is_taken_once_in_order(
    tmp_path, mosquitto, identity
):
    await campaign(tmp_path, mosquitto, identity, seconds=9.0, kills=2)


async def test_what_the_broker_acknowledged_and_forgot_is_sent_again(tmp_path, mosquitto, identity):
    """Killed right after its PUBACKs, mosquitto has saved nothing of them."""
    async with subscriber(mosquitto, identity.topic(READING)):
        pass  # the session stays at the broker, nobody listens now
    async with running(tmp_path, settings(mosquitto), identity) as gateway:
        gateway.put(50)
        await until(lambda: gateway.transport.health.acknowledged == 50)
        await asyncio.to_thread(mosquitto.kill)
        await asyncio.to_thread(mosquitto.start)
        await until(lambda: gateway.transport.health.resent >= 50)
        again = Subscriber(mosquitto, identity.topic(READING))
        task = asyncio.create_task(again.run())
        await until(lambda: len(again.heard) == 50)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert again.heard == gateway.sent


async def test_messages_acknowledged_long_enough_ago_are_not_sent_again(
    tmp_path, mosquitto, identity
):
    async with running(tmp_path, settings(mosquitto), identity) as gateway:
        gateway.put(20)
        await until(lambda: gateway.transport.health.acknowledged == 20)
        done = gateway.store.last_seq
        async with asyncio.timeout(20.0):
            while await gateway.store.position("mqtt") < done:
                await asyncio.sleep(0.1)
        await asyncio.to_thread(mosquitto.kill)
        await asyncio.to_thread(mosquitto.start)
        gateway.put(1)
        await until(lambda: gateway.transport.health.acknowledged == 21)
        assert gateway.transport.health.resent == 0


async def test_a_stalled_broker_delays_messages_and_loses_none(tmp_path, mosquitto, identity):
    async with (
        subscriber(mosquitto, identity.topic(READING)) as consumer,
        running(tmp_path, settings(mosquitto), identity) as gateway,
    ):
        gateway.put(10)
        await until(lambda: len(consumer.heard) == 10)
        mosquitto.stall()
        gateway.put(100)
        await asyncio.sleep(6.0)  # longer than an answer may take
        mosquitto.resume()
        await until(lambda: len(consumer.heard) == 110, 60.0)
    assert consumer.heard == gateway.sent
