"""A recorded event from file to signed scores."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from agent.control.parameters import Parameters, parameters_from
from agent.study import figures, scores
from agent.study.columns import write_table
from agent.study.grid import Floats
from agent.study.manifest import sha256, write_manifest
from agent.study.profile import Fit, fit, required_share
from agent.study.report import Report, Section, number, table, write_report
from agent.study.scores import Case, Score
from agent.study.telemetry import Event, EvseTrace, read_event, read_evses

STEP_S: Final = 0.02
ONSET_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Everything that is known of an event.

    Attributes:
        fleet: The fleet's fit to what was required. `evses`: each EVSE's to what it was ordered.
        case: Both on one grid of times. `low`, `high`: envelope of dynamic containment.
    """

    event: Event
    p: Parameters
    case: Case
    fleet: Fit
    evses: tuple[tuple[EvseTrace, Fit], ...]
    scores: tuple[Score, ...]
    low: Floats
    high: Floats


def score_event(
    path: Path,
    folder: Path,
    *,
    evses: Path | None = None,
    preset: str = "",
    nominal_hz: float | None = None,
    contract_w: float | None = None,
    key: Path | None = None,
) -> dict[str, float | None]:
    """Score an event and write report, tables and manifest; return the figures.

    Args:
        path: COMTRADE, Parquet or CSV.
        folder: Where everything is written.
        evses: Table of the single EVSEs, or None.
        preset: Service whose droop is required; empty for the default of the frequency.
        nominal_hz: Of the network, or None for what the file says.
        contract_w: Power at full activation; None: what fits best.
        key: Ed25519 key that signs, or None.

    Raises:
        ConfigurationError: Files or preset cannot be used.
    """
    event = read_event(path, nominal_hz)
    singles = [] if evses is None else read_evses(evses, event.begin_utc_s)
    judged = judge(event, singles, preset, contract_w)
    inputs = {p.name: sha256(p) for p in _inputs(path, evses)}
    folder.mkdir(parents=True, exist_ok=True)
    _write(judged, folder)
    write_report(folder / "report.html", _report(judged, path))
    what = {"kind": "event", "name": path.name, "preset": judged.p.preset.title}
    write_manifest(folder, what, inputs, key)
    return summary(judged)


def judge(event: Event, singles: list[EvseTrace], preset: str, contract_w: float | None) -> Judged:
    """Return the scores of an event."""
    p = parameters_from(nominal_hz=event.nominal_hz, preset=preset)
    share = required_share(event.t_s, event.f_hz, p)
    fleet = fit(event.t_s, share, event.t_s, event.p_w)
    full_w = contract_w or (abs(fleet.scale) if math.isfinite(fleet.scale) else 0.0) or 1.0
    case = _case(event, share, fleet, full_w)
    dc_score, low, high = scores.dc(case)
    fits = tuple(
        (one, fit(one.t_s, one.ordered_w, one.t_s, one.p_w))
        if np.ptp(one.ordered_w) > 0.0
        else (one, fit(event.t_s, share, one.t_s, one.p_w))
        for one in singles
    )
    found = (*scores.fcr(case), *scores.ffr(case), dc_score, *scores.pjm(case), scores.tre(case))
    return Judged(event, p, case, fleet, fits, found, low, high)


def summary(judged: Judged) -> dict[str, float | None]:
    """Return the figures of an event; None where there is none."""
    hours = judged.event.step_s / 3600.0
    required_w = np.abs(judged.case.required) * judged.case.full_w
    moved_w = judged.event.p_w - judged.fleet.base_w
    figures_: dict[str, float] = {
        "activation_delay_s": judged.fleet.delay_s,
        "r2": judged.fleet.r2,
        "r2_without_delay": judged.fleet.r2_prompt,
        "delivered_by_required": judged.fleet.scale / judged.case.full_w,
        "base_w": judged.fleet.base_w,
        "full_w": judged.case.full_w,
        "nadir_hz": float(judged.event.f_hz.min()),
        "zenith_hz": float(judged.event.f_hz.max()),
        "export_wh": float(np.maximum(moved_w, 0.0).sum()) * hours,
        "import_wh": float(-np.minimum(moved_w, 0.0).sum()) * hours,
        "required_wh": float(required_w.sum()) * STEP_S / 3600.0,
        "evses": float(len(judged.evses)),
    }
    figures_ |= {score.name: score.value for score in judged.scores}
    return {name: (v if math.isfinite(v) else None) for name, v in figures_.items()}


def _case(event: Event, share: Floats, fleet: Fit, full_w: float) -> Case:
    """Return the event on an even grid of times."""
    t_s = np.arange(0.0, float(event.t_s[-1]), STEP_S)
    required = np.interp(t_s, event.t_s, share)
    started = np.abs(required) > ONSET_SHARE
    p_w = np.interp(t_s, event.t_s, event.p_w)
    return Case(
        t_s=t_s,
        f_hz=np.interp(t_s, event.t_s, event.f_hz),
        required=required,
        delivered=(p_w - fleet.base_w) / full_w,
        p_w=p_w,
        full_w=full_w,
        onset_s=float(t_s[int(started.argmax())]) if started.any() else 0.0,
        nominal_hz=event.nominal_hz,
    )


