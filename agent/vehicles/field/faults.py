"""What makes an EVSE's light red: ground fault, DC injection, and what the device itself reports.

For an inverter the fault goes into its own status, and the control stops it. For an analyser that
stands at another EVSE, that EVSE is stopped with the rank of a safety device until the fault is
gone. Both raise alarm 0x50.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agent.config.field import FieldDevice
from agent.errors import AlarmCode
from agent.messages import Alarm, Authority, ControlRequest, Message, RequestKind
from agent.vehicles.field.readings import Readings

ADVICE: Final = "keep people away; look for the insulation fault, then restart the EVSE"
STOP_LEASE_S: Final = 60.0
RENEW_S: Final = 20.0


def faults(settings: FieldDevice, readings: Readings) -> str:
    """Return what is wrong electrically, in words; empty where nothing is."""
    found = list(readings.faults)
    if readings.ground_fault and "ground fault" not in found:
        found.append("ground fault")
    current_a, limit_a = readings.dc_injection_a, settings.dc_injection_limit_a
    if current_a is not None and limit_a is not None and abs(current_a) > limit_a:
        found = [name for name in found if name != "DC injection"]
        found.append(f"DC injection of {current_a:.3g} A (limit {limit_a:g} A)")
    elif readings.dc_injection and "DC injection" not in found:
        found.append("DC injection")
    return ", ".join(found)


@dataclass(slots=True)
class FaultPanel:
    """Alarms and safety stops of all devices; tells only what changes, and all of it anew.

    Attributes:
        tell: Where messages go.
        who: Name of this worker, for the audit.
    """

    tell: Callable[[Message], None]
    who: str
    _alarms: dict[tuple[AlarmCode, str], Alarm] = field(default_factory=dict)
    _seen: dict[str, dict[str, str]] = field(default_factory=dict)
    _stops: dict[str, tuple[str, float]] = field(default_factory=dict)
    _number: int = 0

    def set(self, code: AlarmCode, source: str, text: str, advice: str, utc_s: float) -> None:
        """Raise an alarm (`text`) or clear it (no text)."""
        key = (code, source)
        known = self._alarms.get(key)
        if text and (known is None or known.text != text):
            since_s = known.since_utc_s if known else utc_s
            self._alarms[key] = Alarm(code, True, source, text, advice, since_s)
            self.tell(self._alarms[key])
        elif not text and known is not None:
            del self._alarms[key]
            self.tell(Alarm(code, False, source, known.text, "", known.since_utc_s))

    def evse_fault(self, evse_id: str, device: str, text: str, utc_s: float) -> None:
        """The EVSE's light is red, or not any more, as far as `device` can tell."""
        seen = self._seen.setdefault(evse_id, {})
        seen[device] = text
        texts = dict.fromkeys(each for each in seen.values() if each)
        shown = f"{', '.join(texts)}; EVSE LED red" if texts else ""
        self.set(AlarmCode.EVSE_FAULT, evse_id, shown, ADVICE, utc_s)

    def stop(self, evse_id: str, text: str, now_s: float, utc_s: float) -> None:
        """Stop somebody else's EVSE while `text` says why; let it go afterwards."""
        request_id, told_s = self._stops.get(evse_id, ("", -math.inf))
        if text and now_s - told_s >= RENEW_S:
            if not request_id:
                self._number += 1
                request_id = f"{self.who}-{int(utc_s * 1e3)}-{self._number}"
            self._stops[evse_id] = (request_id, now_s)
            self.tell(self._request(request_id, RequestKind.STOP, evse_id, now_s, utc_s))
        elif not text and request_id:
            del self._stops[evse_id]
            withdraw = f"{request_id}-end"
            request = self._request(
                withdraw, RequestKind.WITHDRAW, evse_id, now_s, utc_s, request_id
            )
            self.tell(request)

    def restate(self) -> None:
        """Tell a control that has heard nothing yet."""
        for alarm in self._alarms.values():
            self.tell(alarm)
        self._stops = {evse: (request, -math.inf) for evse, (request, _) in self._stops.items()}

    def _request(
        self,
        request_id: str,
        kind: RequestKind,
        evse_id: str,
        now_s: float,
        utc_s: float,
        setting: str = "",
    ) -> ControlRequest:
        return ControlRequest(
            request_id=request_id,
            authority=Authority.SAFETY,
            origin=self.who,
            kind=kind,
            target=evse_id,
            value=0.0,
            lease_s=STOP_LEASE_S,
            received_s=now_s,
            t_utc_s=utc_s,
            setting=setting,
        )
