"""What the HTTPS port serves: signed dispatch and OCPI, where the settings ask for them."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from agent.utility.api.server import ApiServer
from agent.utility.context import Context
from agent.utility.dispatch import http
from agent.utility.dispatch.desk import DispatchDesk
from agent.utility.ocpi.service import OcpiService


class ApiService:
    """The port and the services behind it, run and cancelled together.

    Args:
        context: The control.
        desk: Signed dispatch; None where it is off.

    Raises:
        ConfigurationError: Files named in the settings that cannot be used.
        UnavailableError: The port is in use or may not be opened.
    """

    def __init__(self, context: Context, desk: DispatchDesk | None) -> None:
        routes: list[BaseRoute] = []
        if desk is not None:
            routes += http.routes(desk)
        self._ocpi = OcpiService(context) if context.settings.ocpi.enabled else None
        if self._ocpi is not None:
            routes += self._ocpi.routes()
        app = Starlette(routes=routes, exception_handlers={HTTPException: _plain})
        self.server = ApiServer(context.settings.utility, app)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.server.run())
            if self._ocpi is not None:
                group.create_task(self._ocpi.run())


async def _plain(request: Request, error: Exception) -> JSONResponse:
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    return JSONResponse({"error": detail}, status)
