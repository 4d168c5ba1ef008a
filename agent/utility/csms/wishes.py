"""What the CSMS wants, as leased requests to the control: renewed while the CSMS is heard.

A request ends by itself `lease_s` after the CSMS was last heard, or earlier where its profile says
so. Nothing here has to notice that a connection is dead for a wish to end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.messages import Authority, RequestKind, RequestOutcome, RequestStatus
from agent.utility.context import Context

RENEW: Final = 0.5
"""A lease is renewed when less than this share of it is left."""
LEAST_S: Final = 0.05
AGAIN_S: Final = 30.0
"""What the control refused is asked again after this time: its reason may be gone."""

BAD: Final = frozenset({RequestStatus.REFUSED, RequestStatus.FAILED})

Key = tuple[str, RequestKind, str]
"""Target, kind and setting: what a newer wish replaces."""


@dataclass(frozen=True, slots=True)
class Desired:
    """One wish: a value, the monotonic instant at which it ends, and how long without a word."""

    value: float
    until_s: float
    lease_s: float


@dataclass(frozen=True, slots=True)
class _Standing:
    request_id: str
    value: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _Refused:
    value: float
    reason: str
    at_s: float


class WishBook:
    """Keeps the control's requests as the wishes are.

    Args:
        context: The control.
        origin: Who wishes, for the audit. `authority`: its rank.
    """

    def __init__(self, context: Context, origin: str, authority: Authority) -> None:
        self._context = context
        self._origin = origin
        self._authority = authority
        self._standing: dict[Key, _Standing] = {}
        self._refused: dict[Key, _Refused] = {}
        self._lock = asyncio.Lock()
        context.on_connect.append(self._standing.clear)

    def __len__(self) -> int:
        return len(self._standing)

    @property
    def refusals(self) -> dict[Key, str]:
        """Wishes that the control refuses, and why."""
        return {key: each.reason for key, each in self._refused.items()}

    async def apply(self, desired: Mapping[Key, Desired], heard_s: float) -> dict[Key, str]:
        """Make the control's requests those that are desired; return what it refuses, and why.

        Args:
            desired: Everything that is wished now.
            heard_s: Monotonic instant at which the CSMS was last heard.
        """
        async with self._lock:
            now_s = time.monotonic()
            refused: dict[Key, str] = {}
            work: list[tuple[Key, float, float]] = []
            for key, wish in desired.items():
                end_s = min(wish.until_s, heard_s + wish.lease_s)
                if end_s - now_s >= LEAST_S and self._is_due(key, wish, end_s, now_s):
                    work.append((key, wish.value, end_s))
            outcomes = await asyncio.gather(*(self._ask(*item) for item in work))
            for (key, value, _), outcome in zip(work, outcomes, strict=True):
                if outcome.status in BAD:
                    refused[key] = outcome.reason
                    self._refused[key] = _Refused(value, outcome.reason, now_s)
            gone = [key for key in self._standing if key not in desired]
            await asyncio.gather(*(self._withdraw(key) for key in gone))
            for key in [each for each in self._refused if each not in desired]:
                del self._refused[key]
            return refused

    async def check(self, desired: Mapping[Key, Desired]) -> str:
        """Return why the control would refuse one of these wishes; empty where it would not."""
        outcomes = await asyncio.gather(
            *(
                self._request(key, wish.value, wish.lease_s, test=True)
                for key, wish in desired.items()
            )
        )
        return next((each.reason for each in outcomes if each.status in BAD), "")

    def expire(self, now_s: float) -> None:
        """Forget requests whose lease is over: the control has forgotten them too."""
        for key in [key for key, each in self._standing.items() if each.end_s <= now_s]:
            del self._standing[key]

    def _is_due(self, key: Key, wish: Desired, end_s: float, now_s: float) -> bool:
        standing = self._standing.get(key)
        if standing is None:
            refused = self._refused.get(key)
            if refused is None or refused.value != wish.value:
                return True
            return now_s - refused.at_s >= AGAIN_S
        if standing.value != wish.value or standing.end_s > wish.until_s:
            return True
        left_s, whole_s = standing.end_s - now_s, end_s - now_s
        return left_s < RENEW * wish.lease_s and whole_s - left_s > LEAST_S

    async def _ask(self, key: Key, value: float, end_s: float) -> RequestOutcome:
        outcome = await self._request(key, value, end_s - time.monotonic())
        before = self._standing.pop(key, None)
        if outcome.status not in BAD:
            self._standing[key] = _Standing(outcome.request_id, value, end_s)
            self._refused.pop(key, None)
        if before is not None:
            await self._end(before)
        return outcome

    async def _withdraw(self, key: Key) -> None:
        await self._end(self._standing.pop(key))

    async def _end(self, standing: _Standing) -> None:
        if standing.end_s > time.monotonic():
            await self._context.withdraw(
                standing.request_id, origin=self._origin, authority=self._authority
            )

    async def _request(
        self, key: Key, value: float, lease_s: float, test: bool = False
    ) -> RequestOutcome:
        target, kind, setting = key
        return await self._context.request(
            kind,
            value,
            origin=self._origin,
            authority=self._authority,
            lease_s=max(lease_s, LEAST_S),
            target=target,
            setting=setting,
            test=test,
        )
