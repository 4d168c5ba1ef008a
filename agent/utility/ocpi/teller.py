"""Tells partners what became of their wishes, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from loguru import logger

from agent.errors import RefusedError
from agent.utility.context import Context
from agent.utility.ocpi.caller import Caller
from agent.utility.ocpi.objects import ProfileResult, ResultType
from agent.utility.ocpi.registry import Registry


class Teller:
    """Calls partners; OCPI wants no retries (clause 14.3.1), so none is made.

    Args:
        context: For counters.
        registry: The partners.
        caller: Calls them.
    """

    def __init__(self, context: Context, registry: Registry, caller: Caller) -> None:
        self._context = context
        self._registry = registry
        self._caller = caller
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background; its errors are logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def result(self, partner: str, url: str, result: ResultType) -> None:
        """Post a result to `url`, if there is one."""
        if url:
            self.post(partner, url, ProfileResult(result=result))

    def post(self, partner: str, url: str, body: Any) -> None:
        """Post a document to `url`."""
        self.spawn(self._tell(partner, "POST", url, body))

    def put(self, partner: str, url: str, body: Any) -> None:
        """Put a document at `url`."""
        self.spawn(self._tell(partner, "PUT", url, body))

    async def close(self) -> None:
        """End everything that is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, partner_name: str, method: str, url: str, body: Any) -> None:
        partner = self._registry.get(partner_name)
        if partner is None:
            return
        try:
            await self._caller.tell(partner, method, url, body)
            self._context.count("ocpi_told")
        except RefusedError as error:
            self._context.count("ocpi_untold")
            logger.warning("OCPI {} was not told: {} {}: {}", partner.party, method, url, error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("OCPI")
