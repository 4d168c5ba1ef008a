"""Partners' charging profiles in force: leased limits, renewed, changed on time, withdrawn.

A profile's times are turned into monotonic instants when it arrives; a clock that is stepped
later changes nothing. Each limit is a request with a lease; if this process dies, the limit ends
with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent.messages import (
    Authority,
    RequestKind,
    RequestStatus,
)
from agent.utility.context import Context
from agent.utility.ocpi import profiles
from agent.utility.ocpi.caller import Caller
from agent.utility.ocpi.capacity import capacity_w
from agent.utility.ocpi.objects import (
    ActiveChargingProfile,
    ChargingProfile,
    ProfileResult,
)
from agent.utility.ocpi.registry import Partner, Registry
from agent.utility.ocpi.reply import OcpiError, Status
from agent.utility.ocpi.sessions import Sessions, Stay
from agent.utility.ocpi.teller import Teller
from agent.utility.ocpi.times import format_time
from agent.utility.store import read_private, write_private

RESULT_S: Final = 30
"""A partner hears the result of a profile within this time."""
SETTLE_S: Final = 20.0
"""The power may take this long to follow; then the acceptance by the control is the result."""
OVERLAP_S: Final = 2.0
PUSH_S: Final = 5.0
"""Changes are told to a partner no more often than this."""
PUSH_LENGTH_S: Final = 1800

Key = tuple[str, str]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as it is kept over a restart."""

    partner: str
    session: str
    profile: ChargingProfile


