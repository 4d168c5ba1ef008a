"""What goes up to the control, after what goes out to the stations.

A change of frequency orders every station in one turn of the loop. Telling the control of each
order before the next one is written would make the last station wait for all those system calls;
so messages collect and leave when the turn's orders are on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.messages import EvseStatus, Message


class Outbox:
    """Collects messages of one turn of the event loop.

    Args:
        send: Sends one message at once.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._waiting: list[Message] = []
        self._statuses: dict[str, EvseStatus] = {}
        self._scheduled = False

    def tell(self, message: Message) -> None:
        """Send soon, in order; of several statuses of one EVSE only the newest goes."""
        if isinstance(message, EvseStatus):
            self._statuses[message.evse_id] = message
        else:
            self._waiting.append(message)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send everything; statuses last, so that they include what the other messages say."""
        self._scheduled = False
        waiting, self._waiting = self._waiting, []
        statuses, self._statuses = self._statuses, {}
        for message in waiting:
            self._send(message)
        for status in statuses.values():
            self._send(status)
