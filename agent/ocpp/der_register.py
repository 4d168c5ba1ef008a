"""The DER controls of one station: which are stored, which one is in force, and what to tell.

OCPP 2.1 part 2, block R. Within a control type the lower `priority` wins, an active scheduled
control overrides the default, and a control that replaces an active one waits for its own start,
which NotifyDERStartStop announces. The same register serves the station's side, where it decides,
and the server's, where it mirrors what the station accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agent.ocpp.der import DerControl, DerType, field_of, read_control
from agent.ocpp.frames import Payload

MAX_CONTROLS: Final = 256
CHUNK: Final = 8
"""Controls in one ReportDERControl."""

_REPORTS: Final = {
    "curve": ("curve", True),
    "enterService": ("enterService", False),
    "fixedPFAbsorb": ("fixedPF", True),
    "fixedPFInject": ("fixedPF", True),
    "fixedVar": ("fixedVar", True),
    "freqDroop": ("freqDroop", True),
    "gradient": ("gradient", False),
    "limitMaxDischarge": ("limitMaxDischarge", True),
}
"""Report array: its setting's name, and whether its items carry isDefault and isSuperseded."""


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """Answer to SetDERControl."""

    status: str
    superseded_ids: tuple[str, ...] = ()

    def payload(self) -> Payload:
        """Return the SetDERControl response."""
        answer: Payload = {"status": self.status}
        if self.superseded_ids:
            answer["supersededIds"] = list(self.superseded_ids)
        return answer