def _write(judged: Judged, folder: Path) -> None:
    case = judged.case
    columns = {
        "t_utc_s": case.t_s + judged.event.begin_utc_s,
        "f_hz": case.f_hz,
        "p_w": case.p_w,
        "required_w": case.required * case.full_w + judged.fleet.base_w,
        "envelope_low_w": judged.low * case.full_w + judged.fleet.base_w,
        "envelope_high_w": judged.high * case.full_w + judged.fleet.base_w,
    }
    write_table(folder / "profile.parquet", columns)
    rows = [asdict(score) | {"value": _finite(score.value)} for score in judged.scores]
    document = {"figures": summary(judged), "scores": rows}
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "scores.json").write_text(text + "\n", encoding="utf-8")
    if judged.evses:
        write_table(folder / "evses.csv", {
            "evse_id": [one.evse_id for one, _ in judged.evses],
            "latency_s": [found.delay_s for _, found in judged.evses],
            "scale": [found.scale for _, found in judged.evses],
            "r2": [found.r2 for _, found in judged.evses],
            "energy_wh": [_energy_wh(one, found) for one, found in judged.evses],
        })  # fmt: skip
    delays = [f.delay_s for _, f in judged.evses] or [judged.fleet.delay_s]
    known = [delay for delay in delays if math.isfinite(delay)]
    write_table(folder / "latencies.csv", {"latency_s": np.array(known, dtype=np.float64)})


def _energy_wh(one: EvseTrace, found: Fit) -> float:
    return float(np.trapezoid(np.abs(one.p_w - found.base_w), one.t_s)) / 3600.0


def _report(judged: Judged, path: Path) -> Report:
    case, fleet, event = judged.case, judged.fleet, judged.event
    kw = case.full_w / 1e3
    base_kw = fleet.base_w / 1e3
    delivered, required = case.p_w / 1e3, case.required * kw + base_kw
    stamp = datetime.fromtimestamp(event.begin_utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    tiles = [
        ("Activation delay", number(fleet.delay_s, 2), "s"),
        ("R² of delivered against required", number(fleet.r2, 4), ""),
        ("Delivered by required", number(fleet.scale / case.full_w, 3), ""),
        ("Full activation", number(kw, 1), "kW"),
        ("Nadir", number(float(event.f_hz.min()), 3), "Hz"),
        ("EVSEs judged", str(len(judged.evses)), ""),
    ]
    sections = [
        Section("Frequency", "", figures.frequency(case.t_s, (("measured", case.f_hz),), None)),
        Section(
            "Delivered against required",
            "The band is the envelope of a service that starts within 0.5 s and is full after 1 s.",
            figures.envelope(
                case.t_s, judged.low * kw + base_kw, judged.high * kw + base_kw,
                (("delivered", delivered), ("required", required)), "kW",
            ),
        ),
        _score_table(judged),
        *_evse_sections(judged),
    ]  # fmt: skip
    preset = judged.p.preset
    return Report(
        title=f"Scores of an event: {path.stem}",
        subtitle=stamp,
        verdicts=tuple(
            (score.passed, f"{score.name}: {number(score.value)} {score.unit}")
            for score in judged.scores
            if score.passed is not None
        ),
        figures=tuple(tiles),
        sections=tuple(sections),
        conditions=(
            ("Required", f"{preset.title}: {preset.source} ({preset.edition}), {preset.verified}"),
            ("Samples", f"{len(event.t_s):,} over {event.t_s[-1]:.1f} s"),
            ("Files", "manifest.json names the SHA-256 of every file; manifest.sig signs it"),
        ),
    )


def _score_table(judged: Judged) -> Section:
    words = {True: "passed", False: "failed", None: "–"}
    rows = [
        (s.name, f"{number(s.value)} {s.unit}".strip(), words[s.passed],
         f"{s.formula}\n{s.note}".strip(), f"{s.source} ({s.edition}), {s.verified}")
        for s in judged.scores
    ]  # fmt: skip
    return Section("Scores", "", None, ("score", "value", "", "formula", "source"), table(rows))


def _evse_sections(judged: Judged) -> list[Section]:
    if not judged.evses:
        return []
    rows = [
        (one.evse_id, number(f.delay_s, 2), number(f.scale, 3), number(f.r2, 4),
         number(_energy_wh(one, f), 1))
        for one, f in judged.evses
    ]  # fmt: skip
    delays = np.array([f.delay_s for _, f in judged.evses])
    head = ("EVSE", "delay, s", "delivered by ordered", "R²", "energy, Wh")
    return [
        Section("EVSEs", "Each against its own orders.",
                figures.latency(delays[np.isfinite(delays)]), head, table(rows))
    ]  # fmt: skip


def _inputs(path: Path, evses: Path | None) -> list[Path]:
    files = [path] if evses is None else [path, evses]
    if path.suffix.lower() in (".cfg", ".dat"):
        files += [p for p in (path.with_suffix(".cfg"), path.with_suffix(".dat")) if p != path]
    return [file for file in files if file.exists()]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
