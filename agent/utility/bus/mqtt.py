"""The outbox to an MQTT 5 broker: QoS 1, in order, numbered; consumers drop what they know.

An MQTT broker keeps no log that could be read back, and one that is killed forgets what it
acknowledged since it last wrote its persistence file. So the outbox is the session: a message
counts as delivered when its PUBACK is `mqtt_settle_s` old, and after every connect everything that
does not is sent again, from the oldest on, in order. Each message carries its number and that of
the message before it on the same topic (user properties `sequence` and `previous`). A consumer
keeps the last number of each topic and drops what is not above it (`receive.Sequencer` is that
rule): it sees everything once, in order, and a `previous` that it has not seen tells of a loss.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import aiomqtt
from loguru import logger
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.config.bus import Bus, endpoint
from agent.utility.bus.identity import Identity
from agent.utility.bus.link import LinkHealth, keep_up, password, tls_context, together
from agent.utility.bus.outbox import Entry
from agent.utility.bus.store import Store

NAME: Final = "mqtt"
WINDOW: Final = 20
"""Messages on their way at one time."""
ANSWER_S: Final = 5.0
KEEPALIVE_S: Final = 10
SETTLE_PERIOD_S: Final = 0.5
REFUSED_FROM: Final = 0x80
"""PUBACK reason codes from here on mean that the message was not taken (MQTT 5, 3.4.2.1)."""
SEQUENCE: Final = "sequence"
PREVIOUS: Final = "previous"
FAULTS: Final = (aiomqtt.MqttError, OSError, TimeoutError)


class MqttTransport:
    """Sends the outbox to the broker's topics."""

    def __init__(self, settings: Bus, identity: Identity, store: Store) -> None:
        self._settings, self._identity, self._store = settings, identity, store
        self.health = LinkHealth()
        self._highest = 0

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_up(f"MQTT {self._settings.mqtt}", self._session, FAULTS)

    async def _session(self) -> None:
        host, port, _secure = endpoint(self._settings.mqtt)
        client = CheckedClient(
            host,
            port,
            username=self._settings.user or None,
            password=password(self._settings),
            identifier=self._identity.mrid,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,  # the outbox is the session
            tls_context=tls_context(self._settings, self._settings.mqtt),
            timeout=ANSWER_S,
            keepalive=KEEPALIVE_S,
            max_inflight_messages=WINDOW,
        )
        client.pending_calls_threshold = 2 * WINDOW
        async with client:
            seq = await self._store.position(NAME)
            self.health.connected = True
            self.health.connects += 1
            logger.info("MQTT: {} goes on after message {}", self._identity.name, seq)
            try:
                await self._send(client, seq)
            finally:
                self.health.connected = False

    async def _send(self, client: CheckedClient, seq: int) -> None:
        on_the_way: OnTheWay = asyncio.Queue(WINDOW)
        settling: Settling = deque()
        try:
            await together(
                _until_lost(client),
                self._feed(client, seq, on_the_way),
                self._collect(client, on_the_way, settling),
                self._settle(settling),
            )
        finally:
            while not on_the_way.empty():
                _forget(on_the_way.get_nowait()[1])

    async def _feed(self, client: CheckedClient, seq: int, on_the_way: OnTheWay) -> None:
        while True:
            for entry in await self._store.read(seq, 4 * WINDOW):
                sending = asyncio.ensure_future(self._publish(client, entry))
                seq = entry.seq
                self.health.sent += 1
                self.health.resent += entry.seq <= self._highest
                self._highest = max(self._highest, entry.seq)
                await on_the_way.put((entry.seq, sending))

    async def _publish(self, client: CheckedClient, entry: Entry) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [(SEQUENCE, str(entry.seq)), (PREVIOUS, str(entry.previous))]
        properties.ContentType = "application/x-protobuf"
        properties.MessageExpiryInterval = int(self._settings.mqtt_expiry_s)
        topic = self._identity.topic(entry.profile)
        await client.publish(topic, entry.payload, qos=1, properties=properties)

    async def _collect(
        self, client: CheckedClient, on_the_way: OnTheWay, settling: Settling
    ) -> None:
        """Await the answers in order; the first that is bad ends the session."""
        loop = asyncio.get_running_loop()
        while True:
            seq, sending = await on_the_way.get()
            await sending
            if client.refusal:
                self.health.refused += 1
                raise aiomqtt.MqttError(f"the broker refused a message: {client.refusal}")
            self.health.acknowledged += 1
            settling.append((loop.time(), seq))

    async def _settle(self, settling: Settling) -> None:
        """Note as delivered what was acknowledged long enough ago."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SETTLE_PERIOD_S)
            border_s, seq = loop.time() - self._settings.mqtt_settle_s, 0
            while settling and settling[0][0] <= border_s:
                _at, seq = settling.popleft()
            if seq:
                await self._store.acknowledge(NAME, seq)


OnTheWay = asyncio.Queue[tuple[int, "asyncio.Future[None]"]]
Settling = deque[tuple[float, int]]


class CheckedClient(aiomqtt.Client):
    """aiomqtt takes every PUBACK for a success; this one remembers that a message was refused."""

    refusal: str = ""

    def _on_publish(
        self,
        client: PahoClient,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason_code.value >= REFUSED_FROM:
            self.refusal = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)


async def _until_lost(client: CheckedClient) -> None:
    """Nothing is subscribed to, so nothing arrives; the iteration ends with the connection."""
    async for message in client.messages:
        logger.warning("MQTT: unexpected message on {}", message.topic)


def _forget(sending: asyncio.Future[None]) -> None:
    """Give a message up; one that already failed must be looked at, or asyncio complains."""
    if not sending.cancel() and not sending.cancelled():
        sending.exception()
