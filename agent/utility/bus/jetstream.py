"""The outbox to NATS JetStream: everything once, in order, however long the broker was away.

Each gateway has a stream of its own and is the only one that may publish to its subjects. The
stream itself says where to go on: at every connect its last message is read back. From there each
message names the stream sequence that must come before it (`Nats-Expected-Last-Sequence`), so
the broker stores an unbroken chain or nothing: a message that was lost, or is still on its way on
an older connection, makes all later ones fail, and the chain is taken up anew from what the
broker holds. That needs no memory of acknowledgements and no window of time. `Nats-Msg-Id`
is set as well, for mirrors and consumers that look at it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from loguru import logger
from nats.js import JetStreamContext
from nats.js.api import PubAck, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from agent.config.bus import Bus
from agent.utility.bus.identity import Identity
from agent.utility.bus.link import LinkHealth, keep_up, together
from agent.utility.bus.nats_link import FAULTS, connection, until_lost
from agent.utility.bus.outbox import Entry
from agent.utility.bus.store import Store

NAME: Final = "nats"
WINDOW: Final = 256
"""Messages on their way at one time."""
ACK_S: Final = 5.0
"""A broker that does not answer for so long is taken for lost."""
STREAM_AGE_S: Final = 7 * 86_400.0
DUPLICATES_S: Final = 10.0
"""The broker's own memory of message names; small, because the chain does not need it."""
SEQUENCE: Final = "V2G-Sequence"
PREVIOUS: Final = "V2G-Previous"

OnTheWay = asyncio.Queue[tuple[Entry, "asyncio.Future[PubAck]"]]


def stream_config(identity: Identity) -> StreamConfig:
    """Return the stream that a gateway needs; an operator may make it with other limits."""
    return StreamConfig(
        name=identity.stream,
        subjects=list(identity.subjects),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=STREAM_AGE_S,
        duplicate_window=DUPLICATES_S,
        allow_direct=True,
    )


class JetStreamTransport:
    """Sends the outbox to the gateway's stream."""

    def __init__(self, settings: Bus, identity: Identity, store: Store) -> None:
        self._settings, self._identity, self._store = settings, identity, store
        self.health = LinkHealth()

    async def run(self) -> None:
        """Work until cancelled."""
        await keep_up(f"NATS {self._settings.nats}", self._session, FAULTS)

    async def _session(self) -> None:
        async with connection(self._settings, self._identity.name) as (client, lost):
            stream = client.jetstream(timeout=ACK_S)
            stream_seq, seq = await self._find_end(stream)
            self.health.connected = True
            self.health.connects += 1
            logger.info("NATS: {} goes on after message {}", self._identity.stream, seq)
            try:
                await together(until_lost(lost), self._send(stream, stream_seq, seq))
            finally:
                self.health.connected = False

    async def _find_end(self, stream: JetStreamContext) -> tuple[int, int]:
        """Return the stream's last sequence and the number of our last message in it."""
        name = self._identity.stream
        try:
            info = await stream.stream_info(name)
        except NotFoundError:
            if not self._settings.create_stream:
                raise
            info = await stream.add_stream(stream_config(self._identity))
        last = info.state.last_seq
        if last:
            with suppress(NotFoundError):  # it has outlived the stream's limits
                message = await stream.get_msg(name, seq=last)
                seq = int((message.headers or {}).get(SEQUENCE, 0))
                if seq > self._store.last_seq:
                    logger.warning("the broker has seen message {}: numbering goes on there", seq)
                    await self._store.renumber(seq)
                return last, seq
        return last, await self._store.position(NAME)

    async def _send(self, stream: JetStreamContext, stream_seq: int, seq: int) -> None:
        await self._store.acknowledge(NAME, seq)
        on_the_way: OnTheWay = asyncio.Queue(WINDOW)
        try:
            await together(
                self._publish(stream, stream_seq, seq, on_the_way), self._collect(on_the_way)
            )
        finally:
            while not on_the_way.empty():
                _forget(on_the_way.get_nowait()[1])

    async def _publish(
        self, stream: JetStreamContext, stream_seq: int, seq: int, on_the_way: OnTheWay
    ) -> None:
        while True:
            for entry in await self._store.read(seq, WINDOW):
                future = await stream.publish_async(
                    self._identity.subject(entry.profile),
                    entry.payload,
                    headers=_headers(self._identity, entry, stream_seq),
                )
                seq, stream_seq = entry.seq, stream_seq + 1
                self.health.sent += 1
                await on_the_way.put((entry, future))

    async def _collect(self, on_the_way: OnTheWay) -> None:
        """Await the answers in order; the first that is bad ends the session."""
        while True:
            entry, future = await on_the_way.get()
            try:
                await asyncio.wait_for(future, ACK_S)
            except APIError:  # another chain, or no room: the next session looks
                self.health.refused += 1
                raise
            self.health.acknowledged += 1
            if on_the_way.empty() or entry.seq % WINDOW == 0:
                await self._store.acknowledge(NAME, entry.seq)


def _headers(identity: Identity, entry: Entry, stream_seq: int) -> dict[str, str]:
    return {
        "Nats-Msg-Id": f"{identity.mrid}:{entry.seq}",
        "Nats-Expected-Last-Sequence": str(stream_seq),
        SEQUENCE: str(entry.seq),
        PREVIOUS: str(entry.previous),
    }


def _forget(answer: asyncio.Future[PubAck]) -> None:
    """Give an answer up; one that is already bad must be looked at, or asyncio complains."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()