@dataclass(slots=True)
class Running:
    """A profile in force.

    Attributes:
        plan: On the monotonic clock.
        request_id: The limit in force now; empty where there is none.
        told: What the partner knows of the capacity; `told_s`: since when.
    """

    partner: str
    origin: str
    stay: Stay
    profile: ChargingProfile
    plan: profiles.Plan
    request_id: str = ""
    task: asyncio.Task[None] | None = None
    told: float | None = None
    told_s: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ProfileDesk:
    """Carries out charging profiles.

    Args:
        context: The control.
        registry: The partners.
        sessions: The vehicles' stays.
        caller: For results.
        path: Where profiles are kept over a restart.
        watts_per_ampere: Volts times phases.
    """

    def __init__(
        self,
        context: Context,
        registry: Registry,
        sessions: Sessions,
        caller: Caller,
        path: Path,
        watts_per_ampere: float,
    ) -> None:
        self._context = context
        self._registry = registry
        self._sessions = sessions
        self._teller = Teller(context, registry, caller)
        self._path = path
        self._watts_per_ampere = watts_per_ampere
        self._lease_s = context.settings.utility.lease_s
        self._running: dict[Key, Running] = {}
        self._kept: list[Kept] | None = read_private(path, list[Kept]) or []

    def set(self, partner: Partner, stay: Stay, profile: ChargingProfile, url: str) -> None:
        """Put a profile in force in the place of the one before; the result goes to `url`.

        Raises:
            OcpiError: 2001, the profile is not valid.
        """
        running = self._make(partner, stay, profile)
        self._teller.spawn(self._replace(running, url))

    def clear(self, partner: Partner, stay: Stay, url: str) -> None:
        """End a profile; the result goes to `url`."""
        self._teller.spawn(self._clear(partner, stay, url))

    def report(self, partner: Partner, stay: Stay, duration_s: int, url: str) -> None:
        """Send what is planned to `url`."""
        active = self.active(partner.name, stay, duration_s)
        result = ProfileResult(result="ACCEPTED", profile=active)
        self._teller.post(partner.name, url, result)

    def active(self, partner: str, stay: Stay, duration_s: int) -> ActiveChargingProfile:
        """Return what is planned for a session, in watts."""
        running = self._running.get((partner, stay.id))
        periods = profiles.composite(
            running.plan if running else None,
            self._capacity_w(stay.evse_id, running),
            time.monotonic(),
            duration_s,
        )
        now = format_time(time.time())
        return ActiveChargingProfile(
            start_date_time=now,
            charging_profile=ChargingProfile(
                charging_rate_unit="W",
                start_date_time=now,
                duration=duration_s,
                charging_profile_period=periods,
            ),
        )

    def tick(self) -> None:
        """Resume after a restart, end what is over, tell partners what changed."""
        if self._kept is not None and self._context.fleet.complete:
            kept, self._kept = self._kept, None
            for item in kept:
                self._resume(item)
        for running in tuple(self._running.values()):
            if not running.stay.active or self._registry.get(running.partner) is None:
                running.ended.set()
            else:
                self._push(running)

    async def close(self) -> None:
        """Stop; limits in force end with their leases, or are resumed by the next start."""
        await self._teller.close()

    def _make(self, partner: Partner, stay: Stay, profile: ChargingProfile) -> Running:
        start_utc_s = profiles.start_utc_s(profile, stay.start_utc_s)
        start_s = time.monotonic() + start_utc_s - time.time()
        plan = profiles.plan_of(profile, start_s, self._watts_per_ampere)
        if plan.end_s <= time.monotonic():
            raise OcpiError(Status.INVALID_PARAMETERS, "the charging profile has ended already")
        return Running(partner.name, f"ocpi:{partner.party}", stay, profile, plan)

    def _resume(self, kept: Kept) -> None:
        partner, stay = self._registry.get(kept.partner), self._sessions.get(kept.session)
        if partner is not None and stay is not None and stay.active:
            with contextlib.suppress(OcpiError):  # it ended while we were not there
                self._teller.spawn(self._replace(self._make(partner, stay, kept.profile), ""))

    async def _replace(self, running: Running, url: str) -> None:
        key = (running.partner, running.stay.id)
        before = self._running.get(key)
        self._running[key] = running
        running.task = asyncio.current_task()
        self._save()
        running.told = self._capacity_w(running.stay.evse_id, running)
        try:
            await self._run(running, before, url)
        finally:
            if self._running.get(key) is running:
                del self._running[key]
                self._save()

    async def _run(self, running: Running, before: Running | None, url: str) -> None:
        """Keep the limit of now in force until the profile ends."""
        first = True
        while not running.ended.is_set():
            now_s = time.monotonic()
            limit_w = running.plan.limit_w(now_s)
            change_s = running.plan.next_change_s(now_s)
            old_id = running.request_id
            if limit_w is None:
                running.request_id = ""
                if first:
                    self._teller.result(running.partner, url, "ACCEPTED")
            else:
                self._order(running, limit_w, change_s - now_s, url if first else "")
                # The new limit goes first, so that there is no moment without one.
                await asyncio.sleep(0)
            if before is not None:
                await self._supersede(before)
                before = None
            await self._withdraw(running, old_id)
            first = False
            if now_s >= running.plan.end_s:
                return
            renew_s = now_s + self._lease_s / 2.0 if limit_w is not None else now_s + 3600.0
            with contextlib.suppress(TimeoutError):
                pause_s = max(0.0, min(change_s, renew_s) - time.monotonic())
                await asyncio.wait_for(running.ended.wait(), pause_s)
        await self._withdraw(running, running.request_id)

    def _order(self, running: Running, limit_w: float, lasts_s: float, url: str) -> None:
        running.request_id = self._context.new_id()
        lease_s = min(self._lease_s, lasts_s + OVERLAP_S)
        self._teller.spawn(self._ask(running, running.request_id, limit_w, lease_s, url))

    async def _ask(
        self, running: Running, request_id: str, limit_w: float, lease_s: float, url: str
    ) -> None:
        outcome = await self._context.request(
            RequestKind.CHARGE_LIMIT,
            limit_w,
            origin=running.origin,
            authority=Authority.MARKET,
            lease_s=lease_s,
            target=running.stay.evse_id,
            request_id=request_id,
            final=bool(url),
            timeout_s=SETTLE_S if url else 5.0,
        )
        bad = outcome.status in (RequestStatus.REFUSED, RequestStatus.FAILED)
        if bad and running.request_id == request_id:  # not one that we withdrew ourselves
            logger.warning("OCPI profile of {}: {}", running.stay.evse_id, outcome.reason)
            if url:
                running.ended.set()
                self._teller.result(running.partner, url, "REJECTED")
        else:
            self._teller.result(running.partner, url, "ACCEPTED")

    async def _supersede(self, before: Running) -> None:
        before.ended.set()
        if before.task is not None:
            await asyncio.wait([before.task])

    async def _withdraw(self, running: Running, request_id: str) -> None:
        if request_id:
            if running.request_id == request_id:
                running.request_id = ""
            await self._context.withdraw(
                request_id, origin=running.origin, authority=Authority.MARKET
            )

    async def _clear(self, partner: Partner, stay: Stay, url: str) -> None:
        running = self._running.get((partner.name, stay.id))
        if running is not None:
            await self._supersede(running)
        self._teller.result(partner.name, url, "UNKNOWN" if running is None else "ACCEPTED")

    def _push(self, running: Running) -> None:
        """Tell the partner when something else than its profile changed what is planned."""
        capacity_w = self._capacity_w(running.stay.evse_id, running)
        now_s = time.monotonic()
        if capacity_w == running.told or now_s - running.told_s < PUSH_S:
            return
        running.told, running.told_s = capacity_w, now_s
        partner = self._registry.get(running.partner)
        base = partner.endpoint("chargingprofiles", "SENDER") if partner else ""
        if base:
            url = f"{base.rstrip('/')}/{running.stay.id}"
            active = self.active(running.partner, running.stay, PUSH_LENGTH_S)
            self._teller.put(running.partner, url, active)

    def _capacity_w(self, evse_id: str, running: Running | None) -> float:
        return capacity_w(self._context.fleet, evse_id, running.origin if running else "")

    def _save(self) -> None:
        kept = [
            Kept(partner=running.partner, session=running.stay.id, profile=running.profile)
            for running in self._running.values()
        ]
        try:
            write_private(self._path, kept)
        except OSError as error:
            logger.error("{}: {}", self._path, error)
