"""The page's data as JSON: what each event of the stream holds.

Powers in whole watts (positive exports), frequencies in Hz, instants in UTC seconds; null where
a value is unknown. `static/live.js` is the other side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from agent.errors import AlarmCode
from agent.hmi.situation import Situation, TracePoint
from agent.messages import (
    Alarm,
    ControlRequest,
    EvseView,
    Measurement,
    Snapshot,
    SubscriptionHealth,
    Validity,
    WorkerHealth,
)
from agent.worker import EXPIRES

_encoder: Final = msgspec.json.Encoder()


def event(name: str, data: Any) -> bytes:
    """Return one server-sent event (HTML living standard, clause 9.2)."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encoder.encode(data))


def live(situation: Situation, point: TracePoint, age_s: float) -> dict[str, Any]:
    """Return the values that move: frequency, powers, the loop."""
    snapshot = situation.snapshot
    if snapshot is None:
        return {"t": _instant(point.t_utc_s), "age_s": None}
    loop, latency = snapshot.loop, snapshot.software_latency
    measured = snapshot.measurement
    return {
        "t": _instant(point.t_utc_s),
        "age_s": _round(age_s, 2),
        "point": _columns((point,)),
        "f": None if measured is None else _frequency(measured, snapshot.mono_s),
        "mode": loop.mode,
        "reason": loop.reason,
        "authority": None if loop.authority is None else loop.authority.name.lower(),
        "droop_w": _watts(loop.droop_w),
        "target_w": _watts(loop.target_w),
        "ordered_w": _watts(loop.ordered_w),
        "delivered_w": _watts(loop.delivered_w),
        "up_w": _watts(loop.up_w),
        "down_w": _watts(loop.down_w),
        "gain": _round(loop.gain_w_per_hz, 1),
        "gain_limit": _round(loop.gain_limit_w_per_hz, 1),
        "gain_reason": loop.gain_reason,
        "delay_s": _round(loop.delay_s, 3),
        "deadband_hz": _round(loop.deadband_hz, 4),
        "droop_pu": _round(loop.droop_pu, 5),
        "setpoints": loop.setpoints_sent,
        "missed": loop.missed_ticks,
        "latency_ms": [_round(latency.p50_ms, 2), _round(latency.p99_ms, 2)],
    }


def trace(points: Iterable[TracePoint]) -> dict[str, Any]:
    """Return the traces as columns, for a page that has just opened."""
    return _columns(points)


def evses(views: Iterable[EvseView], gone: Sequence[str], *, complete: bool) -> dict[str, Any]:
    """Return rows of EVSEs; `complete` replaces all of them."""
    return {"complete": complete, "rows": [_evse(view) for view in views], "gone": list(gone)}


def alarms(snapshot: Snapshot) -> dict[str, Any]:
    """Return alarms and the orders in force."""
    return {
        "alarms": [_alarm(alarm) for alarm in snapshot.alarms if alarm.active],
        "orders": [_order(request) for request in snapshot.requests],
    }


def health(situation: Situation, snapshot: Snapshot) -> dict[str, Any]:
    """Return what changes slowly: sources, subscriptions, workers, certificates, clock."""
    name = snapshot.measurement.source if snapshot.measurement is not None else ""
    deciding = next((each for each in situation.sources if each.source == name), None)
    return {
        # All as they were at one instant: a moving frequency must not look like a disagreement.
        "sources": [_source(each, deciding, situation.sources_s) for each in situation.sources],
        "subscriptions": [_subscription(each) for each in snapshot.subscriptions],
        "workers": [_worker(worker) for worker in snapshot.workers],
        "certificates": [each for worker in snapshot.workers for each in _certificates(worker)],
        "clock": [snapshot.clock_synchronised, snapshot.clock_source, snapshot.clock_reason],
        "settings": {name: _round(value, 6) for name, value in snapshot.settings.items()},
    }


def _columns(points: Iterable[TracePoint]) -> dict[str, Any]:
    rows = [
        (_instant(p.t_utc_s), _round(p.f_hz, 4), *(_watts(power) for power in p[2:]))
        for p in points
    ]
    names = ("t", "f_hz", "target_w", "ordered_w", "delivered_w")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _frequency(measured: Measurement, now_s: float) -> dict[str, Any]:
    return {
        "hz": _round(measured.f_hz, 4),
        "rocof": _round(measured.rocof_hz_s, 3),
        "v1": _round(measured.v1_v, 1),
        "quality": measured.quality,
        "source": measured.source,
        "age_s": _round(now_s - measured.published_s, 3),
        "t": _instant(measured.t_utc_s),
    }


