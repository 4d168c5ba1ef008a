"""What goes up to the control, after what goes out to the stations.

A change of frequency orders every station in one turn of the loop. Telling the control of each
order before the next one is written would make the last station wait for all those system calls;
so messages collect, and leave in few datagrams when the turn's orders are on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from agent.messages import Batch, EvseStatus, Message, OrderResult, OrderSent

BATCH: Final = 64


class Outbox:
    """Collects messages of one turn of the event loop.

    Args:
        send: Sends one message at once.
        congested: Whether earlier messages still wait for room; then each goes by itself, so
            that the link can let a newer status replace an older one.
    """

    def __init__(self, send: Callable[[Message], None], congested: Callable[[], bool]) -> None:
        self._send = send
        self._congested = congested
        self._numbers = count(1)
        self._others: list[Message] = []
        self._orders: list[OrderSent | OrderResult] = []
        self._statuses: dict[str, EvseStatus] = {}
        self._scheduled = False

    def tell(self, message: Message) -> None:
        """Send soon; of several statuses of one EVSE only the newest goes."""
        if isinstance(message, EvseStatus):
            self._statuses[message.evse_id] = message
        elif isinstance(message, OrderSent | OrderResult):
            self._orders.append(message)
        else:
            self._others.append(message)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send everything; statuses last, so that they include what the orders' results say."""
        self._scheduled = False
        others, self._others = self._others, []
        batched = [*self._orders, *self._statuses.values()]
        self._orders, self._statuses = [], {}
        for message in others:
            self._send(message)
        if len(batched) == 1 or self._congested():
            for message in batched:
                self._send(message)
            return
        for start in range(0, len(batched), BATCH):
            self._send(Batch(next(self._numbers), tuple(batched[start : start + BATCH])))
