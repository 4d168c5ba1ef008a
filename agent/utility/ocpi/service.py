"""OCPI as the settings ask for it."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.routing import Route

from agent.config.utility import Ocpi
from agent.errors import ConfigurationError, Finding
from agent.utility.context import Context
from agent.utility.ocpi.app import OcpiApp
from agent.utility.ocpi.caller import Caller
from agent.utility.ocpi.profile_desk import ProfileDesk
from agent.utility.ocpi.registry import Registry, load_invitations
from agent.utility.ocpi.sessions import Sessions
from agent.utility.ocpi.site import Site

TICK_S: Final = 1.0
PHASES: Final = {"AC_1_PHASE": 1, "AC_2_PHASE": 2, "AC_2_PHASE_SPLIT": 2, "AC_3_PHASE": 3, "DC": 1}


class OcpiService:
    """Keeps locations, sessions and profiles up to date.

    Args:
        context: The control.

    Raises:
        ConfigurationError: The tokens or authorities cannot be used.
    """

    def __init__(self, context: Context) -> None:
        settings, gateway = context.settings.ocpi, context.settings.gateway
        if settings.tokens is None:
            raise ConfigurationError((Finding("ocpi.tokens", "is missing"),))
        folder, name = gateway.state_dir, context.name
        self._context = context
        self._site = Site(settings, gateway.name, time.time())
        self._sessions = Sessions(settings, self._site.id, folder / f"{name}.sessions.json")
        self._caller = Caller(settings)
        registry = Registry(folder / f"{name}.partners.json", load_invitations(settings.tokens))
        self._profiles = ProfileDesk(
            context,
            registry,
            self._sessions,
            self._caller,
            folder / f"{name}.profiles.json",
            _watts_per_ampere(settings),
        )
        self._app = OcpiApp(
            context,
            settings,
            registry,
            self._site,
            self._sessions,
            self._profiles,
            self._caller,
        )

    def routes(self) -> list[Route]:
        """Return the routes of the HTTPS port."""
        return self._app.routes()

    async def run(self) -> None:
        """Follow the fleet until cancelled."""
        try:
            while True:
                self.tick()
                await asyncio.sleep(TICK_S)
        finally:
            self._sessions.save()
            await self._profiles.close()
            await self._caller.close()

    def tick(self) -> None:
        """Take the fleet as it is now."""
        fleet = self._context.fleet
        if len(fleet) or fleet.complete:
            now_utc_s = time.time()
            self._site.update(fleet, complete=fleet.complete, now_utc_s=now_utc_s)
            self._sessions.update(fleet, now_s=time.monotonic(), now_utc_s=now_utc_s)
        self._profiles.tick()


def _watts_per_ampere(settings: Ocpi) -> float:
    return float(settings.max_voltage * PHASES[settings.power_type])