@dataclass(frozen=True, slots=True)
class StartStop:
    """A scheduled control begins or ends (NotifyDERStartStop)."""

    control_id: str
    started: bool
    superseded_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class DerRegister:
    """DER controls by id, and the alarms of the functions.

    Attributes:
        supported: Control types that the equipment has.
        alarms: The alarm of each control type; a new one of the same type replaces it.
    """

    supported: frozenset[DerType] = frozenset(DerType)
    alarms: dict[DerType, str] = field(default_factory=dict)
    _controls: dict[str, DerControl] = field(default_factory=dict)
    _active: dict[DerType, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[DerControl]:
        return iter(tuple(self._controls.values()))

    def __len__(self) -> int:
        return len(self._controls)

    def set(self, control: DerControl) -> SetOutcome:
        """Store a control; an earlier one with its id is replaced (R04)."""
        if control.control_type not in self.supported:
            return SetOutcome("NotSupported")
        old = self._controls.get(control.control_id)
        if old is not None and old.control_type is not control.control_type:
            return SetOutcome("Rejected")
        if old is None and len(self._controls) >= MAX_CONTROLS:
            return SetOutcome("Rejected")
        before = {each.control_id for each in self if self.is_superseded(each)}
        self._controls.pop(control.control_id, None)
        self._controls[control.control_id] = control  # last in the dict: the newest
        after = {each.control_id for each in self if self.is_superseded(each)}
        return SetOutcome("Accepted", tuple(sorted(after - before - {control.control_id})))

    def clear(
        self, is_default: bool, control_type: DerType | None = None, control_id: str | None = None
    ) -> str:
        """Remove controls by id, by type or all (R05); return the status of the answer."""
        if control_id is not None:
            found = [each for each in self if each.control_id == control_id]
        else:
            found = [
                each
                for each in self
                if each.is_default == is_default
                and (control_type is None or each.control_type is control_type)
            ]
        for each in found:
            del self._controls[each.control_id]
        return "Accepted" if found else "NotFound"

    def is_superseded(self, control: DerControl) -> bool:
        """Whether a control of its type and kind that overlaps it wins over it."""
        seen = False
        for other in self._controls.values():
            if other.control_id == control.control_id:
                seen = True
                continue
            if (
                other.control_type is control.control_type
                and other.is_default == control.is_default
                and other.overlaps(control)
                and (other.beats(control) if seen else not control.beats(other))
            ):
                return True
        return False

    def effective(self, control_type: DerType, now_utc_s: float) -> DerControl | None:
        """Return the control in force: the active scheduled one, else the default."""
        best: DerControl | None = None
        for control in self._controls.values():
            if control.control_type is control_type and (
                control.start_utc_s <= now_utc_s < control.end_utc_s
            ):
                best = _better(best, control)
        return best

    def advance(self, now_utc_s: float) -> list[StartStop]:
        """Begin and end scheduled controls; return what must be announced."""
        events: list[StartStop] = []
        for control_type in {each.control_type for each in self} | set(self._active):
            events += self._switch(control_type, now_utc_s)
        for control in self:
            if control.end_utc_s <= now_utc_s:
                del self._controls[control.control_id]
        return events

    def announced(self, event: StartStop) -> None:
        """The station said that a control began or ended (the server's side)."""
        control = self._controls.get(event.control_id)
        if control is None:
            return
        if event.started:
            self._active[control.control_type] = event.control_id
        elif self._active.get(control.control_type) == event.control_id:
            del self._active[control.control_type]

    def active(self, control_type: DerType) -> str | None:
        """Return the id of the scheduled control that was announced as started."""
        return self._active.get(control_type)

    def alarm(self, control_type: DerType, fault: str | None, ended: bool) -> None:
        """One alarm level for each control type (NotifyDERAlarm)."""
        if ended:
            self.alarms.pop(control_type, None)
        else:
            self.alarms[control_type] = fault or "unspecified"

    def find(
        self,
        is_default: bool | None = None,
        control_type: DerType | None = None,
        control_id: str | None = None,
    ) -> list[DerControl]:
        """Return the controls that a GetDERControl asks for."""
        return [
            each
            for each in self
            if (is_default is None or each.is_default == is_default)
            and (control_type is None or each.control_type is control_type)
            and (control_id is None or each.control_id == control_id)
        ]

    def reports(self, request_id: int, controls: Iterable[DerControl]) -> list[Payload]:
        """Return the ReportDERControl payloads; all but the last say `tbc` (to be continued)."""
        items = list(controls)
        chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
        payloads: list[Payload] = []
        for number, chunk in enumerate(chunks, start=1):
            payload: Payload = {"requestId": request_id, "tbc": number < len(chunks)}
            for control in chunk:
                payload.setdefault(field_of(control.control_type), []).append(self._item(control))
            payloads.append(payload)
        return payloads

    def load(self, report: Payload) -> None:
        """Take over what a station reports (the server's side)."""
        for name, (setting, _) in _REPORTS.items():
            for item in report.get(name, ()):
                self.set(read_control(_as_request(name, setting, item)))

    def _switch(self, control_type: DerType, now_utc_s: float) -> list[StartStop]:
        present = self.effective(control_type, now_utc_s)
        new = present.control_id if present is not None and not present.is_default else None
        old = self._active.get(control_type)
        if new == old:
            return []
        replaced: tuple[str, ...] = ()
        events = []
        if old is not None:
            del self._active[control_type]
            if new is None:
                return [StartStop(old, started=False)]
            replaced = (old,)
        if new is not None:
            self._active[control_type] = new
            events.append(StartStop(new, started=True, superseded_ids=replaced))
        return events

    def _item(self, control: DerControl) -> Payload:
        name = field_of(control.control_type)
        setting, has_flags = _REPORTS[name]
        item: Payload = {"id": control.control_id, setting: control.setting}
        if name == "curve":
            item["curveType"] = control.control_type.value
        if has_flags:
            item["isDefault"] = control.is_default
            item["isSuperseded"] = self.is_superseded(control)
        return item


def _better(best: DerControl | None, control: DerControl) -> DerControl:
    """Scheduled over default, then priority, then the newer (`control`)."""
    if best is None:
        return control
    if best.is_default != control.is_default:
        return best if control.is_default else control
    return control if control.beats(best) else best


def _as_request(name: str, setting: str, item: dict[str, Any]) -> Payload:
    types = {field_of(each): each.value for each in DerType if field_of(each) != "curve"}
    return {
        "isDefault": item.get("isDefault", True),
        "controlId": item["id"],
        "controlType": item["curveType"] if name == "curve" else types[name],
        name: item[setting],
    }
