"""One NATS connection that ends when the server does: reconnecting is the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import nats
import nats.errors
from loguru import logger
from nats.aio.client import Client

from agent.config.bus import Bus
from agent.utility.bus.link import password, tls_context

CONNECT_S: Final = 5
PING_S: Final = 5
CLOSE_S: Final = 2.0

FAULTS: Final = (nats.errors.Error, OSError, TimeoutError)
"""What the client raises when the server is away, refuses, or does not answer."""


@asynccontextmanager
async def connection(settings: Bus, name: str) -> AsyncIterator[tuple[Client, asyncio.Event]]:
    """Connect, and close at the end, even when the server has stopped reading.

    Yields the client and an event that is set when the connection is lost.
    """
    lost = asyncio.Event()

    async def closed() -> None:
        lost.set()

    async def note(error: Exception) -> None:
        """Errors end the session where they are awaited; a missing permission has no other sign."""
        if "permissions" in str(error).lower():
            logger.warning("{}: {}", settings.nats, error)

    options: dict[str, Any] = {}
    context = tls_context(settings, settings.nats)
    if context is not None:
        options["tls"] = context
    if settings.user:
        options |= {"user": settings.user, "password": password(settings)}
    client = Client()
    await client.connect(
        settings.nats,
        name=name,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        connect_timeout=CONNECT_S,
        ping_interval=PING_S,
        max_outstanding_pings=2,
        closed_cb=closed,
        disconnected_cb=closed,
        error_cb=note,
        **options,
    )
    try:
        yield client, lost
    finally:
        # A stalled server takes no last words; the socket is closed all the same.
        with suppress(*FAULTS):
            await asyncio.wait_for(client.close(), CLOSE_S)


async def until_lost(lost: asyncio.Event) -> None:
    """Wait, then raise.

    Raises:
        ConnectionError: The server is gone.
    """
    await lost.wait()
    raise ConnectionError("connection lost")
