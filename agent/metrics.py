"""Prometheus metrics of a running gateway, made from the snapshots that the control publishes.

The process that hears snapshots anyway and already has a network socket serves them (the HMI's);
the control process knows nothing of it. Text exposition format 0.0.4.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from agent import __version__
from agent.messages import EvseView, Snapshot, Validity, WorkerState

REQUEST_LIMIT: Final = 8192
REQUEST_TIMEOUT_S: Final = 5.0


class MetricsView:
    """Keeps the newest state and turns it into text.

    Args:
        per_evse: Write a series for each EVSE.
    """

    def __init__(self, *, per_evse: bool = True) -> None:
        self._per_evse = per_evse
        self._snapshot: Snapshot | None = None
        self._evses: dict[str, EvseView] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot; a complete one also says which EVSEs are gone."""
        if snapshot.complete:
            self._evses.clear()
        self._evses.update((view.evse_id, view) for view in snapshot.evses)
        self._snapshot = snapshot

    def render(self) -> bytes:
        """Return the metrics; only `v2g_info` before the first snapshot."""
        return generate_latest(self)  # it calls `collect` alone

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family (the interface of a Prometheus registry)."""
        yield InfoMetricFamily("v2g", "Version of the gateway", {"version": __version__})
        snapshot = self._snapshot
        if snapshot is None:
            return
        yield from _grid(snapshot)
        yield from _loop(snapshot)
        yield from _alarms(snapshot)
        yield from _workers(snapshot)
        yield from _subscriptions(snapshot)
        yield from _fleet(list(self._evses.values()), per_evse=self._per_evse)


def _gauge(name: str, text: str, value: float | None) -> Iterator[Metric]:
    """A gauge that is left out while its value is unknown."""
    if value is not None and math.isfinite(value):
        yield GaugeMetricFamily(name, text, value)


def _grid(snapshot: Snapshot) -> Iterator[Metric]:
    measured = snapshot.measurement
    if measured is not None:
        good = measured.quality is Validity.GOOD
        yield from _gauge("v2g_frequency_hertz", "Frequency used", measured.f_hz)
        yield from _gauge(
            "v2g_rocof_hertz_per_second", "Rate of change of frequency", measured.rocof_hz_s
        )
        yield from _gauge("v2g_voltage_volts", "Positive sequence, to ground", measured.v1_v)
        yield from _gauge("v2g_frequency_good", "1 while the measurement is good", float(good))
        age_s = snapshot.mono_s - measured.published_s
        yield from _gauge("v2g_frequency_age_seconds", "Age of the measurement", age_s)
    synchronised = float(snapshot.clock_synchronised)
    yield from _gauge("v2g_clock_synchronised", "1 while the wall clock is", synchronised)


def _loop(snapshot: Snapshot) -> Iterator[Metric]:
    loop = snapshot.loop
    yield from _gauge("v2g_droop_watts", "Power that the droop asks for", loop.droop_w)
    yield from _gauge("v2g_target_watts", "After arbitration and limits", loop.target_w)
    yield from _gauge("v2g_ordered_watts", "Sum of the orders; positive exports", loop.ordered_w)
    yield from _gauge("v2g_delivered_watts", "Sum of what is delivered", loop.delivered_w)
    yield from _gauge("v2g_headroom_up_watts", "More export that is possible now", loop.up_w)
    yield from _gauge("v2g_headroom_down_watts", "More import that is possible now", loop.down_w)
    yield from _gauge("v2g_gain_watts_per_hertz", "Gain in use", loop.gain_w_per_hz)
    yield from _gauge(
        "v2g_gain_limit_watts_per_hertz", "Largest stable gain", loop.gain_limit_w_per_hz
    )
    yield from _gauge("v2g_delay_seconds", "Delay from order to power, measured", loop.delay_s)
    yield CounterMetricFamily("v2g_ticks", "Control ticks", loop.ticks)
    yield CounterMetricFamily("v2g_missed_ticks", "Ticks that came too late", loop.missed_ticks)
    yield CounterMetricFamily("v2g_setpoints_sent", "Orders sent", loop.setpoints_sent)
    latency = snapshot.software_latency
    for name, value_ms in (("p50", latency.p50_ms), ("p99", latency.p99_ms)):
        text = "From the last frame that decided an order to the order on the wire"
        yield from _gauge(f"v2g_latency_{name}_seconds", text, value_ms / 1e3)
    mode = GaugeMetricFamily("v2g_mode", "Operating mode, always 1", labels=["mode"])
    mode.add_metric([loop.mode], 1.0)
    yield mode


def _alarms(snapshot: Snapshot) -> Iterator[Metric]:
    family = GaugeMetricFamily("v2g_alarm", "Active alarms", labels=["code", "source"])
    for alarm in snapshot.alarms:
        if alarm.active:
            family.add_metric([str(alarm.code), alarm.source], 1.0)
    yield family


def _workers(snapshot: Snapshot) -> Iterator[Metric]:
    up = GaugeMetricFamily("v2g_worker_up", "1 while the process runs", labels=["worker"])
    restarts = CounterMetricFamily("v2g_worker_restarts", "Restarts", labels=["worker"])
    counters = GaugeMetricFamily(
        "v2g_worker_counter", "What the process counts", labels=["worker", "name"]
    )
    for worker in snapshot.workers:
        up.add_metric([worker.name], float(worker.state is WorkerState.RUNNING))
        restarts.add_metric([worker.name], worker.restarts)
        for name, value in worker.counters.items():
            counters.add_metric([worker.name, name], value)
    yield from (up, restarts, counters)


def _subscriptions(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ["control_block", "kind"]
    alive = GaugeMetricFamily("v2g_subscription_alive", "1 while frames arrive", labels=labels)
    lost = CounterMetricFamily("v2g_subscription_lost_frames", "Frames missing", labels=labels)
    rejected = CounterMetricFamily("v2g_subscription_rejected_frames", "Refused", labels=labels)
    for each in snapshot.subscriptions:
        values = [each.control_block, each.kind]
        alive.add_metric(values, float(each.alive))
        lost.add_metric(values, each.lost)
        rejected.add_metric(values, each.rejected)
    yield from (alive, lost, rejected)


def _fleet(evses: list[EvseView], *, per_evse: bool) -> Iterator[Metric]:
    online = sum(view.status.online for view in evses)
    plugged = sum(view.status.plugged for view in evses)
    yield GaugeMetricFamily("v2g_evses", "EVSEs known", len(evses))
    yield GaugeMetricFamily("v2g_evses_online", "EVSEs whose station is connected", online)
    yield GaugeMetricFamily("v2g_evses_plugged", "EVSEs with a vehicle", plugged)
    if not per_evse:
        return
    power = GaugeMetricFamily("v2g_evse_power_watts", "Delivered", labels=["evse"])
    ordered = GaugeMetricFamily("v2g_evse_ordered_watts", "Ordered", labels=["evse"])
    charge = GaugeMetricFamily("v2g_evse_state_of_charge_ratio", "Of the vehicle", labels=["evse"])
    for view in evses:
        status = view.status
        ordered.add_metric([view.evse_id], view.ordered_w)
        if status.p_w is not None:
            power.add_metric([view.evse_id], status.p_w)
        if status.soc_pct is not None:
            charge.add_metric([view.evse_id], status.soc_pct / 100)
    yield from (power, ordered, charge)


async def serve(view: MetricsView, host: str, port: int) -> asyncio.Server:
    """Serve `GET /metrics` over HTTP/1.1; one request a connection.

    Args:
        view: Where the text comes from.
        host: Address to listen on.
        port: 0 takes any free one.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(request, view))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, host, port, limit=REQUEST_LIMIT)


def _response(request: bytes, view: MetricsView) -> bytes:
    method, _, rest = request.partition(b" ")
    target = rest.split(b" ", 1)[0].split(b"?", 1)[0]
    if method not in (b"GET", b"HEAD"):
        status, kind, body = "405 Method Not Allowed", "text/plain", b"GET only\n"
    elif target != b"/metrics":
        status, kind, body = "404 Not Found", "text/plain", b"see /metrics\n"
    else:
        status, kind, body = "200 OK", CONTENT_TYPE_LATEST, view.render()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (body if method != b"HEAD" else b"")
