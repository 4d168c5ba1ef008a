"""`GET /api/live`: the frames as server-sent events, to one viewer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from agent.hmi.broadcast import Broadcaster, Viewer

BLOCKED_S: Final = 20.0
"""A viewer that takes nothing for so long is let go; its page comes back when it can."""
RECHECK_FRAMES: Final = 10
_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class LiveStream:
    """The ASGI application of one stream.

    Args:
        broadcaster: Where the frames come from.
        may_look: Asked again about once a second; the stream ends when it no longer holds.
    """

    def __init__(self, broadcaster: Broadcaster, may_look: Callable[[], bool]) -> None:
        self._broadcaster = broadcaster
        self._may_look = may_look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the viewer is gone."""
        del scope
        viewer = Viewer()
        self._broadcaster.viewers.add(viewer)
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            async with asyncio.timeout(None) as limit:
                await self._serve(viewer, send, leaving, limit)
        except (TimeoutError, OSError):
            pass  # it stopped reading, or it is gone
        finally:
            self._broadcaster.viewers.discard(viewer)
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving

    async def _serve(
        self, viewer: Viewer, send: Send, leaving: asyncio.Task[None], limit: asyncio.Timeout
    ) -> None:
        loop = asyncio.get_running_loop()
        limit.reschedule(loop.time() + BLOCKED_S)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        body = b"retry: 1000\n\n" + self._broadcaster.opening()
        count = 0
        while not leaving.done() and (count % RECHECK_FRAMES or self._may_look()):
            # `send` waits while the viewer's connection is full: meanwhile frames pass by.
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await self._broadcaster.next_frame()
            limit.reschedule(loop.time() + BLOCKED_S)
            body = self._broadcaster.since(viewer)
            count += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
