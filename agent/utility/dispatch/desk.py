"""From a signed dispatch to the control: verified, remembered, ordered, answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loguru import logger

from agent.audit import Kind
from agent.errors import AlarmCode, RefusedError, SignatureError
from agent.messages import Authority, RequestKind, RequestOutcome, RequestStatus
from agent.utility.api.rate import RateLimit
from agent.utility.context import ANSWER_S, Context
from agent.utility.dispatch.ledger import Ledger
from agent.utility.dispatch.token import ADVICE, Claims, Order, Verifier

SOURCE: Final = "dispatch"
SILENT_S: Final = 5.0
"""Without a snapshot for this long the control is gone, and with it what we know of the clock."""
ALARM_S: Final = 600.0
"""The alarm of a refused token clears after this time, or with the next good token."""
WAIT_MAX_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a token: an outcome for each of its orders."""

    jti: str
    outcomes: tuple[RequestOutcome, ...]

    @property
    def ok(self) -> bool:
        """No order was refused or failed."""
        bad = (RequestStatus.REFUSED, RequestStatus.FAILED)
        return all(outcome.status not in bad for outcome in self.outcomes)


def shown(answer: Answer) -> dict[str, object]:
    """Return an answer as senders read it."""
    orders = [_shown(outcome) for outcome in answer.outcomes]
    return {"jti": answer.jti, "ok": answer.ok, "orders": orders}


def _shown(outcome: RequestOutcome) -> dict[str, object]:
    told: dict[str, object] = {
        "request_id": outcome.request_id,
        "status": str(outcome.status),
        "reason": outcome.reason,
    }
    if outcome.delivered_w is not None:
        told |= {"ordered_w": outcome.ordered_w, "delivered_w": outcome.delivered_w}
    return told


class DispatchDesk:
    """Takes signed dispatch from whoever brings it.

    Args:
        context: The control.
        verifier: For the signer's tokens.
        ledger: Of the used tokens.
        accept_unsynchronised: Take tokens although nothing disciplines the clock.
        utc_s: The wall clock.
    """

    def __init__(
        self,
        context: Context,
        verifier: Verifier,
        ledger: Ledger,
        *,
        accept_unsynchronised: bool = False,
        utc_s: Callable[[], float] = time.time,
    ) -> None:
        self._context = context
        self._verifier = verifier
        self._ledger = ledger
        self._accept_unsynchronised = accept_unsynchronised
        self._utc_s = utc_s
        self._one_at_a_time = asyncio.Lock()
        self._told = RateLimit(burst=20.0, per_s=1.0)
        self._untold = 0
        self._refused_s = -ALARM_S

    async def run(self) -> None:
        """Look after the record of used tokens and the alarm, until cancelled."""
        while True:
            self._begin()
            if time.monotonic() - self._refused_s > ALARM_S:
                self._alarm(False, "")
            await asyncio.sleep(1.0)

    async def take(self, token: str, subject: str, wait_s: float = 0.0) -> Answer:
        """Carry out a signed dispatch.

        Args:
            token: Compact JWS.
            subject: Who brought it, for the audit.
            wait_s: Wait so long for the end of the orders; 0: only for their acceptance.

        Raises:
            SignatureError: The token must not be acted on.
            RefusedError: The control does not answer, or the disk cannot record the token.
        """
        try:
            claims = await self._accept(token)
        except SignatureError as error:
            self._refuse(error, subject)
            raise
        self._context.count("dispatch_accepted")
        self._alarm(False, "")
        outcomes = await asyncio.gather(
            *(self._order(claims, number, wait_s) for number in range(len(claims.orders)))
        )
        return Answer(claims.jti, tuple(outcomes))

    async def _accept(self, token: str) -> Claims:
        claims = self._verifier.authenticate(token)
        if self._context.fleet.age_s(time.monotonic()) > SILENT_S:
            raise RefusedError("the control does not answer")
        async with self._one_at_a_time:
            self._check_clock()
            self._begin()
            self._verifier.check_time(claims, self._utc_s())
            used = (claims.ctr, claims.iat, claims.jti)
            await asyncio.to_thread(self._ledger.commit, *used)
        return claims

    def _check_clock(self) -> None:
        if not self._clock_good():
            snapshot = self._context.fleet.snapshot
            reason = snapshot.clock_reason if snapshot else "nothing is known of it"
            raise SignatureError(
                f"clock skew: this gateway's clock is not synchronised ({reason}); {ADVICE}"
            )

    def _clock_good(self) -> bool:
        snapshot = self._context.fleet.snapshot
        return self._accept_unsynchronised or (snapshot is not None and snapshot.clock_synchronised)

    def _begin(self) -> None:
        """Start a record of used tokens, once the clock can say from when on."""
        if self._ledger.begun or not self._clock_good():
            return
        try:
            self._ledger.begin(self._utc_s())
        except RefusedError as error:
            logger.error("{}", error)

    async def _order(self, claims: Claims, number: int, wait_s: float) -> RequestOutcome:
        order: Order = claims.orders[number]
        return await self._context.request(
            order.kind,
            order.value,
            origin=f"{SOURCE}:{claims.iss}",
            authority=Authority.BALANCING_AUTHORITY,
            lease_s=order.lease_s,
            target=order.target,
            setting=order.setting,
            test=order.test,
            request_id=f"{SOURCE}:{claims.jti}/{number}",
            final=wait_s > 0.0 and order.kind is not RequestKind.WITHDRAW,
            timeout_s=max(ANSWER_S, min(wait_s, WAIT_MAX_S)),
        )

    def _refuse(self, error: SignatureError, subject: str) -> None:
        """Log, audit, alarm; a flood of forgeries must not fill the disk."""
        self._context.count("dispatch_refused")
        self._context.count(f"dispatch_refused_{error.cause.partition(':')[0].replace(' ', '_')}")
        self._refused_s = time.monotonic()
        self._alarm(True, str(error))
        if not self._told.allows(SOURCE, self._refused_s):
            self._untold += 1
            return
        more = f" (and {self._untold} more since the last line)" if self._untold else ""
        self._untold = 0
        logger.warning("{}{}", error, more)
        self._context.audit(Kind.REFUSAL, subject, f"{error}{more}")

    def _alarm(self, active: bool, text: str) -> None:
        advice = "check the sender, and both clocks: timedatectl set-ntp true"
        self._context.alarm(AlarmCode.PAYLOAD_SIGNATURE_INVALID, active, SOURCE, text, advice)
