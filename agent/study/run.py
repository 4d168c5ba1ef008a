"""A study from file to folder: cases, answers, figures, manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from agent.comtrade import AnalogChannel, Record, configuration, data
from agent.study.answers import Answers, answers_of
from agent.study.cases import Case, batch_of, random_cases, sweep_cases, without
from agent.study.columns import write_table
from agent.study.manifest import sha256, write_manifest
from agent.study.margin import Margin
from agent.study.results import certificate, solve, wear_of
from agent.study.search import Found, delay_that_breaks, share_that_holds
from agent.study.simulate import Batch, Traces, simulate
from agent.study.spec import Study
from agent.study.work import compute, parts_of

Advance = Callable[[str, int, int], None]
"""Name of the stage, cases done, cases in all."""
MARGIN_FACTORS = tuple(np.geomspace(0.1, 10.0, 25).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Everything that a study found.

    Attributes:
        batch, traces: The base case (row 1) and the same without V2G (row 0).
        base: Answers of both rows. `margin`, `gain_pu`, `alone_s`: certificate of the fleet.
        sweep, sweep_margins: Answers of the sweep; (share, τ*) at the study's own inertia.
        random, random_without: Answers of the random contingencies.
        share, delay: Results of the searches, None where none was asked for.
    """

    study: Study
    batch: Batch
    traces: Traces
    base: Answers
    margin: Margin
    gain_pu: float
    alone_s: float
    sweep: Answers
    sweep_margins: tuple[tuple[float, float], ...]
    random: Answers
    random_without: Answers
    share: Found | None
    delay: Found | None


def outcome_of(study: Study, folder: Path, dask: str, advance: Advance) -> Outcome:
    """Compute everything; parts that `folder` already holds are not computed again."""
    parts = folder / "parts" / study.digest[:16]
    batch = batch_of(study, [Case(share=0.0), Case()])
    traces = simulate(batch)
    base = answers_of(batch, traces) | wear_of(traces, 2)
    margin, gain_pu, alone_s = certificate(batch, traces, 1)
    advance("base case", 1, 1)

    def computed(kind: str, cases: list[Case]) -> Answers:
        if not cases:
            return {}
        done = 0

        def add(count: int) -> None:
            nonlocal done
            done += count
            advance(kind, done, len(cases))

        return compute(study, parts_of(kind, cases, study.study.chunk), parts, dask, add)

    sweep, random = sweep_cases(study), random_cases(study)
    swept = computed("sweep", sweep)
    hit, bare = computed("random", random), computed("random-without", without(random))
    limit = study.limit
    limited = limit.nadir_hz is not None or limit.rocof_hz_s is not None
    share = share_that_holds(study) if limited and limit.search_share else None
    delay = delay_that_breaks(study) if limited and limit.search_delay_s else None
    return Outcome(
        study, batch, traces, base, margin, gain_pu, alone_s,
        swept, _margins(study), hit, bare, share, delay,
    )  # fmt: skip


def write_outcome(outcome: Outcome, folder: Path, source: Path, key: Path | None) -> None:
    """Write traces, answers, COMTRADE, report and manifest."""
    from agent.study.outline import report_of
    from agent.study.report import write_report

    traces, batch = outcome.traces, outcome.batch
    base_w = batch.systems[1].base_mw * 1e6
    columns = {
        "t_s": traces.t_s,
        "f_without_hz": traces.f_hz[0],
        "f_hz": traces.f_hz[1],
        "p_w": traces.fleet_pu[1] * base_w,
    }
    write_table(folder / "traces.parquet", columns)
    write_table(folder / "traces.csv", columns)
    record = _record(outcome, base_w)
    (folder / "event.cfg").write_text(configuration(record), encoding="utf-8", newline="")
    (folder / "event.dat").write_bytes(data(record))
    for name, answers in (
        ("sweep", outcome.sweep),
        ("random", outcome.random),
        ("random_without", outcome.random_without),
    ):
        if answers:
            write_table(folder / f"{name}.parquet", answers)
            write_table(folder / f"{name}.csv", answers)
    text = json.dumps(summary(outcome), indent=1, sort_keys=True)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    write_report(folder / "report.html", report_of(outcome))
    what = {
        "kind": "study",
        "name": outcome.study.study.name,
        "seed": outcome.study.study.seed,
        "digest": outcome.study.digest,
        "study": json.loads(msgspec.json.encode(outcome.study.study)),
    }
    write_manifest(folder, what, {source.name: sha256(source)}, key)


def summary(outcome: Outcome) -> dict[str, float | None]:
    """Return the figures that `compare` lays side by side; None where there is none."""
    figures: dict[str, float] = {}
    for row, name in ((0, "without"), (1, "with")):
        figures |= {f"{name}_{key}": float(values[row]) for key, values in outcome.base.items()}
    figures["gain_pu"] = outcome.gain_pu
    figures["delay_margin_s"] = outcome.margin.delay_s
    figures["gain_margin"] = outcome.margin.gain
    figures["delay_margin_inertia_alone_s"] = outcome.alone_s
    for name, found in (
        ("share_that_holds", outcome.share),
        ("delay_that_breaks_s", outcome.delay),
    ):
        if found is not None:
            figures[name] = found.value
    for name, answers in (("random", outcome.random), ("random_without", outcome.random_without)):
        if answers:
            figures[f"{name}_nadir_p05_hz"] = float(np.quantile(answers["nadir_hz"], 0.05))
            figures[f"{name}_nadir_p50_hz"] = float(np.quantile(answers["nadir_hz"], 0.5))
            figures[f"{name}_unstable"] = float((answers["stable"] == 0.0).mean())
    return {k: (v if np.isfinite(v) else None) for k, v in figures.items()}


def _margins(study: Study) -> tuple[tuple[float, float], ...]:
    """Return (share, mean delay at the boundary) for the shares of the sweep."""
    if study.sweep is None or not study.sweep.share:
        return ()
    rows = []
    short = msgspec.structs.replace(
        study, study=msgspec.structs.replace(study.study, duration_s=study.contingency.at_s + 1.0)
    )
    for share in sorted(study.sweep.share):
        if share <= 0.0:
            continue
        batch = batch_of(short, [Case(share=share)])
        margin, gain, _ = certificate(batch, simulate(batch))
        if gain > 0.0 and np.isfinite(margin.delay_s):
            rows.append((share, margin.delay_s + _mean_delay(batch)))
    return tuple(rows)


def _mean_delay(batch: Batch) -> float:
    delays = np.concatenate([members.people.delay_s for members in batch.members])
    return float(delays.mean()) if len(delays) else 0.0


def _record(outcome: Outcome, base_w: float) -> Record:
    """Return the base case as the recorder of a substation would have kept it."""
    traces, batch = outcome.traces, outcome.batch
    names = (("f", "Hz"), ("P", "W"), ("f without V2G", "Hz"))
    rows = (traces.f_hz[1], traces.fleet_pu[1] * base_w, traces.f_hz[0])
    return Record(
        station=outcome.study.study.name,
        device="v2g-study",
        nominal_hz=round(batch.systems[0].nominal_hz),
        rate_hz=round(1.0 / batch.dt_s),
        begin_utc_s=0.0,
        trigger_utc_s=batch.at_s,
        channels=tuple(AnalogChannel(name, "", unit) for name, unit in names),
        values=np.array(rows, dtype=np.float32),
    )


__all__ = ["Outcome", "outcome_of", "solve", "summary", "write_outcome"]
