"""A station with one EVSE in this process, and vehicles in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from agent.errors import ProtocolError
from agent.messages import Setpoint
from agent.vehicles.secc.evse import Evse, IdealPowerStage
from agent.vehicles.secc.options import Rating, SeccOptions
from agent.vehicles.secc.server import Events, Secc
from agent.vehicles.secc.session import SessionEnd

REPOSITORY = Path(__file__).resolve().parents[2]
DC = Rating("dc", 11_000.0, 11_000.0, 200.0)
AC = Rating("ac", 11_000.0, 11_000.0, 32.0)


class Station:
    """One SECC in this process, with what it reported."""

    def __init__(self, interface: str, vehicle_end: str, rating: Rating, **options: Any) -> None:
        self.vehicle_end = vehicle_end
        self.options = SeccOptions(interface, rating, **options)
        self.evse = Evse(rating, IdealPowerStage(rating))
        self.ends: list[SessionEnd] = []
        self.handshakes: list[ProtocolError] = []
        self.answers = 0
        self.powers: list[float] = []
        self.secc = Secc(
            self.options, self.evse, Events(self._progress, self.ends.append, self._handshake)
        )
        self._seq = 0

    def _progress(self) -> None:
        self.answers += 1
        self.powers.append(self.p_w)

    def _handshake(self, error: ProtocolError) -> None:
        self.handshakes.append(error)

    def order(self, p_w: float, lease_s: float = 30.0, q_var: float = 0.0) -> None:
        self._seq += 1
        interface = self.options.interface
        now_s = time.monotonic()
        self.evse.accept(Setpoint(interface, self._seq, p_w, lease_s, now_s, q_var=q_var))

    @property
    def in_loop(self) -> bool:
        """Energy may flow: in the loop, with the contactor closed."""
        session = self.secc.session
        return session is not None and session.controller.in_loop and self.evse.stage.closed

    @property
    def p_w(self) -> float:
        return self.evse.stage.read().p_w

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Station]:
        task = asyncio.create_task(self.secc.run())
        await asyncio.sleep(0)
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition; the limit is a hang guard, not a measure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def vehicles(
    rows: list[dict[str, Any]], kind: str = "own"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run vehicles in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.secc.ev_process",
        kind,
        json.dumps(rows),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