def _evse(view: EvseView) -> list[Any]:
    """One row as a list; `static/evses.js` names its places."""
    status = view.status
    return [
        view.evse_id,
        status.protocol,
        _state(view),
        _watts(view.ordered_w),
        _watts(status.p_w),
        _round(status.soc_pct, 1),
        _round(status.soc_min_pct, 0),
        _round(status.soc_max_pct, 0),
        _round(status.departure_utc_s, 0),
        _watts(view.up_w),
        _watts(view.down_w),
        view.reason,
        status.fault or ", ".join(f"no {what}" for what in status.cannot),
        f"{status.vendor} {status.model}".strip(),
    ]


def _state(view: EvseView) -> str:
    status = view.status
    if status.fault:
        return "fault"
    if not status.online:
        return "lost"
    return "plugged" if status.plugged else "free"


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": f"{alarm.code} {alarm.source}",
        "code": str(alarm.code),
        "number": int(alarm.code),
        "name": alarm.code.name.replace("_", " ").lower(),
        "priority": _priority(alarm.code),
        "source": alarm.source,
        "text": alarm.text,
        "advice": alarm.advice,
        "since": _instant(alarm.since_utc_s),
        "acknowledged": alarm.acknowledged,
    }


def _priority(code: AlarmCode) -> str:
    """Few are high, so that they are seen (ANSI/ISA-18.2: about 5 % high, 80 % low)."""
    return "high" if code in _HIGH else "low" if code in _LOW else "medium"


_HIGH: Final = frozenset(
    {
        AlarmCode.FREQUENCY_OUT_OF_BOUNDS,
        AlarmCode.FREQUENCY_LOST,
        AlarmCode.AUDIT_FAILED,
        AlarmCode.GUARD_VETO,
        AlarmCode.RIDE_THROUGH,
        AlarmCode.OSCILLATION,
        AlarmCode.BMS_DISCONNECT,
    }
)
_LOW: Final = frozenset(
    {AlarmCode.CLOCK_UNSYNCHRONISED, AlarmCode.HISTORY_FAILED, AlarmCode.GAIN_LIMITED}
)


def _order(request: ControlRequest) -> dict[str, Any]:
    return {
        "id": request.request_id,
        "kind": request.kind,
        "value": _round(request.value, 3),
        "target": request.target,
        "setting": request.setting,
        "origin": request.origin,
        "authority": request.authority.name.lower(),
        "ends": _instant(request.t_utc_s + (request.duration_s or request.lease_s)),
    }


def _source(report: Measurement, deciding: Measurement | None, now_s: float) -> dict[str, Any]:
    return {
        "name": report.source,
        "hz": _round(report.f_hz, 4),
        "quality": report.quality,
        "age_s": _round(now_s - report.published_s, 2),
        "smp_synch": report.smp_synch,
        "vote": _vote(report, deciding, now_s),
        "apart_mhz": None
        if deciding is None
        else _round((report.f_hz - deciding.f_hz) * 1000.0, 1),
    }


def _vote(report: Measurement, deciding: Measurement | None, now_s: float) -> str:
    if now_s - report.published_s > SILENT_S:
        return "silent"
    if report.quality is Validity.INVALID:
        return "set aside"
    if deciding is not None and report.source == deciding.source:
        return "decides"
    return "held" if report.quality is Validity.HELD else "votes"


SILENT_S: Final = 1.0
"""A source that has not reported for so long says nothing."""


def _subscription(health: SubscriptionHealth) -> dict[str, Any]:
    return {
        "name": health.control_block,
        "kind": health.kind,
        "alive": health.alive,
        "needs": health.nds_com,
        "simulated": health.simulated,
        "conf_rev": [health.conf_rev, health.rx_conf_rev],
        "frames": health.frames,
        "lost": health.lost,
        "rejected": health.rejected,
        "reason": health.reason,
    }


def _worker(worker: WorkerHealth) -> dict[str, Any]:
    return {
        "name": worker.name,
        "state": worker.state,
        "restarts": worker.restarts,
        "age_s": _round(worker.age_s, 2),
    }


def _certificates(worker: WorkerHealth) -> Iterable[dict[str, Any]]:
    for name, value in worker.counters.items():
        if name.startswith(EXPIRES):
            yield {"name": f"{worker.name} {name.removeprefix(EXPIRES)}", "expires": value}


def _watts(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else round(value)


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def _instant(utc_s: float) -> float:
    return round(utc_s, 3)
