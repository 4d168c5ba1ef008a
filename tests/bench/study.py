"""Studies: a million vehicles, a thousand contingencies, ANDES on the same area, an event."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from agent.study.cases import Case, batch_of, random_cases
from agent.study.event import score_event
from agent.study.grid import model_of, step_response
from agent.study.results import solve
from agent.study.simulate import simulate
from agent.study.spec import Study, study_from
from agent.study.systems import find_system

MILLION = 1_000_000


def run() -> dict[str, float]:
    """Return the figures; times in CPU seconds of one core, so that a busy machine counts less."""
    figures = {f"study {name}": value for name, value in _alone().items()}
    plan = {"samples": 1000, "loss_pu": {"low": 0.02, "high": 0.1}}
    for limited in (True, False):
        study = _study(count=100, limited=limited, monte_carlo=plan)
        begin = time.process_time()
        answers = solve(study, random_cases(study))
        used = time.process_time() - begin
        words = "the agent's gain limit" if limited else "no gain limit"
        figures[f"study 1,000 contingencies of 100 EVs, {words}, CPU s"] = used
        each_s = used / len(answers["nadir_hz"])
    with tempfile.TemporaryDirectory() as folder:
        figures["study event to report, s"] = _event(Path(folder))
    with contextlib.suppress(ImportError):
        figures |= _andes(each_s)
    return figures


def _study(count: int, limited: bool = True, **sections: object) -> Study:
    fleet = {"name": "ev", "count": count, "share": 0.1, "preset": "GB-DC", "period_s": 1.0}
    fleet["stability_limit"] = limited
    table = {
        "study": {"name": "bench", "duration_s": 60.0},
        "grid": {"system": "gb"},
        "fleet": [fleet | {"delay_s": {"median": 0.4, "factor": 1.5}}],
    }
    return study_from(table | sections, Path(), "bench.toml")


def _alone() -> dict[str, float]:
    """Measure a million vehicles in a process of its own: its memory is only theirs."""
    command = [sys.executable, "-m", "tests.bench.study"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _million() -> dict[str, float]:
    import resource

    batch = batch_of(_study(count=MILLION), [Case()])
    told: list[float] = []
    begin = time.process_time()
    simulate(batch, lambda _step: told.append(time.process_time()))
    built, used = told[0] - begin, time.process_time() - told[0]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000.0
    return {
        "1e6 EVs, CPU s a simulated minute": used,
        "1e6 EVs, CPU s to build": built,
        "1e6 EVs, peak MB": peak_mb,
    }


def _event(folder: Path) -> float:
    from tests.study.conftest import recorded

    path, *_ = recorded(folder, noise_w=100.0)
    begin = time.monotonic()
    score_event(path, folder / "out", preset="GB-DC")
    return time.monotonic() - begin


def _andes(each_s: float) -> dict[str, float]:
    from agent.study.cosimulation import single_area

    system, t_s = find_system("tgov1-area"), np.arange(0.0, 30.0, 1.0 / 60.0)
    begin = time.process_time()
    for _ in range(20):
        ours = step_response(model_of(system), t_s, -0.1)
    closed_s = (time.process_time() - begin) / 20
    with contextlib.redirect_stdout(io.StringIO()):
        area = single_area(system, 0.1, 30.0)
    apart = abs(ours.min() / area.deviation_pu.min() - 1.0)
    return {
        "study ANDES / closed form, same area": area.cpu_s / closed_s,
        "study ANDES / a case with 100 EVs in a batch": area.cpu_s / each_s,
        "study nadir apart from ANDES, %": 100.0 * apart,
    }


if __name__ == "__main__":
    print(json.dumps(_million()))
