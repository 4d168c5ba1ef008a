"""The process of page, telemetry and metrics: `python -m agent.hmi.worker`.

It hears the snapshots and holds nothing that the control waits for.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Final

from loguru import logger

from agent.errors import AlarmCode
from agent.hmi.broadcast import Broadcaster
from agent.hmi.history import Bounds, HistoryStore, Recorder
from agent.hmi.page.access import Access
from agent.hmi.page.app import Page
from agent.hmi.page.orders import Orders
from agent.hmi.page.server import PageServer
from agent.hmi.records import Records
from agent.hmi.situation import Situation
from agent.messages import (
    Alarm,
    AnyMessage,
    AuditEvent,
    Message,
    RequestOutcome,
    Role,
    Snapshot,
)
from agent.metrics import MetricsView, serve
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

FLUSH_S: Final = 1.0
REPORT_PERIOD_S: Final = 1.0


class HmiWorker:
    """Wires link, page, telemetry store and metrics, each only where the settings ask for it.

    Args:
        worker: The started worker.

    Raises:
        ConfigurationError: Users or certificates that cannot be used.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._settings = settings = worker.settings
        self._link = AsyncLink(worker, self._on_message, self._on_connect)
        self._situation = Situation(settings.hmi.frames_per_s)
        self._broadcaster = Broadcaster(self._situation, settings.hmi.frames_per_s)
        self._numbers = itertools.count(1)
        self._alarm: Alarm | None = None
        self._metrics = MetricsView(per_evse=settings.metrics.per_evse)
        self._access = Access(settings.hmi, self._audit)
        self._orders = Orders(self._access, self._send)
        self.server = self._make_server() if settings.hmi.enabled else None
        self._recorder = Recorder(settings.history)
        self._store: HistoryStore | None = None

    async def run(self) -> None:
        """Serve until the control ends this process."""
        settings = self._settings
        tasks = [asyncio.create_task(self._report())]
        if settings.history.enabled:
            bounds = Bounds.of(settings.history.max_mb, settings.history.days)
            self._store = HistoryStore(settings.gateway.state_dir, bounds)
            tasks.append(asyncio.create_task(self._flush()))
        if self.server is not None:
            tasks.append(asyncio.create_task(self._broadcaster.run()))
            tasks.append(asyncio.create_task(self.server.run()))
        if settings.metrics.enabled:
            tasks.append(asyncio.create_task(self._serve_metrics()))
        try:
            await self._link.run()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._store is not None:
                self._store.put(self._recorder.drain())
                await asyncio.to_thread(self._store.close)

    def _make_server(self) -> PageServer:
        settings = self._settings
        records = Records(settings.gateway.state_dir)
        page = Page(settings, self._access, self._orders, self._broadcaster, records)
        return PageServer(page.app, settings.hmi, settings.hmi_port)

    def _on_message(self, message: AnyMessage) -> None:
        if isinstance(message, Snapshot):
            self._situation.take(message)
            if self._store is not None:
                self._recorder.take(message)
            if self._settings.metrics.enabled:
                self._metrics.take(message)
        elif isinstance(message, RequestOutcome):
            self._orders.take(message)
            self._recorder.outcome(message)

    def _on_connect(self) -> None:
        if self._alarm is not None:
            self._link.send(self._alarm)

    def _send(self, message: Message) -> None:
        self._link.send(message)

    def _audit(self, kind: str, subject: str, text: str) -> None:
        """Tell the control what its audit must keep of logins."""
        logger.info("{}: {}", subject, text)
        number = next(self._numbers)
        self._link.send(AuditEvent(self._worker.name, number, kind, subject, text, time.time()))
        self._recorder.note("login", subject, text, time.time())

    async def _flush(self) -> None:
        """Hand the rows to the store's thread once a second."""
        while self._store is not None:
            await asyncio.sleep(FLUSH_S)
            batch = self._recorder.drain()
            if len(batch):
                self._store.put(batch)

    async def _report(self) -> None:
        """Counters for the heartbeat, and the alarm of what does not work."""
        while True:
            await asyncio.sleep(REPORT_PERIOD_S)
            counters = {
                "viewers": float(len(self._broadcaster.viewers)),
                "frames": float(self._broadcaster.frame),
                "frames_missed": float(self._broadcaster.missed),
                "logins_refused": float(self._access.refused),
                "orders": float(self._orders.sent),
            }
            if self.server is not None:
                counters["page_up"] = float(not self.server.problem)
            if self._store is not None:
                counters |= self._store.counters()
                self._look_after(self._store)
            merge_counters(self._worker, counters)

    def _look_after(self, store: HistoryStore) -> None:
        text = advice = ""
        if store.error:
            text = f"telemetry is not kept: {store.error}"
            advice = "make room on the disk, or replace it; the store tries again by itself"
        elif (aside := store.aside) is not None:
            text = f"the telemetry file was damaged; it is set aside as {aside.name}"
            advice = f"look at {aside}, then remove it; a new file has been begun"
        known = self._alarm
        if text == ("" if known is None else known.text):
            return
        code = AlarmCode.HISTORY_FAILED
        name, now_s = self._worker.name, time.time()
        if known is not None:
            self._link.send(Alarm(code, False, name, known.text, known.advice, now_s))
        self._alarm = Alarm(code, True, name, text, advice, now_s) if text else None
        if self._alarm is not None:
            self._link.send(self._alarm)

    async def _serve_metrics(self) -> None:
        metrics = self._settings.metrics
        try:
            server = await serve(self._metrics, metrics.host, metrics.port)
        except OSError as error:
            logger.error("metrics are not served: {}", error)
            return
        async with server:
            await server.serve_forever()


def main(worker: Worker) -> None:
    """Run until told to stop."""
    asyncio.run(_run(worker))


async def _run(worker: Worker) -> None:
    await HmiWorker(worker).run()


if __name__ == "__main__":
    run_worker(Role.HMI, main)
