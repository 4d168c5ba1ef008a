"""Start the workers, notice their death at once, start them again with backoff.

A worker that dies costs the control loop nothing but the age of one input. The kernel tells of
the death through a pidfd, so the first restart begins within a millisecond; a worker that keeps
dying is retried ever more slowly. Most of a start is loading modules, so each worker has a
stand-in that has loaded them and waits: it takes over in a fraction of a second.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loguru import logger

from agent.config import Settings
from agent.config.workers import WorkerSpec
from agent.errors import EX_AGAIN, EX_CONFIG, EX_UNAVAILABLE
from agent.messages import WorkerHealth, WorkerState

BACKOFF_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S: Final = 10.0
"""A worker that ran this long has recovered: its next death counts as the first."""
START_FAILURE_S: Final = 60.0
STOP_TIMEOUT_S: Final = 3.0
STAND_IN_AFTER_S: Final = 4.0
"""A stand-in is made when the worker has run this long, so that it slows no start."""


@dataclass(slots=True)
class _Running:
    spec: WorkerSpec
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    started_s: float = 0.0
    failures: int = 0
    restarts: int = 0
    retry_s: float = 0.0
    stand_in: subprocess.Popen[bytes] | None = None
    stand_in_due_s: float = math.inf
    retired: bool = False
    state: WorkerState = WorkerState.STARTING
    counters: dict[str, float] = field(default_factory=dict)


class Supervisor:
    """Owns the worker processes.

    Args:
        settings: Their configuration file is passed on by path.
        specs: What to run.
        watch: `Hub.watch`; called with a pidfd and what to do when it becomes readable.
        unwatch: `Hub.unwatch`, its counterpart.
    """

    def __init__(
        self,
        settings: Settings,
        specs: Sequence[WorkerSpec],
        watch: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
    ) -> None:
        self._config = str(settings.path)
        self._watch = watch
        self._unwatch = unwatch
        self._running = {spec.name: _Running(spec) for spec in specs}
        self.start_failure: tuple[str, int] | None = None
        """Name and exit code of a worker that could not start at all (exit 69 or 78)."""

    def start(self) -> None:
        """Start every worker."""
        for worker in self._running.values():
            self._start(worker)

    def replan(self, specs: Sequence[WorkerSpec]) -> None:
        """Start what is new in a plan, end what is no longer in it."""
        wanted = {spec.name: spec for spec in specs}
        for name, worker in list(self._running.items()):
            if name not in wanted:
                self._retire(worker)
        for name, spec in wanted.items():
            if name not in self._running:
                self._running[name] = _Running(spec)
                self._start(self._running[name])

    def due_s(self) -> float:
        """Monotonic instant of the next start of a worker or stand-in; infinity for none."""
        workers = self._running.values()
        restarts = [w.retry_s for w in workers if w.state is WorkerState.BACKOFF]
        return min((*restarts, *(w.stand_in_due_s for w in workers)), default=math.inf)

    def restart_due(self) -> None:
        """Start those whose backoff has passed, and stand-ins where their time has come."""
        now_s = time.monotonic()
        for worker in self._running.values():
            if worker.state is WorkerState.BACKOFF and worker.retry_s <= now_s:
                worker.restarts += 1
                self._start(worker)
            if worker.stand_in_due_s <= now_s:
                worker.stand_in_due_s = math.inf
                worker.stand_in = self._spawn(worker.spec, "--standby")

    def health(self) -> tuple[WorkerHealth, ...]:
        """State of every worker; the caller adds age and counters from the links."""
        return tuple(
            WorkerHealth(
                w.spec.name, w.spec.role, w.state, w.process.pid if w.process else 0, w.restarts
            )
            for w in self._running.values()
        )

    @property
    def restarts(self) -> int:
        """Restarts of all workers since the start."""
        return sum(worker.restarts for worker in self._running.values())

    def mark_running(self, name: str) -> None:
        """The worker said hello."""
        if (worker := self._running.get(name)) is not None and worker.process is not None:
            worker.state = WorkerState.RUNNING

    def stop(self) -> None:
        """End all workers: SIGTERM, then SIGKILL for those that do not listen."""
        workers = self._running.values()
        both = [process for w in workers for process in (w.process, w.stand_in)]
        processes = [process for process in both if process is not None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for process in processes:
            try:
                process.wait(max(0.05, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for worker in self._running.values():
            self._forget(worker)
            worker.state = WorkerState.STOPPED

    def _start(self, worker: _Running) -> None:
        worker.process = self._take_stand_in(worker) or self._spawn(worker.spec)
        worker.started_s = time.monotonic()
        worker.stand_in_due_s = worker.started_s + STAND_IN_AFTER_S
        worker.state = WorkerState.STARTING
        worker.pidfd = os.pidfd_open(worker.process.pid)
        self._watch(worker.pidfd, lambda: self._ended(worker))

    def _take_stand_in(self, worker: _Running) -> subprocess.Popen[bytes] | None:
        """Wake the stand-in; None where there is none, or it died while it waited."""
        waiting, worker.stand_in = worker.stand_in, None
        if waiting is None or waiting.stdin is None:
            return None
        try:
            waiting.stdin.write(b"start\n")
            waiting.stdin.close()
        except BrokenPipeError:
            waiting.wait()
            return None
        return waiting

    def _spawn(self, spec: WorkerSpec, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", spec.module, "--config", self._config]
        command += ["--name", spec.name, "--supervised", str(os.getpid()), *options]
        source = subprocess.PIPE if options else subprocess.DEVNULL
        return subprocess.Popen([*command, *spec.arguments], stdin=source)

    def _retire(self, worker: _Running) -> None:
        if worker.stand_in is not None:
            worker.stand_in.kill()
            worker.stand_in.wait()
        worker.retired, worker.stand_in, worker.stand_in_due_s = True, None, math.inf
        if worker.process is None:
            del self._running[worker.spec.name]
        else:
            worker.process.send_signal(signal.SIGTERM)  # `_ended` forgets it

    def _ended(self, worker: _Running) -> None:
        if worker.process is None:
            return
        code = worker.process.wait()
        ran_s = time.monotonic() - worker.started_s
        self._forget(worker)
        if worker.retired:
            self._running.pop(worker.spec.name, None)
            return
        if code == EX_AGAIN:  # as told; no fault
            worker.restarts += 1
            self._start(worker)
            return
        if _cannot_start(code) and worker.restarts == 0 and ran_s < START_FAILURE_S:
            self.start_failure = (worker.spec.name, code)
        worker.failures = 0 if ran_s > STEADY_S else worker.failures
        pause_s = BACKOFF_S[min(worker.failures, len(BACKOFF_S) - 1)]
        worker.failures += 1
        worker.retry_s = time.monotonic() + pause_s
        worker.state = WorkerState.BACKOFF
        logger.warning(
            "worker {} ended with {} after {:.1f} s; again in {:.1f} s",
            worker.spec.name,
            code,
            ran_s,
            pause_s,
        )

    def _forget(self, worker: _Running) -> None:
        if worker.pidfd >= 0:
            self._unwatch(worker.pidfd)
            os.close(worker.pidfd)
        worker.pidfd, worker.process = -1, None


def _cannot_start(code: int) -> bool:
    return code in (EX_CONFIG, EX_UNAVAILABLE)
