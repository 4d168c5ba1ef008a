"""How long a killed worker is away, and what the control loop notices of it.

Each worker of a running embedded site is killed (SIGKILL) in turn, several times.

- `workers.NAME_back_s`: from the kill until the daemon hears the new process (median).
- `workers.missed_ticks`: ticks of the control loop that were missed meanwhile.
"""

from __future__ import annotations

import os
import signal
import statistics
import time

from agent.cli.gateway import GatewayClient
from agent.errors import UnavailableError
from agent.messages import Snapshot, WorkerState
from tests.bench.latency import running_site

ROUNDS = 5
REST_S = 8.0
"""Between kills, so that the stand-in is there; a second death at once finds none."""


def run() -> dict[str, float]:
    """Return the figures."""
    away_s: dict[str, list[float]] = {"processbus": [], "stations": [], "ied": []}
    with running_site() as (_, client):
        before = _next(client)
        for _ in range(ROUNDS):
            for name, times_s in away_s.items():
                times_s.append(_kill(client, name))
                _listen(client, REST_S)
        missed = _next(client).loop.missed_ticks - before.loop.missed_ticks
    figures = {f"workers.{name}_back_s": statistics.median(t) for name, t in away_s.items()}
    return {**figures, "workers.missed_ticks": float(missed)}


def _next(client: GatewayClient) -> Snapshot:
    for message in client.messages(5.0):
        if isinstance(message, Snapshot):
            return message
    raise UnavailableError("the daemon is silent")


def _kill(client: GatewayClient, name: str) -> float:
    worker = next(w for w in _next(client).workers if w.name == name)
    os.kill(worker.pid, signal.SIGKILL)
    started_s = time.monotonic()
    for message in client.messages(30.0):
        if isinstance(message, Snapshot):
            now = next(w for w in message.workers if w.name == name)
            if now.state is WorkerState.RUNNING and now.pid != worker.pid:
                return time.monotonic() - started_s
    raise UnavailableError(f"{name} did not come back")


def _listen(client: GatewayClient, seconds: float) -> None:
    for _ in client.messages(seconds):
        pass
