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
from agent.ocpp.schedules import Kind, Profile, Purpose, profile_of, read_profile
from agent.utility.context import Context
from agent.utility.csms.desires import Scene, desires, discharge_refusal, narrowest, requests_of
from agent.utility.csms.journal import Journal
from agent.utility.csms.transactions import Transactions
from agent.utility.csms.wishes import Desired, Key, WishBook

MAX_PROFILES: Final = 2000
MAX_CHECKED: Final = 32
"""Different values of one profile that the control is asked about before it is accepted."""
Call = Callable[[str, Payload], Awaitable[Payload]]


class SmartCharging:
    """Charging profiles of the CSMS, and the wishes that follow from them.

    Attributes:
        profiles: By id.
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
        self.profiles: dict[int, Profile] = {}
        for evse, t_utc_s, raw in journal.profiles():
            try:
                profile = profile_of(raw, evse, self._settings.volts, t_utc_s)
            except (RefusedError, KeyError, ValueError) as error:
                logger.warning("a kept charging profile cannot be used: {}", error)
                continue
            self.profiles[profile.profile_id] = profile

    async def set_profile(self, version: Version, payload: Payload) -> Payload:
        """Answer SetChargingProfile: accepted once the control takes what it wants now."""
        try:
            profile = read_profile(version, payload, self._settings.volts, time.time())
            profile = self._placed(version, profile)
            await self._check_wishes(profile)
        except RefusedError as error:
            return self._rejected(version, "InvalidProfile", str(error))
        before = dict(self.profiles)
        self._install(profile)
        refused = await self.renew()
        mine = refused.keys() & self._keys_of(profile)
        if mine:
            self.profiles = before
            await self.renew()
            return self._rejected(version, "Refused", refused[next(iter(mine))])
        self._keep(before, profile)
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
        gone = [
            each.profile_id
            for each in self.profiles.values()
            if (each.profile_id == wanted_id if wanted_id is not None else _fits(each, criteria))
        ]
        for profile_id in gone:
            del self.profiles[profile_id]
        self._journal.drop_profiles(gone)
        await self.renew()
        return {"status": "Accepted" if gone else "Unknown"}

    async def update(self, payload: Payload) -> Payload:
        """Answer UpdateDynamicSchedule (2.1)."""
        return await self._renew_profile(payload["chargingProfileId"], payload["scheduleUpdate"])

    async def afrr(self, payload: Payload) -> Payload:
        """Answer AFRRSignal (2.1, Q07): profiles give the signal its meaning."""
        if not any(p.signal_watt for each in self.profiles.values() for p in each.periods):
            text = "no charging profile has a v2xSignalWattCurve"
            return self._rejected(Version.V21, "NoProfile", text)
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
        parts = composite(
            self.profiles.values(), evse, running, now_s, payload["duration"], self.signal
        )
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
        ids = criteria.get("chargingProfileId")
        wanted = {**criteria, "evseId": payload.get("evseId")}
        found = [
            each
            for each in self.profiles.values()
            if (each.profile_id in ids if ids else _fits(each, wanted))
        ]
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
            self._shift(step_s)
        self._drop_ended(utc_s)
        scene = self.scene()
        wanted = desires(self.profiles.values(), scene)
        for other in self.others:
            wanted = narrowest(wanted, other(scene))
        self.wishes.expire(mono_s)
        return await self.wishes.apply(wanted, self.heard_s)

    async def pull(self, call: Call) -> None:
        """Ask for the values of dynamic profiles whose time has come (K28, PullDynamic…)."""
        now_s = time.monotonic()
        for profile in tuple(self.profiles.values()):
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
        profile = self.profiles.get(profile_id)
        if profile is None:
            text = f"there is no profile {profile_id}"
            return self._rejected(Version.V21, "InvalidProfileId", text)
        try:
            renewed = profile.renewed(update, time.time(), self._settings.volts)
            renewed = self._placed(Version.V21, renewed)
        except RefusedError as error:
            return self._rejected(Version.V21, "InvalidSchedule", str(error))
        self.profiles[profile_id] = renewed
        refused = await self.renew()
        mine = refused.keys() & self._keys_of(renewed)
        if mine:
            self.profiles[profile_id] = profile
            await self.renew()
            return self._rejected(Version.V21, "Refused", refused[next(iter(mine))])
        return {"status": "Accepted"}

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
        if len(self.profiles) >= MAX_PROFILES and profile.profile_id not in self.profiles:
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

    def _install(self, profile: Profile) -> None:
        """It replaces the one of its id, and one of its place and level (K01.FR.39)."""
        place = (profile.evse, profile.purpose, profile.stack_level)
        self.profiles = {
            each.profile_id: each
            for each in self.profiles.values()
            if (each.evse, each.purpose, each.stack_level) != place
        }
        self.profiles[profile.profile_id] = profile

    def _keep(self, before: Mapping[int, Profile], profile: Profile) -> None:
        self._journal.drop_profiles(before.keys() - self.profiles.keys())
        if profile.purpose is not Purpose.TX and profile.kind is not Kind.DYNAMIC:
            self._journal.put_profile(
                profile.profile_id, profile.evse, profile.received_utc_s, profile.payload
            )

    def _keys_of(self, profile: Profile) -> set[Key]:
        """Return the requests that a profile has a part in now."""
        return set(desires([profile], self.scene()))

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

    def _drop_ended(self, utc_s: float) -> None:
        """A TxProfile goes with its transaction (K01.FR.37), a dynamic one with its time."""
        running = self._transactions.running
        for profile in tuple(self.profiles.values()):
            ended = profile.purpose is Purpose.TX and profile.evse not in running
            over = utc_s >= min(profile.valid_to_s, _end_of(profile))
            if ended or over:
                del self.profiles[profile.profile_id]
                self._journal.drop_profiles([profile.profile_id])

    def _shift(self, step_s: float) -> None:
        """The wall clock jumped: what counts from its arrival goes on as if it had not."""
        for profile in tuple(self.profiles.values()):
            if profile.kind is Kind.DYNAMIC:
                self.profiles[profile.profile_id] = dataclasses.replace(
                    profile,
                    start_utc_s=profile.start_utc_s + step_s,
                    received_utc_s=profile.received_utc_s + step_s,
                )

    def _rejected(self, version: Version, code: str, text: str) -> Payload:
        logger.warning("the CSMS's order is refused: {}", text)
        self._context.audit("refusal", "csms", text)
        self._context.count("csms_orders_refused")
        if version is Version.V16:
            return {"status": "Rejected"}
        return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": text}}


def _fits(profile: Profile, criteria: Mapping[str, object]) -> bool:
    purpose = criteria.get("chargingProfilePurpose")
    if isinstance(purpose, str):
        purpose = purpose.replace("ChargePointMax", "ChargingStationMax")
    return (
        purpose in (None, profile.purpose.value)
        and criteria.get("stackLevel") in (None, profile.stack_level)
        and criteria.get("evseId") in (None, profile.evse)
    )


def _end_of(profile: Profile) -> float:
    """UTC second after which a profile never holds again."""
    if profile.recurrence_s or profile.kind is Kind.RELATIVE:
        return float("inf")
    return profile.start_utc_s + profile.duration_s


def _name(profile: Profile) -> str:
    return f"{profile.profile_id} ({profile.purpose}, EVSE {profile.evse})"
