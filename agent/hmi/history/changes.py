"""What differs between one snapshot and the next, as events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.hmi.history.batch import EventRow
from agent.messages import ControlRequest, EvseStatus, Snapshot

Facts = Mapping[tuple[str, str], str]
"""(kind, source) → state in words."""


class Changes:
    """Remembers the last state of everything; of the first snapshot only alarms are news."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], str] | None = None
        self._evses: dict[str, str] = {}

    def see(self, snapshot: Snapshot) -> list[EventRow]:
        """Return what changed."""
        t_utc_s = snapshot.t_utc_s
        facts = dict(_facts(snapshot))
        before, self._facts = self._facts, facts
        if before is None:
            self._evses = {view.evse_id: _evse_state(view.status) for view in snapshot.evses}
            alarms = [(key, text) for key, text in facts.items() if key[0] == "alarm"]
            changed = [(("state", "history"), "recording begins"), *alarms]
        else:
            changed = [] if facts == before else list(_differences(before, facts))
            changed += self._see_evses(snapshot)
        return [EventRow(t_utc_s, kind, source, text) for (kind, source), text in changed]

    def _see_evses(self, snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], str]]:
        for view in snapshot.evses:
            state = _evse_state(view.status)
            if self._evses.get(view.evse_id) != state:
                self._evses[view.evse_id] = state
                yield ("evse", view.evse_id), state


def _differences(before: Facts, after: Facts) -> Iterator[tuple[tuple[str, str], str]]:
    for key, text in after.items():
        if before.get(key) != text:
            yield key, text
    for key in before.keys() - after.keys():
        yield key, "ended" if key[0] == "command" else "cleared"


def _facts(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], str]]:
    yield ("state", "mode"), snapshot.loop.mode
    if snapshot.measurement is not None:
        yield ("state", "frequency"), str(snapshot.measurement.quality)
    if snapshot.loop.authority is not None:
        yield ("state", "authority"), snapshot.loop.authority.name.lower()
    yield ("state", "gain"), snapshot.loop.gain_reason or "not limited"
    for alarm in snapshot.alarms:
        state = "acknowledged" if alarm.acknowledged else "raised"
        yield ("alarm", f"{alarm.code} {alarm.source}"), f"{state}: {alarm.text}"
    for worker in snapshot.workers:
        yield ("worker", worker.name), str(worker.state)
    for each in snapshot.subscriptions:
        yield ("subscription", each.control_block), "alive" if each.alive else "lost"
    for request in snapshot.requests:
        yield ("command", request.request_id), describe(request)


def describe(request: ControlRequest) -> str:
    """Return an order in one line."""
    setting = f" {request.setting}" if request.setting else ""
    return (
        f"{request.kind}{setting} {request.value:g} at {request.target} for {request.lease_s:g} s"
        f" by {request.origin} ({request.authority.name.lower()})"
    )


def _evse_state(status: EvseStatus) -> str:
    if status.fault:
        return f"fault: {status.fault}"
    if not status.online:
        return "lost"
    return "plugged" if status.plugged else "free"
