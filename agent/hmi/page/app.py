"""The page's routes."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent import __version__
from agent.config import Settings
from agent.errors import ConfigurationError, DecodeError
from agent.hmi.broadcast import Broadcaster
from agent.hmi.page.access import Access
from agent.hmi.page.assets import Assets
from agent.hmi.page.orders import Orders
from agent.hmi.page.security import Guard
from agent.hmi.page.stream import LiveStream
from agent.hmi.records import Records


class Page:
    """The page as an ASGI application.

    Args:
        settings: Names and limits that the page shows.
        access: Who may look and order.
        orders: What operators ask.
        broadcaster: Live values.
        records: Recorded events.
    """

    def __init__(
        self,
        settings: Settings,
        access: Access,
        orders: Orders,
        broadcaster: Broadcaster,
        records: Records,
    ) -> None:
        self._settings = settings
        self._access = access
        self._broadcaster = broadcaster
        self._records = records
        assets = Assets()
        routes = [
            Route("/", assets.page),
            Route("/static/{name}", assets.file),
            Route("/api/session", access.describe),
            Route("/api/login", access.log_in, methods=["POST"]),
            Route("/api/logout", access.log_out, methods=["POST"]),
            Route("/api/orders", orders.order, methods=["POST"]),
            Route("/api/site", self._site),
            Route("/api/events", self._events),
            Route("/api/events/{name}", self._event),
            Route("/api/live", _Live(self)),
        ]
        self.app: ASGIApp = Guard(
            Starlette(routes=routes),
            local=settings.hmi.is_local,
            tls=settings.hmi.certificate is not None,
        )

    def stream(self, request: Request) -> ASGIApp:
        """Return the application that serves a viewer, or one that refuses."""
        if not self._access.may_look(request):
            return _REFUSED
        if len(self._broadcaster.viewers) >= self._settings.hmi.max_viewers:
            return JSONResponse({"error": "too many pages are open"}, 503)
        return LiveStream(self._broadcaster, lambda: self._access.may_look(request))

    async def _site(self, request: Request) -> Response:
        if not self._access.may_look(request):
            return _REFUSED
        grid = self._settings.grid
        body: dict[str, Any] = {
            "name": self._settings.gateway.name,
            "version": __version__,
            "nominal_hz": grid.nominal_hz,
            "nominal_v": grid.nominal_v,
        }
        return JSONResponse(body)

    async def _events(self, request: Request) -> Response:
        if not self._access.may_look(request):
            return _REFUSED
        return JSONResponse({"events": await asyncio.to_thread(self._records.newest)})

    async def _event(self, request: Request) -> Response:
        if not self._access.may_look(request):
            return _REFUSED
        name = request.path_params["name"]
        try:
            body = await asyncio.to_thread(self._records.waveforms, name)
        except (OSError, DecodeError, ConfigurationError):
            return JSONResponse({"error": "no such event"}, 404)
        return Response(body, media_type="application/json")


class _Live:
    """Starlette takes an object as an ASGI application, where a function is a handler."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        await self._page.stream(request)(scope, receive, send)


_REFUSED = JSONResponse({"error": "log in first"}, 401)
