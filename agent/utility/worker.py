"""The process that faces the CSMS and the market: `python -m agent.utility.worker`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from agent.messages import Role
from agent.utility.api.service import ApiService
from agent.utility.context import Context
from agent.utility.csms.client import CsmsClient
from agent.utility.csms.stations import StationLinks
from agent.utility.dispatch.service import desk_of
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

COUNTERS_S: Final = 0.5


class Service(Protocol):
    """One thing that this process does, until it is cancelled."""

    async def run(self) -> None:
        """Serve; an exception ends the process, which the control starts again."""


def services_of(context: Context) -> list[Service]:
    """Return the services that the settings ask for.

    Raises:
        ConfigurationError: Files named in the settings that cannot be used.
        UnavailableError: A port is in use or may not be opened.
    """
    services: list[Service] = []
    if context.settings.utility.url:
        client = CsmsClient(context)
        services.append(client)
        if context.settings.utility.pass_through:
            services.append(StationLinks(context, client.addresses))
    desk = desk_of(context)
    if desk is not None:
        services.append(desk)
    if context.settings.utility.api_port is not None:
        services.append(ApiService(context, desk))
    return services


async def serve(
    worker: Worker, make_services: Callable[[Context], list[Service]] = services_of
) -> None:
    """Run the services beside the link, until the control ends this process."""
    link = AsyncLink(worker, lambda message: context.take(message), lambda: context.connected())
    context = Context(worker.settings, worker.name, link.send)
    services = make_services(context)
    main = asyncio.create_task(link.run())
    tasks = [asyncio.create_task(service.run()) for service in services]
    tasks.append(asyncio.create_task(_publish_counters(worker, context)))
    done, _ = await asyncio.wait([main, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    link.stop()
    await asyncio.gather(main, *tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _publish_counters(worker: Worker, context: Context) -> None:
    while True:
        merge_counters(worker, context.counters)
        await asyncio.sleep(COUNTERS_S)


def main(worker: Worker) -> None:
    """Run until told to stop."""
    asyncio.run(serve(worker))


if __name__ == "__main__":
    run_worker(Role.UTILITY, main)
