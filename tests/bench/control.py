"""The control's step on large fleets, its dispatch, and the stability limit's worth."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from agent.control import Inputs, Now, State, dump_state, initial_state, parameters_from, step
from agent.control.stability import single_delay_limit
from agent.messages import EvseStatus, Measurement, Validity

UTC = 1_700_000_000.0
FULL_PU = 0.5 / 50.0


def run() -> dict[str, float]:
    """Measure, on one core of this machine, times as CPU time of the process:

    - ``control.step_*_ms``: median and worst step, 200 steps (10,000) or 30 steps (100,000
      EVSEs), with a status of 2 % of the EVSEs and a slightly different frequency in every step.
    - ``control.event_*``: a 100 mHz event with IEEE 1547 droop: share of stations that get a new
      setpoint in the first second, deviation from the target, and time of the step that decides.
    - ``control.dump_10k_ms``: the state of 10,000 EVSEs as bytes.
    - ``control.contingencies_*``: unstable share of 1,000 random contingencies with and without
      the limit, and the benefit that the limit keeps.
    """
    figures: dict[str, float] = {}
    for count, label, steps in ((10_000, "10k", 200), (100_000, "100k", 30)):
        state, statuses = _fleet(count)
        times_ms, state = _quiet(state, statuses, steps)
        figures[f"control.step_{label}_median_ms"] = statistics.median(times_ms)
        figures[f"control.step_{label}_max_ms"] = max(times_ms)
        if label == "10k":
            figures |= _event(state, count)
            figures["control.dump_10k_ms"] = _dump_ms(state)
    return figures | _contingencies()


def _fleet(count: int) -> tuple[State, list[EvseStatus]]:
    rng = np.random.default_rng(1)
    statuses = [
        EvseStatus(
            evse_id=f"cs{i:06}/1",
            protocol="ocpp2.1",
            online=True,
            plugged=True,
            t_utc_s=UTC,
            published_s=0.0,
            p_w=-3000.0,
            charge_max_w=11_000.0,
            discharge_max_w=11_000.0,
            base_w=-3000.0,
            soc_pct=float(soc),
            capacity_wh=60_000.0,
            latency_s=float(latency),
            departure_utc_s=UTC + 30_000.0,
            energy_needed_wh=10_000.0,
        )
        for i, (soc, latency) in enumerate(
            zip(rng.uniform(30, 90, count), rng.uniform(0.1, 0.6, count), strict=True)
        )
    ]
    state = initial_state(parameters_from(nominal_hz=60, olrt_s=0.0, area_power_w=1e12))
    state, _ = step(state, Inputs(evses=tuple(statuses)), Now(10.0, UTC))
    return state, statuses


def _report(f_hz: float, now_s: float) -> Measurement:
    return Measurement("MU1", UTC, f_hz, 0.0, 230.0, Validity.GOOD, now_s, now_s)


def _timed(state: State, inputs: Inputs, now_s: float) -> tuple[float, State, Any]:
    start_s = time.process_time()
    state, outputs = step(state, inputs, Now(now_s, UTC + now_s, True))
    return (time.process_time() - start_s) * 1000.0, state, outputs


def _quiet(state: State, statuses: list[EvseStatus], steps: int) -> tuple[list[float], State]:
    part = len(statuses) // 50
    times_ms = []
    for k in range(steps):
        now_s = 10.02 + 0.02 * k
        news = tuple(statuses[(k * part) % len(statuses) :][:part])
        f_hz = 60.0 + 0.01 * np.sin(k / 7.0)
        inputs = Inputs(measurements=(_report(float(f_hz), now_s),), evses=news)
        spent_ms, state, _ = _timed(state, inputs, now_s)
        times_ms.append(spent_ms)
    return times_ms, state


def _event(state: State, count: int) -> dict[str, float]:
    told: set[str] = set()
    worst_ms = error = 0.0
    base_w = state.target_w
    for k in range(50):
        now_s = state.clock_s + 0.02
        inputs = Inputs(measurements=(_report(59.9, now_s),))
        spent_ms, state, outputs = _timed(state, inputs, now_s)
        worst_ms = max(worst_ms, spent_ms)
        told |= {order.evse_id for order in outputs.setpoints}
        if k >= 10:
            missing_w = abs(outputs.loop.ordered_w - outputs.loop.target_w)
            error = max(error, missing_w / max(abs(outputs.loop.target_w - base_w), 1.0))
    return {
        "control.event_100mhz_changed_pct": 100.0 * len(told) / count,
        "control.event_100mhz_error_pct": 100.0 * error,
        "control.event_100mhz_step_max_ms": worst_ms,
    }


def _dump_ms(state: State) -> float:
    start_s = time.process_time()
    msgspec.msgpack.decode(dump_state(state))
    return (time.process_time() - start_s) * 1000.0


def _contingencies() -> dict[str, float]:
    area = _area()
    draws = area.Contingencies.draw(1000, 7)
    fixed = draws.share / FULL_PU
    limited = np.minimum(fixed, single_delay_limit(draws.inertia_s, draws.delay_s, 2.0))
    none, free, held = (
        area.simulate(draws, gain, deadband=0.036 / 60.0, nominal_hz=50.0)
        for gain in (0.0 * fixed, fixed, limited)
    )
    stable = ~free.unstable
    gained = [(run.nadir_hz - none.nadir_hz)[stable].mean() for run in (free, held)]
    return {
        "control.contingencies_unstable_without_limit_pct": 100.0 * float(free.unstable.mean()),
        "control.contingencies_unstable_with_limit_pct": 100.0 * float(held.unstable.mean()),
        "control.contingencies_benefit_kept_pct": 100.0 * float(gained[1] / gained[0]),
    }


def _area() -> ModuleType:
    """Return the simulator of the control's tests; they are no package."""
    path = Path(__file__).resolve().parent.parent / "control" / "area.py"
    spec = importlib.util.spec_from_file_location("control_area", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = sys.modules["control_area"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
