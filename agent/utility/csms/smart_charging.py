"""Smart charging as a station: the CSMS's profiles in, leased requests to the control out."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from loguru import logger

from agent.clock import StepDetector
from agent.errors import RefusedError
from agent.messages import EvseView
from agent.ocpp import CallError, Payload, Version
from agent.ocpp.composite import STATION, Running, Wish, composite, composite_payload
from agent.ocpp.schedules import Profile, Purpose, read_profile
from agent.utility.context import Context
from agent.utility.csms.desires import Scene, desires, discharge_refusal, narrowest, requests_of
from agent.utility.csms.journal import Journal
from agent.utility.csms.profile_store import ProfileStore
from agent.utility.csms.transactions import Transactions
from agent.utility.csms.wishes import Desired, Key, WishBook

MAX_PROFILES: Final = 2000
MAX_CHECKED: Final = 32
"""Different values of one profile that the control is asked about before it is accepted."""
Call = Callable[[str, Payload], Awaitable[Payload]]


class SmartCharging:
    """Charging profiles of the CSMS, and the wishes that follow from them.

    Attributes:
        store: The profiles.
        heard_s: Monotonic instant at which the CSMS was last heard; its owner keeps it.
        signal: The last AFRRSignal.
        others: Make further wishes (DER controls).
    """

    def __init__(
        self, context: Context, journal: Journal, transactions: Transactions, wishes: WishBook
    ) -> None:
        self.heard_s = -float("inf")
        self.signal: int | None = None
        self._context = context
        self._settings = context.settings.utility
        self._journal = journal
        self._transactions = transactions
        self.wishes = wishes
        self.others: list[Callable[[Scene], dict[Key, Desired]]] = []
        self._clock = StepDetector()
        self._pulled_s: dict[int, float] = {}
        self.store = ProfileStore(journal, self._settings.volts)
        self._lock = asyncio.Lock()

    async def set_profile(self, version: Version, payload: Payload) -> Payload:
        """Answer SetChargingProfile: accepted once the control takes what it wants now."""
        try:
            profile = read_profile(version, payload, self._settings.volts, time.time())
            profile = self._placed(version, profile)
            await self._check_wishes(profile)
        except RefusedError as error:
            return self._rejected(version, "InvalidProfile", str(error))
        async with self._lock:
            before = self.store.install(profile)
            reason = await self._refusal_of(profile)
            if reason:
                self.store.restore(before)
                await self.renew()
                return self._rejected(version, "Refused", reason)
            self.store.keep(before, profile)
        self._context.audit("setting", "csms", f"charging profile {_name(profile)} accepted")
        return {"status": "Accepted"}

    async def clear(self, version: Version, payload: Payload) -> Payload:
        """Answer ClearChargingProfile."""
        if version is Version.V16:
            wanted_id = payload.get("id")
            criteria = {**payload, "evseId": payload.get("connectorId")}
        else:
            wanted_id = payload.get("chargingProfileId")
            criteria = payload.get("chargingProfileCriteria", {})
        async with self._lock:
            ids = None if wanted_id is None else {wanted_id}
            gone = [each.profile_id for each in self.store.matching(ids, criteria)]
            self.store.remove(gone)
            await self.renew()
        return {"status": "Accepted" if gone else "Unknown"}

    async def update(self, payload: Payload) -> Payload:
        """Answer UpdateDynamicSchedule (2.1)."""
        return await self._renew_profile(payload["chargingProfileId"], payload["scheduleUpdate"])

    async def afrr(self, payload: Payload) -> Payload:
        """Answer AFRRSignal (2.1, Q07): profiles give the signal its meaning."""
        if not any(period.signal_watt for each in self.store for period in each.periods):
            text = "no charging profile has a v2xSignalWattCurve"
            return self._rejected(Version.V21, "NoProfile", text)
        async with self._lock:
            before, self.signal = self.signal, int(payload["signal"])
            refused = await self.renew()
            if refused:
                self.signal = before
                return self._rejected(Version.V21, "Refused", next(iter(refused.values())))
        return {"status": "Accepted"}

    def composite(self, version: Version, payload: Payload) -> Payload:
        """Answer GetCompositeSchedule."""
        evse = payload["connectorId"] if version is Version.V16 else payload["evseId"]
        views = self._views(evse)
        if evse != STATION and not views:
            return self._rejected(version, "UnknownEvse", f"there is no EVSE {evse}")
        now_s = time.time()
        running = self._running().get(evse)
        parts = composite(self.store, evse, running, now_s, payload["duration"], self.signal)
        unit = payload.get("chargingRateUnit", "W")
        return composite_payload(
            version,
            evse,
            parts,
            now_s,
            payload["duration"],
            unit,
            1.0 if unit == "W" else 3.0 * self._settings.volts,
            sum(view.status.charge_max_w for view in views.values()),
        )

    def report(self, payload: Payload) -> list[Payload]:
        """Return the ReportChargingProfiles that a GetChargingProfiles asks for."""
        criteria = payload["chargingProfile"]
        wanted = {**criteria, "evseId": payload.get("evseId")}
        found = self.store.matching(criteria.get("chargingProfileId"), wanted)
        return [
            {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "chargingProfile": [each.payload],
                "evseId": each.evse,
                "tbc": number < len(found),
            }
            for number, each in enumerate(found, start=1)
        ]

    async def renew(self) -> dict[Key, str]:
        """Make the control's requests what the profiles say now; return what it refuses."""
        mono_s, utc_s = time.monotonic(), time.time()
        if step_s := self._clock.observe(utc_s, mono_s):
            self.store.shift(step_s)
        self.store.drop_ended(self._transactions.running.keys(), utc_s)
        scene = self.scene()
        wanted = desires(self.store, scene)
        for other in self.others:
            wanted = narrowest(wanted, other(scene))
        self.wishes.expire(mono_s)
        return await self.wishes.apply(wanted, self.heard_s)

    async def pull(self, call: Call) -> None:
        """Ask for the values of dynamic profiles whose time has come (K28, PullDynamic…)."""
        now_s = time.monotonic()
        known = self.store.by_id
        self._pulled_s = {n: at_s for n, at_s in self._pulled_s.items() if n in known}
        for profile in self.store:
            last_s = self._pulled_s.setdefault(profile.profile_id, now_s)
            if profile.pull_s <= 0.0 or now_s - last_s < profile.pull_s:
                continue
            self._pulled_s[profile.profile_id] = now_s
            asked = {"chargingProfileId": profile.profile_id}
            try:
                answer = await call("PullDynamicScheduleUpdate", asked)
            except CallError as error:
                logger.warning("profile {}: no update: {}", profile.profile_id, error)
                continue
            if "scheduleUpdate" in answer:
                await self._renew_profile(profile.profile_id, answer["scheduleUpdate"])

    async def _renew_profile(self, profile_id: int, update: Mapping[str, float]) -> Payload:
        async with self._lock:
            profile = self.store.by_id.get(profile_id)
            if profile is None:
                text = f"there is no profile {profile_id}"
                return self._rejected(Version.V21, "InvalidProfileId", text)
            try:
                renewed = profile.renewed(update, time.time(), self._settings.volts)
                renewed = self._placed(Version.V21, renewed)
            except RefusedError as error:
                return self._rejected(Version.V21, "InvalidSchedule", str(error))
            before = self.store.install(renewed)
            reason = await self._refusal_of(renewed)
            if reason:
                self.store.restore(before)
                await self.renew()
                return self._rejected(Version.V21, "Refused", reason)
        return {"status": "Accepted"}

    async def _refusal_of(self, profile: Profile) -> str:
        """Carry out what the profiles say; return why the control refuses a part of this one."""
        refused = await self.renew()
        mine = refused.keys() & set(desires([profile], self.scene()))
        return refused[next(iter(mine))] if mine else ""

    def _placed(self, version: Version, profile: Profile) -> Profile:
        """Return the profile with our name of its transaction.

        Raises:
            RefusedError: It is for nobody, for another transaction, or for who cannot do it.
        """
        views = self._views(profile.evse)
        if profile.evse != STATION and not views:
            raise RefusedError(f"there is no EVSE {profile.evse}")
        if profile.purpose is Purpose.TX:
            profile = self._with_transaction(version, profile)
        if any(period.freq_watt for period in profile.periods) and profile.evse != STATION:
            raise RefusedError("the droop is a setting of the station: LocalFrequency on EVSE 0")
        if reason := discharge_refusal(profile, views):
            raise RefusedError(reason)
        if len(self.store) >= MAX_PROFILES and profile.profile_id not in self.store.by_id:
            raise RefusedError(f"there are {MAX_PROFILES} profiles already")
        return profile

    def _with_transaction(self, version: Version, profile: Profile) -> Profile:
        """1.6 has its own numbers of transactions; one that names none means the present one."""
        running = self._transactions.running.get(profile.evse)
        if running is None:
            raise RefusedError(f"EVSE {profile.evse} has no transaction")
        known = running.transaction_id
        names = {known, ""}
        if version is Version.V16:
            names.add(str(self._journal.remote_id(known)))
        if profile.transaction_id not in names:
            raise RefusedError(f"transaction {profile.transaction_id} does not run there")
        return dataclasses.replace(profile, transaction_id=known)

    async def _check_wishes(self, profile: Profile) -> None:
        """Ask the control about every value of the profile; nothing is carried out."""
        scene = self.scene()
        checks: list[dict[Key, Desired]] = []
        for period in profile.periods[:MAX_CHECKED]:
            wish = Wish(
                power_w=period.setpoint_w,
                charge_w=period.charge_w,
                discharge_w=period.discharge_w,
                freq_watt=period.freq_watt,
            )
            target = scene.names.get(profile.evse, "site")
            wanted = {
                key: Desired(value, scene.mono_s + scene.lease_s, scene.lease_s)
                for key, value in requests_of(wish, target, scene).items()
            }
            if wanted not in checks:
                checks.append(wanted)
        reasons = await asyncio.gather(*(self.wishes.check(each) for each in checks))
        if reason := next(filter(None, reasons), ""):
            raise RefusedError(reason)

    def scene(self) -> Scene:
        """Return what profiles and DER controls are read against, now."""
        running = self._running()
        names = {number: name for name, number in self._transactions.numbers.items()}
        return Scene(
            running=running,
            names=names,
            nominal_hz=float(self._context.settings.grid.nominal_hz),
            rated_w=sum(view.status.discharge_max_w for view in self._context.fleet),
            signal=self.signal,
            mono_s=time.monotonic(),
            utc_s=time.time(),
            lease_s=self._settings.lease_s,
        )

    def _running(self) -> dict[int, Running]:
        return {
            number: Running(each.transaction_id, each.start_utc_s)
            for number, each in self._transactions.running.items()
        }

    def _views(self, evse: int) -> dict[int, EvseView]:
        """Return the EVSEs that a number means: one, or all for the station."""
        views = {self._transactions.number_of(view.evse_id): view for view in self._context.fleet}
        return views if evse == STATION else {n: v for n, v in views.items() if n == evse}

    def _rejected(self, version: Version, code: str, text: str) -> Payload:
        logger.warning("the CSMS's order is refused: {}", text)
        self._context.audit("refusal", "csms", text)
        self._context.count("csms_orders_refused")
        if version is Version.V16:
            return {"status": "Rejected"}
        return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": text}}


def _name(profile: Profile) -> str:
    return f"{profile.profile_id} ({profile.purpose}, EVSE {profile.evse})"
