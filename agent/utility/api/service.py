"""What the HTTPS port serves: signed dispatch and OCPI, where the settings ask for them."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from agent.errors import AlarmCode, HandshakeTimeoutError
from agent.utility.api.server import ApiServer
from agent.utility.context import Context
from agent.utility.dispatch import http
from agent.utility.dispatch.desk import DispatchDesk
from agent.utility.ocpi.service import OcpiService

SOURCE: Final = "dispatch and OCPI"
CLEAR_S: Final = 60.0
_ADVICE: Final = "Check the partner's network and that it speaks TLS 1.2 or later to this port."


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
        self._late = LateHandshakes(context)
        self.server = ApiServer(context.settings.utility, app, self._late.add)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.server.run())
            if self._ocpi is not None:
                group.create_task(self._ocpi.run())


class LateHandshakes:
    """Alarm 0x22 of this port: names the last peer, and ends when none followed for a while.

    One source for all peers: a port scan must not fill the alarm list.

    Args:
        context: The control.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._text = ""
        self._clearing: asyncio.TimerHandle | None = None

    def add(self, error: HandshakeTimeoutError) -> None:
        """A handshake did not end in time."""
        self._text = str(error)
        self._context.count("api_handshake_timeouts")
        self._tell(active=True)
        if self._clearing is not None:
            self._clearing.cancel()
        self._clearing = asyncio.get_running_loop().call_later(CLEAR_S, self._clear)

    def _clear(self) -> None:
        self._clearing = None
        self._tell(active=False)

    def _tell(self, *, active: bool) -> None:
        code = AlarmCode.HANDSHAKE_TIMEOUT
        self._context.alarm(code, active, SOURCE, self._text, _ADVICE)


async def _plain(request: Request, error: Exception) -> JSONResponse:
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    return JSONResponse({"error": detail}, status)
