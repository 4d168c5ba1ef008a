"""Settings that SCADA writes: from the model's values to requests of the control."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

from agent.ied.port import AccessError, Native, Session, number
from agent.mapping import BoundSetting
from agent.mapping.model import Conversion
from agent.messages import (
    SITE,
    Authority,
    ControlRequest,
    Message,
    RequestKind,
    RequestOutcome,
    RequestStatus,
)

ANSWER_S: Final = 1.5
"""A setting that the control has not answered by then is refused: try again."""
_LEASE_S: Final = 86_400.0 * 365


class SettingDesk:
    """Asks the control to change a setting and waits, on the engine's thread, for its answer."""

    def __init__(self, send: Callable[[Message], bool]) -> None:
        self._send = send
        self._asked: dict[str, tuple[threading.Event, list[RequestOutcome]]] = {}

    def change(
        self, session: Session, bound: BoundSetting, value: Native, nominal_hz: float
    ) -> AccessError | None:
        """Change one setting of the control; None when it has taken effect."""
        shown = number(value)
        low, high = bound.row.low, bound.row.high
        outside = (low is not None and shown < low) or (high is not None and shown > high)
        converted = math.nan if outside else converted_value(bound, shown, nominal_hz)
        if not math.isfinite(converted) or converted < 0:
            return AccessError.VALUE_INVALID
        request = ControlRequest(
            request_id=f"mms-{uuid.uuid4().hex}",
            authority=Authority.SCADA,
            origin=str(session),
            kind=RequestKind.SETTING,
            target=SITE,
            value=converted,
            lease_s=_LEASE_S,
            received_s=time.monotonic(),
            t_utc_s=time.time(),
            setting=bound.row.setting,
        )
        outcome = self._ask(request)
        if outcome is None:
            return AccessError.TEMPORARILY_UNAVAILABLE
        refused = outcome.status not in (RequestStatus.ACCEPTED, RequestStatus.COMPLETED)
        return AccessError.VALUE_INVALID if refused else None

    def answer(self, outcome: RequestOutcome) -> bool:
        """Give an outcome to whoever waits for it; False when nobody does."""
        waiting = self._asked.get(outcome.request_id)
        if waiting is None:
            return False
        waiting[1].append(outcome)
        waiting[0].set()
        return True

    def _ask(self, request: ControlRequest) -> RequestOutcome | None:
        event: threading.Event = threading.Event()
        answers: list[RequestOutcome] = []
        self._asked[request.request_id] = (event, answers)
        try:
            if not self._send(request):
                return None
            event.wait(ANSWER_S)
            return answers[0] if answers else None
        finally:
            del self._asked[request.request_id]


def converted_value(bound: BoundSetting, value: float, nominal_hz: float) -> float:
    """A value of the model as the control's setting; NaN where it has no meaning."""
    conversion = bound.row.conversion
    if conversion is Conversion.HZ_ABOVE_NOMINAL:
        return value - nominal_hz
    if conversion is Conversion.HZ_BELOW_NOMINAL:
        return nominal_hz - value
    if conversion is Conversion.DROOP_OF_GRADIENT:
        return 100.0 / (value * nominal_hz) if value * nominal_hz > 0 else math.nan
    if conversion is Conversion.MILLISECONDS:
        return value / 1000.0
    return value * bound.row.scale
