"""What goes up to the control, after what goes out to the stations.

A change of frequency orders every station in one turn of the loop. Telling the control of each
order before the next one is written would make the last station wait for all those system calls;
so messages collect, and leave in few datagrams when the turn's orders are on the wire.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from agent.link import Batched
from agent.messages import EvseStatus, Message, OrderResult, OrderSent


class Upward(Protocol):
    """The way to the control; implemented by `agent.worker.AsyncLink`."""

    def send(self, message: Message) -> None:
        """Send one message."""

    def send_all(self, batch: list[Batched]) -> None:
        """Send many in few datagrams."""


class Outbox:
    """Collects messages of one turn of the event loop.

    Args:
        link: Where they go.
    """

    def __init__(self, link: Upward) -> None:
        self._link = link
        self._others: list[Message] = []
        self._orders: list[Batched] = []
        self._statuses: dict[str, EvseStatus] = {}
        self._scheduled = False

    def tell(self, message: Message) -> None:
        """Send soon; of several statuses of one EVSE only the newest goes."""
        if isinstance(message, (OrderSent, OrderResult)):
            self._orders.append(message)
        elif isinstance(message, EvseStatus):
            self._statuses[message.evse_id] = message
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
            self._link.send(message)
        self._link.send_all(batched)
