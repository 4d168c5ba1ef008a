"""The process bus worker: `python -m agent.processbus.worker --config FILE`.

One thread, one loop: take what waits, feed the pipeline, publish what is ready, sleep until the
next sample that a report needs is due. Frames wait in the ring meanwhile, so sleeping costs
nothing and a wake-up serves many frames at once.
"""

from __future__ import annotations

import select
import signal
import time

from loguru import logger

from agent import heap
from agent.messages import Role, Shutdown, Simulation
from agent.processbus.bus import ProcessBusReader, reader_from_settings
from agent.processbus.priority import prepare_memory, settle_on_core
from agent.worker import HEARTBEAT_S, RECONNECT_S, Worker, merge_counters, run_worker


class Loop:
    """Runs a reader and the link to the control until told to stop."""

    def __init__(self, worker: Worker, reader: ProcessBusReader) -> None:
        self._worker = worker
        self._reader = reader
        self._link = worker.link
        self._stopped = False
        self._beat_s = 0.0

    def run(self) -> None:
        """Serve until `Shutdown` or SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopped:
            now_s = time.monotonic()
            if now_s >= self._beat_s:
                self._beat(now_s)
            for message in self._reader.step():
                self._link.send(message)
            self._pause()

    def _stop(self, *_: object) -> None:
        self._stopped = True

    def _beat(self, now_s: float) -> None:
        if not self._link.connected and self._link.connect():
            for message in self._reader.state():
                self._link.send(message)
        self._beat_s = now_s + (HEARTBEAT_S if self._link.connected else RECONNECT_S)
        for message in self._reader.health():
            self._link.send(message)
        merge_counters(self._worker, self._reader.counters())
        self._worker.heartbeat()

    def _pause(self) -> None:
        readable = self._reader.urgent()
        if self._link.connected:
            readable.append(self._link.fileno())
        ready, _, _ = select.select(readable, [], [], self._reader.pause_s())
        if self._link.connected and self._link.fileno() in ready:
            for message in self._link.receive():
                if isinstance(message, Shutdown):
                    self._stopped |= self._worker.ends_on(message)
                elif isinstance(message, Simulation):
                    self._reader.simulate(message.accept)
        if self._link.pending:
            self._link.flush()


def main(worker: Worker) -> int:
    """Open the bus and serve it."""
    settings = worker.settings
    prepare_memory()
    reader = reader_from_settings(settings)
    heap.keep_what_lives()
    settle_on_core(settings.process_bus.cpu)
    logger.info("process bus on {}", settings.process_bus.interface)
    try:
        Loop(worker, reader).run()
    finally:
        reader.close()
        worker.link.close()
    return 0


if __name__ == "__main__":
    run_worker(Role.PROCESS_BUS, main)
