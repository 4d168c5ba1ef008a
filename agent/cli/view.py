"""The gateway's state as text for people (rich) and as JSON for machines."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.errors import AlarmCode
from agent.messages import EvseStatus, EvseView, LatencyView, Snapshot, WorkerState


def status_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return the snapshot as plain data; NaN becomes null."""
    data: dict[str, Any] = plain(snapshot)
    return data


def plain(value: Any) -> Any:
    """Messages are arrays on the link; for JSON they are objects with field names."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, AlarmCode):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def kilowatts(power_w: float | None) -> str:
    """`+4.20 kW`; a dash while unknown."""
    return "–" if power_w is None or math.isnan(power_w) else f"{power_w / 1000:+.2f} kW"


def status_view(snapshot: Snapshot, *, height: int = 24, note: str = "") -> RenderableType:
    """Return the whole situation; rows that do not fit are counted, not shown."""
    room = max(3, height - 13 - len(snapshot.alarms))
    parts: list[RenderableType] = [
        _frequency(snapshot),
        _evses(snapshot.evses, room, red_lights(snapshot)),
    ]
    parts.append(_workers(snapshot))
    parts.append(_alarms(snapshot))
    if note:
        parts.append(Text(note, style="dim"))
    return Group(*parts)


def _frequency(snapshot: Snapshot) -> RenderableType:
    loop, measured = snapshot.loop, snapshot.measurement
    table = Table.grid(padding=(0, 3))
    if measured is None:
        first = Text("no frequency yet", style="yellow")
    else:
        style = "" if measured.quality == "good" else "yellow"
        first = Text(
            f"f {measured.f_hz:8.4f} Hz   ROCOF {measured.rocof_hz_s:+7.3f} Hz/s   "
            f"V1 {measured.v1_v:,.1f} V   {measured.quality}   {measured.source}",
            style=style,
        )
    table.add_row(first)
    table.add_row(
        f"droop {kilowatts(loop.droop_w)}   target {kilowatts(loop.target_w)}   "
        f"ordered {kilowatts(loop.ordered_w)}   delivered {kilowatts(loop.delivered_w)}   "
        f"headroom {kilowatts(loop.up_w)} / {kilowatts(-loop.down_w)}"
    )
    table.add_row(
        f"mode {loop.mode}   {loop.reason}   software latency "
        f"{_latency(snapshot.software_latency)}   clock {_clock(snapshot)}"
    )
    return Panel(table, title="v2g-gateway", title_align="left")


def _clock(snapshot: Snapshot) -> str:
    state = "synchronised" if snapshot.clock_synchronised else "not synchronised"
    return f"{state} ({snapshot.clock_source})"


def _latency(view: LatencyView) -> str:
    return f"p50 {view.p50_ms:.1f} ms, p99 {view.p99_ms:.1f} ms" if view.count else "–"


def red_lights(snapshot: Snapshot) -> frozenset[str]:
    """Return the EVSEs whose light is red: a fault of their own, or one measured before them."""
    alarmed = (a.source for a in snapshot.alarms if a.code is AlarmCode.EVSE_FAULT and a.active)
    return frozenset((*alarmed, *(v.evse_id for v in snapshot.evses if v.status.fault)))


def _evses(views: tuple[EvseView, ...], room: int, red: frozenset[str]) -> RenderableType:
    table = Table(expand=True, box=None, header_style="dim")
    names = ("EVSE", "protocol", "LED", "state", "ordered", "delivered", "SoC", "up", "down", "why")
    for name in names:
        table.add_column(name, justify="left" if name in ("EVSE", "protocol", "why") else "right")
    for view in sorted(views, key=lambda v: v.evse_id)[:room]:
        status = view.status
        state = _state(status)
        table.add_row(
            view.evse_id,
            status.protocol,
            Text("● red", style="bold red") if view.evse_id in red else _light(state),
            state,
            kilowatts(view.ordered_w),
            kilowatts(status.p_w),
            "–" if status.soc_pct is None else f"{status.soc_pct:.0f} %",
            f"{view.up_w / 1000:.1f}",
            f"{view.down_w / 1000:.1f}",
            view.reason,
            style="" if state == "plugged" else "dim",
        )
    if len(views) > room:
        table.add_row(f"… and {len(views) - room} more", *[""] * 9, style="dim")
    return table


def _light(state: str) -> Text:
    """The light of an EVSE without a fault: green with a vehicle, dark when it is not reached."""
    return Text("○", style="dim") if state == "lost" else Text("●", style="green")


def _state(status: EvseStatus) -> str:
    if status.fault:
        return "fault"
    if not status.online:
        return "lost"
    return "plugged" if status.plugged else "free"


def _workers(snapshot: Snapshot) -> RenderableType:
    text = Text("workers  ", style="dim")
    for worker in snapshot.workers:
        good = worker.state is WorkerState.RUNNING and worker.age_s < 2.0
        again = f", {worker.restarts} restarts" if worker.restarts else ""
        text.append(
            f"{worker.name} {worker.state} {worker.age_s * 1000:.0f} ms{again}   ",
            style="" if good else "bold yellow",
        )
    return text


def _alarms(snapshot: Snapshot) -> RenderableType:
    if not snapshot.alarms:
        return Text("no alarms", style="dim")
    lines = [
        Text(f"{alarm.code} {alarm.source}: {alarm.text} → {alarm.advice}", style="bold red")
        for alarm in snapshot.alarms
    ]
    return Group(*lines)
