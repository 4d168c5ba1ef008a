"""The charging profiles that the CSMS has installed; those that hold over a restart are on disk."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from loguru import logger

from agent.errors import RefusedError
from agent.ocpp.schedules import Kind, Profile, Purpose, profile_of
from agent.utility.csms.journal import Journal


class ProfileStore:
    """Profiles by id.

    A profile replaces the one of its id, and the one of its EVSE, purpose and stack level
    (2.0.1 part 2, K01.FR.39). A TxProfile goes with its transaction (K01.FR.37).

    Args:
        journal: Keeps those that are neither dynamic nor of one transaction.
        volts: Turns limits in amperes into watts.
    """

    def __init__(self, journal: Journal, volts: float) -> None:
        self.by_id: dict[int, Profile] = {}
        self._journal = journal
        for evse, t_utc_s, raw in journal.profiles():
            try:
                profile = profile_of(raw, evse, volts, t_utc_s)
            except (RefusedError, KeyError, ValueError) as error:
                logger.warning("a kept charging profile cannot be used: {}", error)
                continue
            self.by_id[profile.profile_id] = profile

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[Profile]:
        return iter(tuple(self.by_id.values()))

    def install(self, profile: Profile) -> dict[int, Profile]:
        """Put a profile in its place; return what was there, for `restore`."""
        before = self.by_id
        place = _place(profile)
        self.by_id = {n: each for n, each in before.items() if _place(each) != place}
        self.by_id[profile.profile_id] = profile
        return before

    def restore(self, before: dict[int, Profile]) -> None:
        """Undo an `install`."""
        self.by_id = before

    def keep(self, before: Mapping[int, Profile], profile: Profile) -> None:
        """Write an installed profile to the disk, and forget those that it replaced."""
        self._drop(before.keys() - self.by_id.keys())
        if profile.purpose is not Purpose.TX and profile.kind is not Kind.DYNAMIC:
            try:
                self._journal.put_profile(
                    profile.profile_id, profile.evse, profile.received_utc_s, profile.payload
                )
            except sqlite3.Error as error:
                logger.error("profile {} holds until a restart: {}", profile.profile_id, error)

    def remove(self, ids: list[int]) -> None:
        """Forget profiles, on disk as well."""
        for profile_id in ids:
            del self.by_id[profile_id]
        if ids:
            self._drop(ids)

    def matching(self, ids: Container[int] | None, criteria: Mapping[str, Any]) -> list[Profile]:
        """Return the profiles with these ids, or, where None, those that fit the criteria."""
        if ids is not None:
            return [each for each in self if each.profile_id in ids]
        return [each for each in self if _fits(each, criteria)]

    def drop_ended(self, running: Container[int], t_utc_s: float) -> None:
        """Forget what will never hold again; `running` are the EVSEs with a transaction."""
        gone = [
            each.profile_id
            for each in self
            if (each.purpose is Purpose.TX and each.evse not in running)
            or t_utc_s >= min(each.valid_to_s, _end_of(each))
        ]
        self.remove(gone)

    def _drop(self, ids: Iterable[int]) -> None:
        try:
            self._journal.drop_profiles(ids)
        except sqlite3.Error as error:
            logger.error("profiles that ended are still on the disk: {}", error)

    def shift(self, step_s: float) -> None:
        """The wall clock jumped: what counts from its arrival goes on as if it had not."""
        for each in self:
            if each.kind is Kind.DYNAMIC:
                self.by_id[each.profile_id] = dataclasses.replace(
                    each,
                    start_utc_s=each.start_utc_s + step_s,
                    received_utc_s=each.received_utc_s + step_s,
                )


def _place(profile: Profile) -> tuple[int, Purpose, int]:
    return profile.evse, profile.purpose, profile.stack_level


def _fits(profile: Profile, criteria: Mapping[str, Any]) -> bool:
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
        return math.inf
    return profile.start_utc_s + profile.duration_s
